# The one task runner; every target sets itself up. Needs Python 3.11 or newer and make.
PYTHON ?= python3
PROFILE ?= paper
BIN := .venv/bin
INDEX := book/_build/html/index.html
# What the HTML is made of; the library, since the reference comes from its docstrings.
PAGES := $(shell find book ikpaper -name _build -prune -o -name __pycache__ -prune -o -type f -print)

.PHONY: help book pages html pdf reproduce test test-all bench ablations lint format notebooks lock clean
.DELETE_ON_ERROR:

help:
	@echo "make book       run the pages that are not current, build the HTML (or PROFILE=quick)"
	@echo "make reproduce  run every page anew and compare each number with the published one"
	@echo "make test       run the tests that decide correctness (minutes)"
	@echo "make test-all   run all tests: the long ones, and those of the committed book"
	@echo "make html       build the HTML from the pages as they are"
	@echo "make pdf        print the book as one PDF (needs Chromium)"
	@echo "make bench      measure speed against the reference implementation (long; best on an idle machine)"
	@echo "make ablations  train and score what differs in one choice (hours; it resumes)"
	@echo "make lint       style and types"
	@echo "make notebooks  bring notebooks/*.ipynb in step with notebooks/*.py"
	@echo "make lock       pin anew what pyproject.toml asks for"
	@echo "make clean      remove the built HTML and caches"

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $$($(PYTHON) --version) is too old; set PYTHON to Python 3.11 or newer" >&2; exit 1; }
	@echo "Setting up .venv from requirements.lock"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock -e .
	@touch $@

pages: .venv/ready
# What is published is evaluated as it is; models of the other profiles are trained here.
ifneq ($(PROFILE),paper)
	@$(BIN)/ikpaper train --all --profile $(PROFILE) --retries 3
endif
	@$(BIN)/ikpaper report --profile $(PROFILE)

html: $(INDEX)
	@echo "The book is in $(CURDIR)/$(INDEX)"

# Built from clean: Sphinx would keep numbers of pages that changed.
$(INDEX): .venv/ready $(PAGES)
	@rm -rf book/_build
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter-book build -q -W -n --keep-going book/

# Printed from the book on one page; it has an outline, and links that stay within it.
pdf: .venv/ready
	@rm -rf book/_build/singlehtml book/_build/.doctrees
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter-book build -q -W -n --keep-going --builder singlehtml book/
	@$(BIN)/python -m ikpaper.report.pdf book/_build/singlehtml/index.html book/_build/ikpaper.pdf
	@echo "The book is in $(CURDIR)/book/_build/ikpaper.pdf"

book: pages
	@$(MAKE) --no-print-directory html

reproduce: .venv/ready
	@$(BIN)/ikpaper reproduce

test: .venv/ready
	@$(BIN)/python -m pytest -q -m "not slow" --ignore=tests/book

test-all: test
	@$(BIN)/python -m pytest -q -m slow --ignore=tests/book
	@$(BIN)/python -m pytest -q tests/book

bench: .venv/ready
	@$(BIN)/python -m benchmarks
	@for what in "many targets" c2st; do OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks --only "$$what"; done
	@# Both sides use large blocks of memory over and over: to get them from the system each time would take longer than the test.
	@for threads in "" OMP_NUM_THREADS=1; do env $$threads MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_MMAP_THRESHOLD_=4000000000 $(BIN)/python -m benchmarks --only "permutation test"; done

ablations: .venv/ready
	@$(BIN)/ikpaper ablate

lint: .venv/ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: .venv/ready
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

notebooks: .venv/ready
	@$(BIN)/jupytext --quiet --update --to ipynb notebooks/*.py

lock:
	@rm -rf .venv/lock && $(PYTHON) -m venv .venv/lock
	@.venv/lock/bin/python -m pip install --quiet "torch==2.13.0" ".[book,search,dev]"
	@{ echo "# Made by 'make lock' from pyproject.toml. torch is asked for by this exact version so that"; \
	   echo "# no newer one comes in; on Linux see the README for its build without CUDA."; \
	   .venv/lock/bin/python -m pip freeze --all --exclude pip --exclude ikpaper | sed 's/+cpu$$//'; } > requirements.lock.new
	@.venv/lock/bin/python -m pip install --quiet --constraint requirements.lock.new ".[baselines]"
	@{ echo "# Made by 'make lock' from pyproject.toml: what sbi needs beside requirements.lock, which holds"; \
	   echo "# for both. Apart from it, since only 'ikpaper baselines' needs sbi: a book builds without."; \
	   .venv/lock/bin/python -m pip freeze --all --exclude pip --exclude ikpaper | sed 's/+cpu$$//' \
	     | grep -vxFf requirements.lock.new; } > requirements-baselines.lock.new
	@mv requirements.lock.new requirements.lock
	@mv requirements-baselines.lock.new requirements-baselines.lock
	@rm -rf .venv/lock

clean:
	rm -rf book/_build .cache .pytest_cache .mypy_cache .ruff_cache
