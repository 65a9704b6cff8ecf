# Every target makes .venv itself when it is missing or stale. Another interpreter: make setup PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/
ARGS ?=
# Processes that the tests are dealt to, a file each at a time; every one computes in one thread.
WORKERS ?= 2

# Named by content, so that a checkout's new file times cost nothing; the folder is in it because an editable
# install does not survive a move.
INSTALLED := $(VENV)/installed-$(firstword $(shell { pwd; cat pyproject.toml constraints.txt; } | cksum))
# TRL is what we measure against, never a dependency: it has an environment of its own.
BENCH := .venv-bench
BENCHED := $(BENCH)/installed-$(firstword $(shell { pwd; cat constraints.txt benchmarks/constraints.txt; } | cksum))
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help setup demo office-study test check bench bench-agents docs docs-site test-docs wheel clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile | awk -F': ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup: $(INSTALLED)  ## make .venv with the pinned dependencies and this package (editable)
	@echo "$(VENV) is ready: $(RUN)understudy --help"

demo: $(INSTALLED)  ## build a tiny teacher and student, distil, evaluate, print the table
	$(RUN)understudy demo $(ARGS)

office-study: $(INSTALLED)  ## distil a tiny office worker and show whether it helped, in one page; ARGS="--seed 1 --out DIR"
	$(RUN)understudy office-study $(ARGS)

test: $(INSTALLED)  ## run the test suite; ARGS="tests/test_world.py -q" narrows it, WORKERS=8 is for more cores
	$(RUN)python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: $(INSTALLED)  ## lint, format, strict types, import layers
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports --no-logo

bench: $(INSTALLED) $(BENCHED)  ## time a training step against TRL's, half an hour; ARGS="--sizes S --rounds 1" is a look
	$(RUN)understudy bench speed --against-trl $(BENCH)/bin/python $(ARGS)

bench-agents: $(INSTALLED)  ## compare methods on many turns, an hour of one core; ARGS=--quick is a look
	$(RUN)understudy bench agents $(ARGS)

docs: $(INSTALLED)  ## write docs/methods/reference, docs/fields.md and the table of TRL's arguments from the code's own words
	$(RUN)understudy methods --markdown docs/methods/reference
	$(RUN)understudy fields --markdown docs/fields.md
	$(RUN)python -m benchmarks.trl_table docs/from-trl.md

docs-site: $(INSTALLED)  ## build the documentation's site into site/, strictly: a link that leads nowhere is an error
	$(RUN)python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(RUN)python -m docs_site.gather build/site-source
	NO_MKDOCS_2_WARNING=1 $(RUN)python -m mkdocs build --strict --quiet -f build/site-source/mkdocs.yml
	@echo "site/index.html"

test-docs: docs-site  ## build the site and look at its pages: dead links, requests to other hosts
	$(RUN)python -m docs_site.check site

wheel: $(INSTALLED)  ## build dist/understudy-*.whl and try it in a fresh environment; ARGS=demo runs the demo from it
	.ci/wheel $(ARGS)

clean:  ## remove .venv, .venv-bench, caches and build products; runs/ stays
	rm -rf $(VENV) $(BENCH) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info

# A .venv made here is brought up to date in place; one that is broken or was moved here is made again.
$(INSTALLED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "understudy needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
	        "Name another one: make $(or $(firstword $(MAKECMDGOALS)),setup) PYTHON=python3.12" >&2; exit 1; }
	@if ! { grep -qsF "$(CURDIR)/$(VENV)" $(VENV)/pyvenv.cfg && $(VENV)/bin/python -m pip --version >/dev/null 2>&1; }; \
	then echo "[1/3] $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV); fi
	@echo "[2/3] $(TORCH) (the largest part; minutes on a slow line)"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	@echo "[3/3] the other pinned dependencies and this package"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@rm -f $(VENV)/installed-*; touch $@

$(BENCHED):
	@echo "[1/1] $(BENCH) with $(TORCH) and $$(cat benchmarks/constraints.txt) (minutes on a slow line)"
	@grep -qsF "$(CURDIR)/$(BENCH)" $(BENCH)/pyvenv.cfg || $(PYTHON) -m venv --clear $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r benchmarks/constraints.txt
	@rm -f $(BENCH)/installed-*; touch $@
