# Everything happens in .venv; nothing outside this folder is touched. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without isolation, so that the pins hold for the build tools, too.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench soak clean
.DELETE_ON_ERROR:

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.dev ## simulate a small shop, import it, learn, serve, ask over gRPC (offline, half a minute)
	@$(BIN)/visavis demo

test: $(VENV)/.dev ## all tests; ARGS="tests/cli -k help" for some of them
	@$(BIN)/python -m pytest -q $(ARGS)

lint: $(VENV)/.dev ## style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/.bench ## our speed beside our peers', in one run; QUICK=1 ends within a minute; ARGS="building --size M"
	@$(BIN)/python -m tests.bench $(ARGS)

soak: $(VENV)/.dev ## the long trials: kills, damage, full disks, load, huge imports; ARGS="kills --seed 2" for some of them
	@$(BIN)/python -m tests.soak $(ARGS)

clean: ## remove the environment and what tools left behind
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis protos/node_modules
	rm -rf tests/clients/node/node_modules tests/clients/node/dist tests/clients/node/types tests/clients/go/visavispb
	rm -rf tests/clients/java/target tests/clients/rust/target
	find framework plugins protos tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.dev: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Visavis needs Python 3.11 or later, $(PYTHON) is: $$($(PYTHON) --version 2>&1 | head -n 1); try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "setting up $(VENV), once; this takes a minute or two" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) hatchling editables
	@$(INSTALL) --no-build-isolation -e '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@$(INSTALL) --no-build-isolation -e '.[bench]'
	@touch $@
