# Two commands do everything, set-up included: `make run` and `make test`.
# They need Python 3.11, 3.12 or 3.13 (with venv) and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
REQUIREMENT ?= Calculate the sum of 5 and 3
SECONDS ?= 60
# Tests in so many processes; what those of a module share, an Airflow above all, stays with one of them. Where tests
# wait for Airflow, there is room for one more than cores: 14 minutes in place of 17. A browser leaves none.
PYTEST = $(BIN)/pytest --dist loadfile --numprocesses
export PATH := $(CURDIR)/$(BIN):$(PATH)
export UV_LINK_MODE := copy

.DEFAULT_GOAL := help
.PHONY: help setup run up down test lint types unit integration system browser fuzz lock clean

help:  ## List the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(VENV)/installed  ## Install everything into .venv

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "Chassis needs Python 3.11, 3.12 or 3.13; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Installing into $(VENV) (once; a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

run: setup  ## Plan and run a requirement, live, to the result: make run REQUIREMENT="..."
	@$(BIN)/chassis run "$(REQUIREMENT)"

up: setup  ## Start the local Airflow and leave it running
	@$(BIN)/chassis up

down: setup  ## End the local Airflow
	@$(BIN)/chassis down

test: lint types unit integration system browser  ## Lint, types and all tests

lint: setup  ## Style, banned imports, and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: setup  ## mypy --strict
	@$(BIN)/mypy

unit: setup  ## Tests without a server, in seconds
	@$(PYTEST) 2 tests/unit

integration: setup  ## Tests against the simulator, moto and processes
	@$(PYTEST) 2 tests/integration

fuzz: setup  ## Throw mutated plans at the plan reader: make fuzz SECONDS=60
	@$(BIN)/python -m tests.fuzz.plan_reader --seconds $(SECONDS)

system: setup  ## Tests that drive a real Airflow
	@$(PYTEST) 3 tests/system

browser: setup  ## Tests in Chromium
	@$(PYTEST) 2 tests/browser

lock: setup  ## Pin the dependencies anew: of the project, and of the image
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--group dev --extra s3 pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
		--group image --extra s3 --constraint requirements.lock pyproject.toml -o requirements-image.lock

clean:  ## Remove the local Airflow's home and the caches
	@rm -rf .chassis .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
