# Everything below takes care of its own environment in VENV. Needs Python 3.11+, make and the package registries.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := tasks producers worker ops tests
# Of the campaign of faults.
SEED ?= 1
ROUNDS ?= 40

.DEFAULT_GOAL := help
.PHONY: help install demo up test unit faults gpu check bench eval clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Set up VENV, .venv if it is not given, with everything that the other targets need

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[worker,embedded,agent]' --group dev
	@$(BIN)/python -m pip install --quiet --editable '.[desktop]' \
		|| echo "The extra desktop cannot be installed here (on Linux evdev needs a C compiler): its tests are skipped"
	@touch $@

demo: $(STAMP) ## Play an agent's short day on a stack of its own, and print what happened
	$(BIN)/singletrack demo

up: $(STAMP) ## Start what is missing of Redis, Ollama, worker, beat and Flower; Ctrl-C ends it
	$(BIN)/singletrack up

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

unit: $(STAMP) ## Run the unit tests alone, for example of another interpreter: PYTHON=python3.13 VENV=.venv-3.13
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/unit

faults: $(STAMP) ## Kill, pause and double workers and servers for half an hour: make faults SEED=2 ROUNDS=40
	$(BIN)/python -m tests.faults --seed $(SEED) --rounds $(ROUNDS) --faults 25
	$(BIN)/python -m tests.faults.innocents

gpu: $(STAMP) ## Check on this machine's NVIDIA GPU what the rest is tested with on a simulated one
	$(BIN)/python -m gpu_check --out gpu-report.json

check: $(STAMP) ## Run the linters, the type checker, the import rules and the compose file's schema
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

bench: $(STAMP) ## Measure the figures of ops/docs/figures.md
	$(BIN)/python -m benchmarks

eval: $(STAMP) ## Render the pages to tune on, where they are not there yet, and measure how well targets are found
	$(BIN)/python -m evaluation render --half tuning --missing
	$(BIN)/python -m evaluation run

clean: ## Remove VENV and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
