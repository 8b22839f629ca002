# `make demo` and `make test` do all the set-up; they need Python 3.11 or newer, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: demo test lint clean

# One install for all targets, anew whenever what it depends on changes.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "ppgssl needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

# A simulated cohort, ingested, pretrained and evaluated: ends with the path of the report.
demo: $(VENV)/.installed
	test -d $(DEMO) || $(BIN)/ppgssl simulate --out $(DEMO)
	$(BIN)/ppgssl run $(DEMO)/study.yaml
	@echo "report: $$(cd $(DEMO)/run && pwd)/report.pdf"

# A file of tests a core, and one thread a process: what runs side by side would otherwise wait for each other.
test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis
