# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARALLEL := -n auto --maxprocesses 8 --dist worksteal
export NO_ALBUMENTATIONS_UPDATE := 1
unexport PYTHONDONTWRITEBYTECODE  # each of some hundred processes would compile torch's sources anew

.PHONY: demo test docs elsewhere lint types clean

demo: $(VENV)/demo        ## set up, train on the built-in pictures, translate, show
	$(BIN)/cyclegan demo

test: lint types          ## set up, lint, types, tests
	$(BIN)/python -m pytest $(PARALLEL)

docs: $(VENV)/docs        ## the site, in site/: open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

elsewhere: $(VENV)/dev    ## the tests as on other machines: instruction sets, threads, users, languages, Pythons, libraries
	$(BIN)/python tests/elsewhere.py $(PARALLEL)

# Of each worker; there are as many of them as cores.
test elsewhere: export OMP_NUM_THREADS ?= 1

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg
	$(BIN)/codespell

types: $(VENV)/dev        ## the second run asks for nothing that Windows lacks
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/windows cyclegan experiments

# A marker file for each set of extras, so that a second `make` starts at once.
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
