# Serves a bundle on the CPU, as a user without rights:
#   docker build -t tagfit .
#   docker run -p 8000:8000 -v $PWD/run/bundle:/bundle:ro -v $PWD/token:/token:ro tagfit
FROM python:3.12-slim

WORKDIR /tagfit
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir --constraint constraints.txt ".[serve,export]" && useradd --create-home tagfit

USER tagfit
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz')"]
ENTRYPOINT ["tagfit", "serve"]
CMD ["/bundle", "--host", "0.0.0.0", "--token-file", "/token"]
