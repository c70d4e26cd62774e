# Two commands matter: `make demo` and `make test`. Both set up everything they need on a machine with Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS ?= tests
WORKERS ?= 2

# Each process that a test starts would compile the whole application anew: 0.7 s of each start (November 2026).
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint types contracts check clients bench bench-growth clean

setup: $(VENV)/.ready

# constraints.txt pins every version that was tried; pyproject.toml says what we need.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/python -m tests.demo.play

test: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q $(TESTS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

check: lint types contracts test

# What is made from the code: codes by view, and the generated parts of the clients. Needs Node.
clients: setup
	$(BIN)/python -m tests.clients.generate

bench: setup
	$(BIN)/python -m bench.ledger --quick

# Some 20 minutes and 10 GB.
bench-growth: setup
	$(BIN)/python -m bench.growth --orders 10000,1000000

clean:
	rm -rf $(VENV) var clients/typescript/node_modules
