# make demo     sets everything up and takes one experiment from its file to a dataset and pictures
# make test     sets everything up, what tests need of the system included, and passes the tests
# make quick    the tests of pure modules, for daily work: no processes, no models, under 30 seconds
# make check    style, types, direction of imports
# make docs     the documents as a site in build/site
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO ?= demo
PYTEST_ARGS ?=
QUICK_TESTS ?= $(wildcard $(addprefix tests/,experiment planning clusters validation test_layers.py))
BASE_TESTS ?= $(addprefix tests/,experiment planning clusters validation disk cli store merging upstream stages analysis workspace test_layers.py)
WITHOUT_COMPUTE := not compute and not mpi and not slurm and not apptainer and not long

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test faults quick test-base test-lowest check docs bench image clean

demo: $(STAMP)
	$(BIN)/panic-hpc demo $(DEMO)

# The tests of a real Slurm wait for most of their time: each file of them has a testbed of its own.
test: $(STAMP)
	tests/install-system
	$(BIN)/python -m pytest -q -m 'not long and not slurm' -n 2 --dist loadfile $(PYTEST_ARGS)
	$(BIN)/python -m pytest -q -m 'not long and slurm' -n 3 --dist loadfile $(PYTEST_ARGS)

quick: $(STAMP)
	$(BIN)/python -m pytest -q -m '$(WITHOUT_COMPUTE)' $(PYTEST_ARGS) $(QUICK_TESTS)

# The base package and its tests without torch, for the Pythons that the constraints are not made for.
BASE := .venv-base
test-base:
	$(PYTHON) -m venv $(BASE)
	$(BASE)/bin/pip install --quiet --constraint constraints.txt --editable '.[analysis,engines,mpi,publish,video,dev]' pillow
	$(BASE)/bin/python -m pytest -m "$(WITHOUT_COMPUTE)" $(PYTEST_ARGS) $(BASE_TESTS)

# The lowest version of every direct dependency that pyproject.toml allows; what only passes bytes to
# other processes is left out, since versions do not change it.
LOWEST := .venv-lowest
test-lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) tools/lowest_versions.py >$(LOWEST)/constraints.txt
	$(LOWEST)/bin/pip install --quiet --constraint $(LOWEST)/constraints.txt scikit-build-core nanobind cmake ninja setuptools wheel
	$(LOWEST)/bin/pip install --quiet --constraint $(LOWEST)/constraints.txt --no-build-isolation \
	    --editable '.[compute,analysis,engines,mpi,publish,video,dev]'
	$(LOWEST)/bin/python -m pytest -q -m 'not slurm and not apptainer and not mpi and not programs and not long' \
	    -n 2 --dist loadfile $(PYTEST_ARGS)

# Injections by the thousand: minutes to hours. The tests do some of each.
faults: $(STAMP)
	PANIC_HPC_FAULT_CALLS=0 PANIC_HPC_FAULT_SEEDS=50 PANIC_HPC_FAULT_HISTORIES=20 \
	PANIC_HPC_FAULT_STATES=200 \
	    $(BIN)/python -m pytest -q -s --timeout 3600 tests/faults

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

# The documents as a site in build/site; a link that leads nowhere is an error.
docs: $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt mkdocs-material mkdocstrings-python
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

bench: $(STAMP)
	for bench in tools/bench_*.py; do $(BIN)/python $$bench || exit 1; done

image: $(STAMP)
	slurm/build-image

clean:
	rm -rf $(VENV) $(BASE) $(LOWEST) build $(DEMO)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[compute,analysis,engines,mpi,publish,video,dev]'
	touch $@
