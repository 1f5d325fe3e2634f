# The two commands for a newcomer are `make demo` and `make test`; both set up what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BUILD ?= succeeds
STORES ?= local s3 azure
SCHEDULES ?= 5000
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

# How the tests of each store are run: Azure's libraries are in a place of their own.
TEST_local = $(BIN)/python -m pytest tests/archive -k local
TEST_s3 = $(BIN)/python -m pytest -n auto --dist load $(wildcard tests/stores/test_s3*.py)
TEST_azure = .stores/azure/bin/python -m pytest $(wildcard tests/stores/test_azure*.py)

# Processes of the tests would compile everything that they import, each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo docs screenshots first-hour test test-fast test-stores bench bench-transfer system lineage matrix crashes chaos check dist pins clean

help:  ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(READY)  ## Release an app on real Airflow (BUILD=fails: see a build fail)
	@$(BIN)/python demo/demo.py --build $(BUILD)

docs: $(READY)  ## Build the documentation into build/docs; links and blocks of code are checked
	@$(BIN)/python -m pytest -q tests/docs
	@$(BIN)/sphinx-build -q -W --keep-going -j auto docs build/docs
	@echo "build/docs/index.html"

screenshots: $(READY)  ## Make the pictures of the documentation anew (needs Chromium)
	@$(BIN)/python -m docs.screenshots

first-hour: $(READY)  ## Do what the README says in a new environment, and print the time of each step
	@$(BIN)/python packaging/first_hour.py

test: $(READY)  ## Run all tests
	@$(BIN)/python -m pytest $(PARALLEL) $(TESTS)

test-fast: $(READY)  ## Run the unit tests that need neither Airflow processes nor much time (about a minute)
	@$(BIN)/python -m pytest $(PARALLEL) -m "not airflow and not slow" $(TESTS)

test-stores: $(READY)  ## Run the archive's tests on real S3 and Azure servers (STORES=s3: on that only)
	@$(BIN)/python -m tests.stores.installing $(STORES)
	@set -e; $(foreach store,$(STORES),echo "$(store):"; $(TEST_$(store)) $(ARGS);)

bench-transfer: $(READY)  ## Measure a transfer to S3 next to other ways (about 20 minutes)
	@$(BIN)/python benchmarks/transfer.py $(ARGS)

system: $(READY)  ## Run the tests on real Airflow processes (6 to 9 minutes)
	@$(BIN)/python -m pytest tests/system $(ARGS)

lineage: $(READY)  ## Check what Airflow's OpenLineage provider writes about a release
	@test -x .lineage/venv/bin/python || $(BIN)/uv venv -q --python $(BIN)/python .lineage/venv
	@$(BIN)/uv pip install -q --python .lineage/venv/bin/python -r requirements/dev.txt \
		apache-airflow-providers-openlineage
	@$(BIN)/uv pip install -q --python .lineage/venv/bin/python --no-deps --no-build-isolation -e .
	@.lineage/venv/bin/python -m pytest tests/lineage $(ARGS)

matrix: $(READY)  ## Run on every supported Airflow (ARGS="--only 3.1": on one; --short: the fast tests)
	@$(BIN)/python matrix/run.py $(ARGS)

crashes: $(READY)  ## Kill processes of a real Airflow on PostgreSQL (ARGS="-k triggerer": one case)
	@$(BIN)/python -m pytest tests/crashes $(ARGS)

chaos: $(READY)  ## Run random fault schedules (SCHEDULES=5000)
	@CHAOS_SCHEDULES=$(SCHEDULES) $(BIN)/python -m pytest tests/chaos

bench: $(READY)  ## Measure what waiting and parsing cost, beside other providers (10 minutes)
	@test -x .bench/venv/bin/python || $(BIN)/uv venv -q --python $(BIN)/python .bench/venv
	@$(BIN)/uv pip install -q --python .bench/venv/bin/python -r benchmarks/requirements.txt
	@PYTHONPATH=. .bench/venv/bin/python -m benchmarks.waits $(ARGS)
	@PYTHONPATH=. .bench/venv/bin/python -m benchmarks.parsing

check: $(READY)  ## Lint and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

dist: $(READY)  ## Build sdist, wheel, SBOM and checksums into dist/, and check them
	@$(BIN)/python packaging/dist.py

pins: $(READY)  ## Renew requirements/dev.txt from requirements/dev.in
	@$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --no-annotate --no-header --no-emit-index-url \
		requirements/dev.in -o requirements/dev.txt

clean:  ## Remove everything that these commands made
	@rm -rf $(VENV) .demo .matrix .stores .bench .lineage dist build .pytest_cache .mypy_cache .ruff_cache

$(READY): requirements/dev.txt pyproject.toml
	@echo "Setting up $(VENV) (once; about 200 MB of packages) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; say make PYTHON=python3.11 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends python3-venv && $(PYTHON) -m venv $(VENV); } || \
		{ echo "$(PYTHON) -m venv does not work: install the package python3-venv."; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -r requirements/dev.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
