# `make demo` and `make test` need Python 3.11+, git and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo docs docs-links examples test test-slow test-live test-interop lint bench package clean

demo: $(VENV)/.demo
	$(BIN)/weakbeam forward -o demo --overwrite
	@echo "Look at demo/figures/image.png; the data are in demo/weakbeam.h5."

examples: $(VENV)/.demo
	$(BIN)/python examples/five_edges.py examples/five-edges.png
	$(BIN)/python examples/wall_series.py examples/wall-series.png
	$(BIN)/python examples/anisotropy.py examples/anisotropy.png
	$(BIN)/python examples/loops.py examples/loops.png
	$(BIN)/python examples/networks.py examples/networks
	$(BIN)/python examples/crystal_plasticity.py examples/crystal-plasticity.png

# The site, with its gallery, in build/site.
docs: $(VENV)/.docs
	$(BIN)/python docs/site/build.py
	@echo "Look at build/site/index.html."

# Links of the site to other sites; `make docs` looks at those within it.
docs-links: docs
	$(BIN)/python docs/site/links.py build/site --external

# Tests start many processes: what they import is compiled once, also where containers say otherwise.
test test-slow test-live: export PYTHONDONTWRITEBYTECODE =

test: $(VENV)/.test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist worksteal

test-slow: $(VENV)/.test
	$(BIN)/pytest -m slow

# The page of the microscope in a real browser: Debian's chromium and chromium-driver, else skipped.
test-live: $(VENV)/.test
	$(BIN)/pytest -m slow tests/viewer

# Other programs read our files, each in an environment of its own that pip makes under .interop;
# WEAKBEAM_DARFIX_PYTHON and so on name a Python that has the program already.
test-interop: $(VENV)/.test $(if $(WEAKBEAM_DARFIX_PYTHON),,.interop/darfix/.done) \
		$(if $(WEAKBEAM_DARLING_PYTHON),,.interop/darling/.done) \
		$(if $(WEAKBEAM_NEXUS_PYTHON),,.interop/nexus/.done)
	$(BIN)/pytest -m slow tests/interop

.interop/darfix/.done: PACKAGES = 'darfix[full]==7.0.2' hdf5plugin
.interop/darling/.done: PACKAGES = darling-pypi==1.0.0 hdf5plugin
.interop/nexus/.done: PACKAGES = nexusformat==2.1.0 hdf5plugin
.interop/%/.done:
	$(PYTHON) -m venv .interop/$*
	.interop/$*/bin/python -m pip install --quiet --disable-pip-version-check $(PACKAGES)
	@touch $@

lint: $(VENV)/.test
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/mypy

# Builds the distributions, installs the wheel alone and prints what it takes on the disk.
package:
	$(PYTHON) benchmarks/installation.py

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

$(VENV)/.docs: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) .interop demo build dist
