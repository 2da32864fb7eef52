# Few verbs, the same at home and in CI. Each makes `.venv` on first use and reuses it afterwards.

SHELL := /bin/bash
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

# The main job's input. Without a model it is the testbed's, which needs no data; a model of your own needs DATA.
MODEL ?=
DATA ?=
PROFILE ?= $(if $(MODEL),glance,quick)
OUTPUT ?= runs
WORKERS ?=
STUDIES := pissa-initialization formulation-swap

# Tests use one thread each: a file of them at a time on every core, four at most.
SPREAD := --numprocesses logical --maxprocesses 4 --dist loadfile

export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

ifneq (,$(filter study,$(MAKECMDGOALS)))
ifneq (,$(if $(MODEL),$(if $(DATA),,x),$(if $(DATA),x)))
$(error make study takes a model together with its data, `make study MODEL=FOLDER DATA=FOLDER [PROFILE=glance] [OUTPUT=$(OUTPUT)] \
[WORKERS=N]`, or neither: `make study` runs on the testbed)
endif
endif

.PHONY: help study test test-slow bench calibration check mutants package constraints browser
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

study: $(VENV)/.ready-run  ## run both shipped studies on the testbed, or on MODEL=… DATA=… ([PROFILE=quick] [OUTPUT=runs] [WORKERS=N])
	@set -e; for study in $(STUDIES); do \
	  $(BIN)/balora study run $$study $(if $(MODEL),--model "$(MODEL)" --data "$(DATA)") \
	    --profile $(PROFILE) $(if $(WORKERS),--workers $(WORKERS)) --output "$(OUTPUT)/$$study" \
	    $(STUDIES:%=--reuse "$(OUTPUT)/%"); \
	done; \
	for study in $(STUDIES); do $(BIN)/balora study report "$(OUTPUT)/$$study" --answer; done

test: $(VENV)/.ready-test  ## run the whole test suite but the slow tests
	$(BIN)/pytest -q -m "not slow" $(SPREAD) $(ARGS)

test-slow: $(VENV)/.ready-test  ## run the tests that take minutes
	$(BIN)/pytest -q -m slow $(ARGS)

bench: $(VENV)/.ready-test  ## measure speed and memory, as ratios
	$(BIN)/python -m benchmarks $(ARGS)

calibration: $(VENV)/.ready-test  ## measure what the testbed can show (an hour on two cores), after `make study`
	$(BIN)/python -m calibration rates
	$(BIN)/python -m calibration dose
	$(BIN)/python -m calibration weights
	$(BIN)/python -m calibration study $(STUDIES:%="$(OUTPUT)/%")

check: $(VENV)/.ready-dev  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

mutants: $(VENV)/.ready-test  ## break each formula on purpose and expect red tests
	$(BIN)/python scripts/mutants $(ARGS)

browser:  ## install Debian's chromium, which the tests of the page use (as root)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null

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
	$(INSTALL) --no-deps liger-kernel  # a judge of ours; pure Python on a CPU, and what it needs on a GPU is large
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready-test
	$(INSTALL) --no-build-isolation --editable ".[dev]"
	@touch $@
