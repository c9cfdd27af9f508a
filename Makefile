# `make demo` and `make test` need Python 3.11+, git and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo examples test test-slow lint bench clean

demo: $(VENV)/.demo
	$(BIN)/weakbeam forward -o demo --overwrite
	@echo "Look at demo/figures/image.png; the data are in demo/weakbeam.h5."

examples: $(VENV)/.demo
	$(BIN)/python examples/five_edges.py examples/five-edges.png
	$(BIN)/python examples/wall_series.py examples/wall-series.png

test: $(VENV)/.test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest -n auto

test-slow: $(VENV)/.test
	$(BIN)/pytest -m slow

lint: $(VENV)/.test
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/mypy

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'weakbeam needs Python 3.11 or newer; try: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo build dist
