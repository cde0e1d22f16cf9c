# make demo    sets everything up and takes one experiment from its file to a dataset and pictures
# make test    sets everything up and passes the tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO ?= demo
PYTEST_ARGS ?=
BASE_TESTS ?= $(addprefix tests/,experiment planning clusters cli store merging upstream stages analysis test_layers.py)
WITHOUT_COMPUTE := not compute and not mpi and not slurm and not apptainer and not long

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-base check bench image clean

demo: $(STAMP)
	$(BIN)/panic-hpc demo $(DEMO)

# The tests of a real Slurm wait for most of their time: each file of them has a testbed of its own.
test: $(STAMP)
	$(BIN)/python -m pytest -m 'not long and not slurm' $(PYTEST_ARGS)
	$(BIN)/python -m pytest -m 'not long and slurm' -n 3 --dist loadfile --durations 10 $(PYTEST_ARGS)

# The base package and its tests without torch, for the Pythons that the constraints are not made for.
BASE := .venv-base
test-base:
	$(PYTHON) -m venv $(BASE)
	$(BASE)/bin/pip install --quiet --constraint constraints.txt --editable '.[analysis,engines,mpi,publish,dev]' pillow
	$(BASE)/bin/python -m pytest -m "$(WITHOUT_COMPUTE)" $(PYTEST_ARGS) $(BASE_TESTS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

bench: $(STAMP)
	for bench in tools/bench_*.py; do $(BIN)/python $$bench || exit 1; done

image:
	slurm/build-image

clean:
	rm -rf $(VENV) build $(DEMO)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[compute,analysis,engines,mpi,publish,dev]'
	touch $@
