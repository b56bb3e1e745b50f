# Everything needs only Python 3.11 or newer and make; each target sets up what it needs.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes
TESTS ?= tests
DRILLS ?= tests/drills
CATALOGUES := $(wildcard translations/*/LC_MESSAGES/messages.po)

.PHONY: run test check bench drill lock format translations clean help

help:  ## This list.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/run $(VENV)/catalogues  ## Start web server, worker and payment sandbox (PORT, INSTANCE_DIR).
	@$(BIN)/python -m ops.run

test: $(VENV)/dev $(VENV)/catalogues  ## All tests, on SQLite and PostgreSQL (TEST_DATABASE_URL names another server).
	$(BIN)/python -m pytest -n auto --dist loadscope $(TESTS)

check: $(VENV)/dev $(VENV)/catalogues  ## Style, types, imports between packages, migrations, translations.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_migrations.py tests/pages/test_translations.py

bench: $(VENV)/dev $(VENV)/catalogues  ## Measure what is promised: short links, big print runs, totals at a million donations.
	$(BIN)/python -m benchmarks.redirect
	$(BIN)/python -m benchmarks.posters
	$(BIN)/python -m benchmarks.totals
	$(BIN)/python -m benchmarks.exports

drill: $(VENV)/dev $(VENV)/catalogues  ## Kill processes at random, press one button fifty times at once, guess codes; both databases.
	$(BIN)/python -m pytest -m drill tests/drills

format: $(VENV)/dev  ## Bring the code into its style.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

translations: $(VENV)/dev  ## Collect texts anew into the catalogues, for translating.
	$(BIN)/pybabel -q extract -F babel.cfg -k _l -k lazy_gettext --no-location --sort-output -o $(VENV)/messages.pot .
	$(BIN)/pybabel -q update -i $(VENV)/messages.pot -d translations --no-fuzzy-matching --ignore-obsolete

lock: $(VENV)/dev  ## Compile requirements*.in to the pinned lists.
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements-dev.in -o requirements-dev.txt

clean:  ## Remove what the other targets made, except INSTANCE_DIR.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find translations -name '*.mo' -delete

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: requirements.txt | $(BIN)/python
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/dev: requirements-dev.txt | $(BIN)/python
	$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/run

$(VENV)/catalogues: $(CATALOGUES) | $(VENV)/run
	@if [ -n "$(CATALOGUES)" ]; then $(BIN)/pybabel -q compile -d translations; fi
	@touch $@
