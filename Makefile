# Everything a person needs: `make demo` and `make test` set up what they use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers

.PHONY: demo install test lint check prove bench-peers format clean

demo: install
	$(BIN)/tagfit demo || [ $$? -eq 3 ]

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "tagfit needs Python 3.11-3.13: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,diagnosis,export,figures,guarantees,keras,mlflow,parquet,pretrained,ray,serve,sheets,tensorboard]'
	touch $@

test: install
	$(BIN)/python -m pytest -n 2

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test

# the long proofs, of which the tests run a short form
prove: install
	TAGFIT_PROVE=1 $(BIN)/python -m pytest -n 2

# the peers that benchmarks/ runs beside tagfit, in a place of their own
bench-peers: install $(PEERS)/.installed
	$(BIN)/python benchmarks/keras_peer.py --peer $(PEERS)/bin/python
	$(BIN)/python benchmarks/cnn_peers.py --peer $(PEERS)/bin/python
	$(BIN)/python benchmarks/dense_peers.py --peer $(PEERS)/bin/python
	$(BIN)/python benchmarks/decode_peers.py --peer $(PEERS)/bin/python

$(PEERS)/.installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement benchmarks/peers.txt
	touch $@

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache
