# make demo     sets everything up and takes one experiment from its file to a dataset and pictures
# make test     sets everything up, what tests need of the system included, and passes the tests
# make test-long  the long tests: those of make test over more seeds, sizes and models
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

.PHONY: demo test test-long faults quick test-base test-lowest check docs bench image clean

demo: $(STAMP)
	$(BIN)/panic-hpc demo $(DEMO)

# Files are begun in the order of tests/conftest.py, the longest first.
IN_FILES := --dist loadfile --no-loadscope-reorder

# Four processes for two cores, as tests of a real Slurm do little else than wait; each file of
# those has a testbed of its own.
test: $(STAMP)
	tests/install-system
	$(BIN)/python -m pytest -q -m 'not long' -n 4 $(IN_FILES) $(PYTEST_ARGS)

# What make test has a part of: more seeds, sizes, faults and models of the same tests, and examples
# of Hypothesis that are others every time.
test-long: $(STAMP)
	$(BIN)/python -m pytest -q -m 'long and not apptainer' -n 3 $(IN_FILES) \
	    --timeout 900 $(PYTEST_ARGS)
	$(BIN)/python -m pytest -q -m hypothesis --hypothesis-profile others -n 3 $(IN_FILES)

quick: $(STAMP)
	$(BIN)/python -m pytest -q -m '$(WITHOUT_COMPUTE)' $(PYTEST_ARGS) $(QUICK_TESTS)

# The base package and its tests without torch, for the Pythons that the constraints are not made for.
BASE := .venv-base
test-base:
	$(PYTHON) -m venv $(BASE)
	$(BASE)/bin/pip install --quiet --constraint constraints.txt --editable '.[analysis,engines,mpi,publish,video,energy,search,survival,tensorboard,dev]' pillow
	$(BASE)/bin/python -m pytest -m "$(WITHOUT_COMPUTE)" $(PYTEST_ARGS) $(BASE_TESTS)

# The lowest version of every direct dependency that pyproject.toml allows, and for each of them the
# tests that use all that we call of it (tools/checks/lowest_versions.py has the table): the other tests ask
# the same calls again, or none, and all of them would take half an hour.
LOWEST := .venv-lowest
LOWEST_TESTS ?= $(shell $(PYTHON) tools/checks/lowest_versions.py --tests)
test-lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) tools/checks/lowest_versions.py >$(LOWEST)/constraints.txt
	$(LOWEST)/bin/pip install --quiet --constraint $(LOWEST)/constraints.txt scikit-build-core nanobind cmake ninja setuptools wheel
	$(LOWEST)/bin/pip install --quiet --constraint $(LOWEST)/constraints.txt --no-build-isolation \
	    --editable '.[compute,analysis,engines,mpi,publish,video,energy,search,survival,tensorboard,dev]'
	$(LOWEST)/bin/python -m pytest -q -m 'not slurm and not apptainer and not programs and not long' \
	    -n 2 --dist loadfile $(PYTEST_ARGS) $(LOWEST_TESTS)

# Injections by the thousand, about an hour on two idle cores; the counts are printed at the end. The
# tests do some of each; here the long ones too. PANIC_HPC_FAULT_CALLS=0 fails every call there is,
# 19,500 of them.
faults: $(STAMP)
	PANIC_HPC_FAULT_CALLS=20 PANIC_HPC_FAULT_SEEDS=50 PANIC_HPC_FAULT_HISTORIES=46 \
	PANIC_HPC_FAULT_STATES=200 PANIC_HPC_FAULT_WORLDS=100000 PANIC_HPC_FAULT_SAFEGUARDS=1 \
	    $(BIN)/python -m pytest -q -m '' -k 'not third' -n 2 --dist loadfile --timeout 3600 tests/faults

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

# The documents as a site in build/site; a link that leads nowhere is an error. So is a pin that the
# oldest Python cannot install: here all that is pinned is installed.
docs: $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt mkdocs-material mkdocstrings-python
	$(BIN)/python tools/checks/check_pins.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

# Within half an hour on a quiet machine, with a table of ratios at the end; each program's --help has
# the long rows. Peers that cannot be installed are named and not compared. BENCH_ARGS='--only homology'
PEERS ?= redzed-tda ripser holos-tda
BENCH_ARGS ?=
bench: $(STAMP)
	-$(BIN)/pip install --quiet --constraint constraints.txt $(PEERS)
	$(BIN)/python tools/bench.py $(BENCH_ARGS)

image: $(STAMP)
	slurm/build-image

clean:
	rm -rf $(VENV) $(BASE) $(LOWEST) build $(DEMO)

$(STAMP): pyproject.toml constraints.txt $(wildcard panic_hpc/*/native/* panic_hpc/*/native/*/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[compute,analysis,engines,mpi,publish,video,energy,search,survival,tensorboard,dev]'
	touch $@
