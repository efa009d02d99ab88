# Two commands matter: `make demo` and `make test`. Each does all its own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
OTHERS ?= python3.12 python3.13
VENV := .venv
BIN := $(VENV)/bin
NIGHTSHIFT := $(BIN)/nightshift
INSTALLED := $(VENV)/.installed
# Two at a time, whole files each: a file's fixtures are made once. Not where a test kills or times processes.
TWO := -n 2 --dist loadfile
BESIDE := $(TWO)
# What `make test` leaves out, and `make test-slow` runs.
QUICK := -m "not slow"
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# Where nothing compiled may be kept, each server and each try-out compiles thousands of files anew.
unexport PYTHONDONTWRITEBYTECODE

DOCS := .venv-docs
# Nobody's advice while a site is built.
export NO_MKDOCS_2_WARNING := 1

.PHONY: docs pictures spark help demo test test-slow bench bench-decisions lint up down status logs install lock unit unit-others e2e integration history runtime

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: install ## close the loop on real flights; the stack stays up until `make down`
	@$(NIGHTSHIFT) demo

test: install ## lint, unit, DAG, integration and end-to-end tests
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python tests/browser.py
	@$(BIN)/python tests/axe.py
	@$(BIN)/python tests/prometheus.py
# Two parts at a time; one that fails holds no other back. What works one core alone is in one process; tests with a
# history wait for servers half of their time.
	@$(MAKE) --no-print-directory --jobs 2 --keep-going --output-sync=target BESIDE= e2e unit integration history runtime

integration: install ## the other integration tests, without the local stack's
	@$(BIN)/python -m pytest -m "not slow and not history" $(BESIDE) tests/integration --ignore tests/integration/runtime

history: install ## the integration tests that begin with a month of nights
	@$(BIN)/python -m pytest -m "not slow and history" $(TWO) tests/integration --ignore tests/integration/runtime

runtime: install ## the tests of the local stack, which kill its processes
	@$(BIN)/python -m pytest $(QUICK) tests/integration/runtime

test-slow: install ## the tests that `make test` leaves out, because they take long
	@$(BIN)/python -m pytest -m slow tests/unit tests/dags tests/integration tests/e2e

unit: install ## the tests that need no server
	@$(BIN)/python tests/browser.py
	@$(BIN)/python tests/axe.py
	@$(BIN)/python tests/prometheus.py
	@$(BIN)/python -m pytest $(QUICK) $(BESIDE) tests/unit tests/dags

unit-others: ## the same on the other Pythons that are here, each in an environment of its own
	@for python in $(OTHERS); do \
	  version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>&1) || { echo "$$python: not here"; continue; }; \
	  echo "== Python $$version"; \
	  $(MAKE) --no-print-directory PYTHON=$$python VENV=.venv-$$version unit || exit; \
	done

e2e: install ## the end-to-end tests alone
	@$(BIN)/python tests/browser.py
	@$(BIN)/python -m pytest $(QUICK) tests/e2e

bench: install ## landing, validation, writing and reading beside another revision's: make bench BEFORE=<revision>
	@PYTHONPATH=. $(BIN)/python benchmarks/typed.py $(BEFORE)

bench-decisions: install ## what a year of flights says of faults, harm, and what the declared reasons and guards gain
	@PYTHONPATH=. $(BIN)/python benchmarks/faults.py $(or $(FOLDER),.nightshift/benchmarks)
	@PYTHONPATH=. $(BIN)/python benchmarks/decisions.py $(or $(FOLDER),.nightshift/benchmarks)

lint: install ## ruff, mypy, import contracts, schemas
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml
	@$(NIGHTSHIFT) check --deep

docs: install $(DOCS)/.installed ## the documentation as a site, in site/; a broken link fails
	@$(BIN)/python docs/reference.py
	@$(DOCS)/bin/mkdocs build --strict
	@echo "site/index.html"

pictures: install ## the cockpit's pictures in docs/images/, of the stack that runs
	@$(BIN)/python docs/pictures.py

$(DOCS)/.installed: requirements/docs.lock
	@test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	@$(BIN)/uv pip install --quiet --python $(DOCS)/bin/python --require-hashes -r requirements/docs.lock
	@touch $@

up: install ## start the stack (PostgreSQL, MLflow, Airflow)
	@$(NIGHTSHIFT) up

down: ## stop the stack; data stays in .nightshift/
	@if [ -x $(NIGHTSHIFT) ]; then $(NIGHTSHIFT) down; else echo "not installed: nothing runs"; fi

status: install ## what runs, and how it feels
	@$(NIGHTSHIFT) status

logs: install ## follow the stack's logs
	@$(NIGHTSHIFT) logs --follow

install: $(INSTALLED) ## the virtual environment, from the lock files, checked by hash

$(INSTALLED): requirements/bootstrap.lock requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Nightshift needs Python 3.11, 3.12 or 3.13; this is " + v + ". Try: make PYTHON=python3.12 ...")'
	@echo "installing into $(VENV) (about 1.3 GB, checked against hashes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements/bootstrap.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# Java 17 or later must be there. pyspark is a source archive: built with the setuptools of the same lock.
spark: install ## Apache Spark on top, for models with `compute: spark` (docs/engines.md)
	@echo "installing Spark into $(VENV) (456 MB, checked against hashes)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --build-constraints requirements/spark.lock -r requirements/spark.lock

lock: ## resolve the lock files again (needs uv)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --output-file requirements/runtime.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --extra local --group dev --constraints requirements/runtime.lock --output-file requirements/dev.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --group docs --output-file requirements/docs.lock
	@printf 'pyspark==4.3.0\nsetuptools\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --constraints requirements/runtime.lock - --output-file requirements/spark.lock
# What the image's target `kubernetes` has beside all others.
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --extra kubernetes --constraints requirements/runtime.lock $$(sed -n 's/^\([a-z0-9.-]*\)==.*/--no-emit-package \1/p' requirements/runtime.lock) --output-file requirements/kubernetes.lock
	@echo "uv" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" - --output-file requirements/bootstrap.lock
