# One word a command; `make` lists them. Everything that they need is installed into .venv.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python; do \
	$$name -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$name && break; done)
SPHINX := $(BIN)/sphinx-build -n -W --keep-going -q -d build/doctrees -c docs .
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check fix cov docs bench bench-recovery bench-transports interop-table dist clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/ready-run ## a request crosses an encrypted portal, in ten seconds
	@$(BIN)/ockam-ref demo $(ARGS)

test: $(VENV)/ready-test ## all tests; some: make test ARGS="tests/unit -k route"
	$(BIN)/pytest $(ARGS)

check: $(VENV)/ready-dev ## lint, format, types, import contracts, docs, examples in docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy ockam_ref transports/ockam_transports tests docs/examples
	$(BIN)/lint-imports --no-logo
	@$(MAKE) --no-print-directory docs

fix: $(VENV)/ready-dev ## format, and mend what needs no thought
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

cov: $(VENV)/ready-test ## coverage of the core by its own tests
	$(BIN)/pytest tests/unit tests/properties tests/conformance --cov --cov-report=term-missing $(ARGS)

docs: $(VENV)/ready-dev ## the documentation, into build/docs, and its examples as tests
	$(SPHINX) -E -b html build/docs
	$(SPHINX) -b doctest build/doctest

bench: $(VENV)/ready-test ## throughput and latency, beside ssh and the Rust peer
	$(BIN)/python -m tests.benchmarks.run $(ARGS)

bench-recovery: $(VENV)/ready-test ## throughput and delay of recovered UDP on a simulated path
	$(BIN)/python -m tests.benchmarks.recovery $(ARGS)

bench-transports: $(VENV)/ready-test ## each transport beside the plain socket of its kind
	$(BIN)/python -m tests.benchmarks.transports $(ARGS)

interop-table: $(VENV)/ready-test ## run the table of interoperability and write it into docs/
	OCKAM_REF_WRITE_INTEROP=1 $(BIN)/pytest tests/interop $(ARGS)

dist: $(VENV)/ready-test ## the wheel and the source distribution, into dist
	$(BIN)/python -m hatchling build

clean: ## remove what the others made
	rm -rf $(VENV) build dist docs/_build .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the environment: three sizes of it, each made again when pyproject.toml changes

PIP := $(BIN)/python -m pip install -q --disable-pip-version-check

$(VENV)/ready-pip:
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer with its venv module is needed (Debian: apt install python3-venv)'; exit 1; }
	@echo 'making $(VENV) with $(PYTHON)'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/ready-run: $(VENV)/ready-pip pyproject.toml
	@echo 'installing ockam-ref into $(VENV)'
	@$(PIP) -e .
	@touch $@

$(VENV)/ready-test $(VENV)/ready-dev: $(VENV)/ready-%: $(VENV)/ready-pip pyproject.toml
	@echo 'installing ockam-ref and its tools ($*) into $(VENV)'
	@$(PIP) -e . --group $*
	@touch $@
