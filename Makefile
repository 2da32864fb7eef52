# Few verbs, the same at home and in CI. Each makes `.venv` on first use and reuses it afterwards.

SHELL := /bin/bash
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

# The main job's input. BALORA_DATA may name one folder that holds `models/stories260K` and `data`.
MODEL ?= $(if $(BALORA_DATA),$(BALORA_DATA)/models/stories260K)
DATA ?= $(if $(BALORA_DATA),$(BALORA_DATA)/data)
PROFILE ?= glance
OUTPUT ?= runs
WORKERS ?=
STUDIES := pissa-initialization formulation-swap

export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

ifneq (,$(filter study,$(MAKECMDGOALS)))
ifeq (,$(and $(MODEL),$(DATA)))
$(error make study needs a model and data: `make study MODEL=FOLDER DATA=FOLDER [PROFILE=$(PROFILE)] [OUTPUT=$(OUTPUT)] [WORKERS=N]`, \
or BALORA_DATA=FOLDER with models/stories260K and data in it)
endif
endif

.PHONY: help study test test-slow bench check mutants package constraints
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

study: $(VENV)/.ready-run  ## run both shipped studies (MODEL=… DATA=… [PROFILE=glance] [OUTPUT=runs] [WORKERS=N]) and print their tables
	@set -e; for study in $(STUDIES); do \
	  $(BIN)/balora study run $$study --model "$(MODEL)" --data "$(DATA)" \
	    --profile $(PROFILE) $(if $(WORKERS),--workers $(WORKERS)) --output "$(OUTPUT)/$$study"; \
	done

test: $(VENV)/.ready-test  ## run the whole test suite but the slow tests
	$(BIN)/pytest -q -m "not slow" $(ARGS)

test-slow: $(VENV)/.ready-test  ## run the tests that take minutes
	$(BIN)/pytest -q -m slow $(ARGS)

bench: $(VENV)/.ready-test  ## measure speed and memory, as ratios
	$(BIN)/python -m benchmarks $(ARGS)

check: $(VENV)/.ready-dev  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

mutants: $(VENV)/.ready-test  ## break each formula on purpose and expect red tests
	$(BIN)/python scripts/mutants $(ARGS)

package: $(VENV)/.ready-test  ## build the wheel, install it into a clean environment, import and run it
	scripts/package $(BIN)/python

constraints: $(VENV)/.ready-dev  ## rewrite constraints.txt from what is installed in .venv
	scripts/constraints $(BIN)/python > constraints.new && mv constraints.new constraints.txt

# One environment, three sizes: what `balora` needs, what its tests need, what its developers need.
$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

# The build backend comes first and from the constraints, so that nothing is fetched unpinned for the build.
$(VENV)/.ready-run: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(INSTALL) hatchling editables
	$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready-run
	$(INSTALL) --no-build-isolation --editable ".[test]"
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready-test
	$(INSTALL) --no-build-isolation --editable ".[dev]"
	@touch $@
