# Keydeck's two commands are `make run` and `make test`; the rest are their parts.
# Everything is installed into .venv from hash-pinned lists; a second start installs nothing.

PORT ?= 8000
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run install test check format bench prove-fleet lock browser-packages

run: .venv/installed-run
	@KEYDECK_SANDBOX=$${KEYDECK_SANDBOX:-on} KEYDECK_PORT=$(PORT) KEYDECK_LOG_FORMAT=$${KEYDECK_LOG_FORMAT:-text} \
	 KEYDECK_PUBLIC_URL=$${KEYDECK_PUBLIC_URL:-http://127.0.0.1:$(PORT)} sh -c '$(BIN)/keydeck migrate && exec $(BIN)/keydeck serve'

install: .venv/installed-run

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Keydeck needs Python 3.11 or newer (PYTHON=... to choose one)"; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/installed-run: requirements/run.txt | .venv/bin/python
	@echo "Installing Keydeck's packages into .venv (once)"
	@$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements/run.txt
	@printf '#!/bin/sh\ncd "$(CURDIR)" && exec "$(CURDIR)/$(BIN)/python" -m app "$$@"\n' > $(BIN)/keydeck && chmod +x $(BIN)/keydeck
	@touch $@

.venv/installed-test: requirements/test.txt .venv/installed-run
	@echo "Installing the test packages into .venv (once)"
	@$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements/test.txt
	@touch $@

test: check
	@sh tests/install-packages.sh
	@$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

check: .venv/installed-test
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > .venv/imports.txt || { cat .venv/imports.txt; exit 1; }
	@$(BIN)/djlint templates --lint --quiet
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	@echo "Static checks passed"

format: .venv/installed-test
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

bench: .venv/installed-test
	@for script in benchmarks/*.py; do $(BIN)/python $$script; done

# Ten minutes and more: 2,000 keys, four processes killed and paused at random (tests/fleet; `make test` runs a short form).
prove-fleet: .venv/installed-test
	@KEYDECK_FLEET=full $(BIN)/pytest tests/fleet -n0 -s

lock: .venv/bin/python
	@uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/run.txt
	@uv pip compile pyproject.toml --extra test --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/test.txt
