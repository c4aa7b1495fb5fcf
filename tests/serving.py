"""A server at work in a thread, on a port of its own, and what is sent to it."""

import asyncio
import http.client
import io
import json
import threading
from contextlib import contextmanager

import numpy as np
from PIL import Image


def png(colour=(200, 30, 30), size=(20, 20), format="PNG"):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, format)
    return file.getvalue()


def form(images, boundary="b0", field="images"):
    """The body and the type of a form with (name, bytes) files."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in images
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


class Answer:
    """One answer, read to its end."""

    def __init__(self, answer):
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()

    @property
    def json(self):
        return json.loads(self.body)


class Client:
    def __init__(self, port, server):
        self.port, self.server, self.url = port, server, f"http://127.0.0.1:{port}"

    def ask(self, path, body=None, kind=None, method=None, timeout=20, **headers):
        """Of headers that are None nothing is sent; a body that is a generator is sent in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if kind is not None:
            given["content-type"] = kind
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, given)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def predict(self, *images):
        return self.ask("/v1/predict", *form([(f"{number}.png", content) for number, content in enumerate(images)]))

    def rows(self, rows):
        return self.ask("/v1/predict", json.dumps({"features": np.asarray(rows).tolist()}), "application/json")


@contextmanager
def running(tagger, *, name="model", **options):
    """A client of a server; what is not the server's is Limits'."""
    from tagfit.serve.limits import Limits
    from tagfit.serve.server import make_server

    def made(listener, access):
        return make_server(name, tagger, listener, Limits(**options), access)

    with served(made, options.pop("token", None), options.pop("hosts", ())) as client:
        yield client


@contextmanager
def reviewing(review, token=None):
    """A client of a page where labels are reviewed."""
    from tagfit.labels.gain import ExpectedGain
    from tagfit.serve.review import create_review
    from tagfit.serve.server import listening

    def made(listener, access):
        app = create_review(review, ExpectedGain(review.dataset, 0), access)
        return listening(app, listener, 30, "review")

    with served(made, token) as client:
        yield client


@contextmanager
def served(made, token=None, hosts=()):
    """A client of the server that `made` makes for a listener and whoever may ask."""
    from tagfit.serve.server import access_to, bind

    with bind("127.0.0.1", 0) as listener:
        listener.listen()
        server = made(listener, access_to(listener, token, hosts))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            yield Client(listener.getsockname()[1], server)
        finally:
            server.should_exit = True
            thread.join(35)
            assert not thread.is_alive()
