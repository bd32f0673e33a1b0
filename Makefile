# logrouter: `make demo` shows it work, `make test` proves it, `make check` keeps it clean.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
UV     := 0.13.9
ARGS   ?=

VENDOR := logrouter/web/assets/vendor

# Compiled Python is kept, in the virtual environment, also where it is not to be written beside its source: each of the
# workers of a test run, and each of the hundreds of processes that they start, would compile all that it imports anew.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo charts test test-long compat fuzz bench bench-formats bench-route bench-fold bench-serve bench-sinks bench-process check lint types screenshots docs lock clean help surface

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(STAMP): pyproject.toml requirements.lock packing/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "logrouter needs Python 3.11 or later: make PYTHON=python3.11")'
	@echo "==> making the virtual environment and installing pinned dependencies (about half a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip --quiet --disable-pip-version-check install uv==$(UV)
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/python packing/fetch.py || echo "==> without it the page shows tables instead of charts; \`make charts\` tries again"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

charts: $(STAMP)  ## get the page's charting library, if that failed before
	@$(BIN)/python packing/fetch.py

demo: $(STAMP)  ## start a real Kafka and show the whole path live (ARGS=--once: bounded; ARGS=--opensearch: with a search index)
	@$(BIN)/logrouter demo $(ARGS)

test: $(STAMP)  ## the tests, on a real broker they start themselves (some 7 minutes on two idle cores)
	@$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

test-long: $(STAMP)  ## what `make test` leaves out: further variants of kills and outages, four times the examples (some 12 minutes)
	@LOGROUTER_TEST_PROFILE=thorough $(BIN)/python -m pytest -m "long or hypothesis" -n 3 --dist loadgroup $(ARGS)

compat: $(STAMP)  ## keep what this version writes for the tests of later ones, in a minute (VERSION=0.2.0)
	@$(BIN)/python -m tests.compat.record $(VERSION)

fuzz: $(STAMP)  ## coverage-guided fuzzing of every envelope, format and sink, 20 s each, with a guard on time (ARGS=--list)
	@$(BIN)/python fuzz/run.py $(ARGS)

bench: bench-route bench-fold bench-formats bench-serve  ## all benchmarks, with machine, versions and data

bench-route: $(STAMP)  ## lines/s of the route lane, next to a bare consume loop and a plain Faust agent
	@$(BIN)/python bench/route.py $(ARGS)

bench-formats: $(STAMP)  ## µs per line of every format and envelope
	@$(BIN)/python bench/formats.py $(ARGS)

bench-fold: $(STAMP)  ## partial sums/s of the tables lane
	@$(BIN)/python bench/fold.py $(ARGS)

bench-serve: $(STAMP)  ## how fast a tables worker with a million clients answers, at rest and while it folds
	@$(BIN)/python bench/serve.py $(ARGS)

bench-sinks: $(STAMP)  ## events/s and CPU of a sink's process for each kind of target, and its memory while one is down
	@$(BIN)/python bench/sinks.py $(ARGS)

bench-process: $(STAMP)  ## CPU per line and per partial sum, without Kafka, next to another checkout: ARGS="--against FOLDER"
	@$(BIN)/python bench/process.py $(ARGS)

check: lint types  ## quality gates: ruff, mypy strict, import contract, docs
	@$(BIN)/python -m pytest -q -p no:randomly tests/test_architecture.py tests/test_docs.py

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

screenshots: $(STAMP)  ## take the pictures of the page that the README shows (needs Debian's chromium)
	@$(BIN)/python -m tests.browser.screenshots

docs: $(STAMP)  ## write the pages that are made from the code
	@$(BIN)/python -m logrouter.config.reference > docs/topics-yaml.md
	@$(BIN)/python -m tests.dashboards.write

surface: $(STAMP)  ## rewrite the committed list of options, names, metrics, endpoints and commands
	@$(BIN)/python -m tests.surface.write

lock: $(STAMP)  ## pin every dependency, with hashes, for every platform
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml -c requirements.lock --extra geoip --extra useragent --extra top --universal \
	  --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet -o requirements-runtime.lock

clean:  ## remove what was built here (not the download cache)
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .data $(VENDOR)
