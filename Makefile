# Everything a person or a machine does with this project. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: help run serve install install-dev test lint bench services stop status backup lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.installed ## Start everything with demo data on http://127.0.0.1:$PORT (8000); Ctrl-C stops it
	@$(PY) -m core.embedded run --demo

serve: $(VENV)/.installed ## Start everything without demo data; settings come from the environment (docs/operations.md)
	@$(PY) -m core.embedded run

test: $(VENV)/.installed-dev ## Run the whole test suite (ARGS="-k name" narrows it)
	@$(PY) -m core.embedded exec -- $(PY) -m pytest -n 2 $(ARGS)

lint: $(VENV)/.installed-dev ## Check style and formatting
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

bench: $(VENV)/.installed-dev ## Measure speed and print medians beside their floors (ARGS="click" for one)
	@$(PY) -m core.embedded exec -- $(PY) -m bench $(ARGS)

install: $(VENV)/.installed ## Create the virtualenv with the pinned packages
install-dev: $(VENV)/.installed-dev ## The same, with what tests and linting need

services: $(VENV)/.installed ## Start the embedded PostgreSQL and Redis and leave them running
	@$(PY) -m core.embedded start

stop: ## Stop whatever of this project still runs
	@test ! -x $(PY) || $(PY) -m core.embedded stop

status: $(VENV)/.installed ## Say what runs
	@$(PY) -m core.embedded status || true

backup: $(VENV)/.installed ## Write a dump of the database into var/backups
	@$(PY) -m core.embedded exec -- sh -c 'umask 077; mkdir -p "$${VAR_DIR:-var}/backups"; \
	  file="$${VAR_DIR:-var}/backups/$$(date -u +%Y%m%dT%H%M%SZ).dump"; \
	  pg_dump --format=custom --no-owner --file "$$file" "$$DATABASE_URL" && echo "$$file"'

COMPILE := $(VENV)/bin/pip-compile -q --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
lock: $(VENV)/.installed-dev ## Compile requirements*.in into pinned requirements*.txt (ARGS=--upgrade for newer ones)
	@$(COMPILE) $(ARGS) -o requirements.txt requirements.in
	@$(COMPILE) $(ARGS) --allow-unsafe -o requirements-dev.txt requirements-dev.in

clean: stop ## Remove the virtualenv and caches; data in var/ stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

# The first Python that runs and is new enough; before 3.13 a Redis comes with the packages.
$(PY):
	@for candidate in $(PYTHON) python3.12 python3.11 python3 python3.13 python3.14; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$${found-}" ]; then \
	  echo "Python 3.11 or newer is needed; found: $$(python3 --version 2>&1 || echo none). Set PYTHON=/path/to/python." >&2; exit 1; \
	fi; \
	echo "Creating $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "The virtualenv could not be made; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: requirements.txt | $(PY)
	@echo "Installing packages (once)"
	@$(PY) -m pip install -q -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(PY)
	@echo "Installing packages for development (once)"
	@$(PY) -m pip install -q -r requirements-dev.txt
	@touch $@ $(VENV)/.installed
