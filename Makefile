# logrouter: `make demo` shows it work, `make test` proves it, `make check` keeps it clean.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=

.PHONY: demo test check lint types lock clean help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(STAMP): pyproject.toml requirements.lock
	@echo "==> making the virtual environment and installing pinned dependencies"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip --quiet --disable-pip-version-check install uv==0.13.9
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/pip --version >/dev/null && touch $@

demo: $(STAMP)  ## start a real Kafka and show the whole path live (ARGS=--once for a bounded run)
	@$(BIN)/logrouter demo $(ARGS)

test: $(STAMP)  ## all tests, on a real broker they start themselves (under 10 minutes)
	@$(BIN)/python -m pytest $(ARGS)

check: lint types  ## quality gates: ruff, mypy strict, import contract, docs

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

lock: $(STAMP)  ## pin every dependency, with hashes, for every platform
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet -o requirements.lock

clean:  ## remove what was built here (not the download cache)
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .data
