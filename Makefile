# `make demo` and `make test` set up everything that they need, also on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARALLEL := -n auto --maxprocesses 8 --dist worksteal
export NO_ALBUMENTATIONS_UPDATE := 1
unexport PYTHONDONTWRITEBYTECODE  # with it, each of some hundred processes would compile torch's Python sources again

.PHONY: demo test docs elsewhere lint types clean

demo: $(VENV)/demo        ## set up, train on the built-in pictures, translate, write a gallery
	$(BIN)/cyclegan demo

test: lint types          ## set up, lint, types, tests
	$(BIN)/python -m pytest $(PARALLEL)

docs: $(VENV)/docs        ## build the documentation in site/; open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

elsewhere: $(VENV)/dev    ## tests under other instruction sets, threads, users, languages, Pythons, libraries
	$(BIN)/python tests/elsewhere.py $(PARALLEL)

# Threads of each test worker; there is one worker per core.
test elsewhere: export OMP_NUM_THREADS ?= 1

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/codespell

types: $(VENV)/dev        ## the second run checks that nothing is used that Windows lacks
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/windows cyclegan experiments

# A marker file for each set of extras, so that a second `make` does not install again.
$(VENV)/%: pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable ".[$*]"
	@touch $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "cyclegan needs Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv

clean:                    ## remove the environment, caches and run folders of the demo
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage runs/demo runs/elsewhere
