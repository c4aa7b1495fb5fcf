# Everything a person needs: `make demo` and `make test` set up what they use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
EXTRAS := diagnosis,docs,export,figures,guarantees,keras,mlflow,pandas,parquet,polars,pretrained,ray,serve,sheets,tensorboard

.PHONY: demo dist test lint docs tutorials reference check prove bench-peers format clean chromium

demo: $(VENV)/.core
	$(BIN)/tagfit demo || [ $$? -eq 3 ]

$(VENV)/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "tagfit needs Python 3.11-3.13: make PYTHON=python3.12 ...")'
	@echo 'Installing tagfit and what it needs into $(VENV): PyTorch is the largest of it. This takes minutes, once.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@du -sh $(VENV) | sed 's/\t.*/ are installed./'
	@touch $@

# all extras, and what the checks need
$(VENV)/.all: $(VENV)/.core
	@echo 'Installing all extras and what the tests need into $(VENV). This takes minutes, once.'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,$(EXTRAS)]'
	@du -sh $(VENV) | sed 's/\t.*/ are installed./'
	@touch $@

# tests of pages look at them with Chromium, and skip without it: installed here only as root on Debian and its like
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { apt-get update -q && apt-get install -y -q chromium; } >/dev/null || \
	  echo 'Chromium could not be installed: tests that need it skip'

test: $(VENV)/.all chromium
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# what the blocks of tutorials and how-to pages print, written into the pages again; then the notebooks
tutorials: $(VENV)/.all
	$(BIN)/python docs/run_tutorials.py docs/tutorials/*.md docs/checks/*.md docs/how-to/*.md
	$(BIN)/python docs/make_notebooks.py

# what options, records and checks say of themselves, written into the pages again
reference: $(VENV)/.all
	$(BIN)/python docs/reference.py

# the pages as a site that reads offline; a broken link fails
docs: $(VENV)/.all
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

check: lint docs test

# the long proofs, of which the tests run a short form
prove: $(VENV)/.all chromium
	TAGFIT_PROVE=1 $(BIN)/python -m pytest -n 2

# a wheel, and proof that it works where nothing else is installed
dist:
	rm -rf dist && $(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv dist/venv
	dist/venv/bin/python -m pip install --quiet --constraint constraints.txt dist/*.whl
	cd dist && venv/bin/tagfit --version && venv/bin/tagfit demo --count 300 -o run || [ $$? -eq 3 ]
	rm -rf dist/venv dist/run

# the peers that benchmarks/ runs beside tagfit, in a place of their own
bench-peers: $(VENV)/.all $(PEERS)/.installed
	$(BIN)/python benchmarks/keras_peer.py --peer $(PEERS)/bin/python
	$(BIN)/python benchmarks/cnn_peers.py --peer $(PEERS)/bin/python
	$(BIN)/python benchmarks/dense_peers.py --peer $(PEERS)/bin/python
	$(BIN)/python benchmarks/decode_peers.py --peer $(PEERS)/bin/python

$(PEERS)/.installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement benchmarks/peers.txt
	touch $@

format: $(VENV)/.all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(PEERS) site .mypy_cache .ruff_cache .pytest_cache
