## A target is a verb of `python -m scripts` in an environment of its own: .venv, installed when a lock file changes.
## A line `target: ... ## Group: text` is shown by `make help`.

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?=
UV ?= uv
RUN = .venv/bin/python -m scripts
PIP_INSTALL = -m pip install -qq --disable-pip-version-check --require-hashes -r

.PHONY: help up down status logs bootstrap smoke alerts alerts-check exporter canary destroy test lint types bench docs lock-python

help: ## Help: show this; explain a group or all [GROUP=]
	@echo "Langfuse Stack: make TARGET [SETTING=value ...]"
	@awk -v group=$(GROUP) -f scripts/help.awk $(MAKEFILE_LIST)
	@echo "More on a group: make help GROUP=watch (or all). First steps: README.md."

up: .venv/.runtime ## Run: start Langfuse with projects, keys, a login [ENGINE=]
	@$(RUN) up

down: .venv/.runtime ## Run: stop it; data and keys stay
	@$(RUN) down

status: .venv/.runtime ## Run: engine, health, URL, data, uptime [JSON=1]
	@$(RUN) status $(if $(JSON),--json)

logs: .venv/.runtime ## Run: last log lines [SERVICE= FOLLOW=1]
	@$(RUN) logs $(if $(FOLLOW),--follow) $(SERVICE)

bootstrap: .venv/.runtime ## Run: create what config/stack.yaml asks for [DRY_RUN=1]
	@$(RUN) bootstrap $(if $(DRY_RUN),--dry-run)

destroy: .venv/.runtime ## Run: delete all data, after a question [YES=1 DRY_RUN=1]
	@$(RUN) destroy $(if $(YES),--yes) $(if $(DRY_RUN),--dry-run)

smoke: .venv/.runtime ## Run: smoke tests of the running stack [BASE_URL= ARGS=]
	@$(RUN) smoke $(ARGS)

alerts: .venv/.runtime ## Watch: compile config/alerts.yaml for Prometheus [DRY_RUN=1]
	@$(RUN) alerts $(if $(DRY_RUN),--dry-run)

alerts-check: .venv/.runtime ## Watch: evaluate all alerts now [PROJECT=]
	@$(RUN) alerts-check $(if $(PROJECT),--project $(PROJECT))

exporter: .venv/.runtime ## Watch: serve Prometheus metrics until stopped
	@$(RUN) exporter

canary: .venv/.runtime ## Watch: write a span and a score, read them back
	@$(RUN) canary

bench: .venv/.dev ## Check: speed and footprint of the embedded engine
	@.venv/bin/python -m benchmarks.engine $(ARGS)

test: .venv/.dev .venv-sdk4/.runtime ## Develop: all tests that need no Docker
	@$(RUN) selftest --sdk4-python .venv-sdk4/bin/python

lint: .venv/.dev ## Develop: style, and whether generated documents are up to date
	@.venv/bin/ruff check --quiet . && .venv/bin/ruff format --quiet --check . && $(RUN) docs --check

types: .venv/.dev ## Develop: static types
	@.venv/bin/mypy

docs: .venv/.runtime ## Develop: regenerate .env.example and the settings page
	@$(RUN) docs

lock-python: ## Develop: resolve the Python lock files anew (needs uv)
	@for lock in "requirements.lock pyproject.toml" "requirements-dev.lock pyproject.toml --extra dev" \
	  "requirements-sdk4.lock requirements-sdk4.in"; do \
	  set -- $$lock; output=$$1; shift; \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --custom-compile-command 'make lock-python' --output-file "$$output" "$$@" || exit 1; \
	done

## Environments. A stamp is newer than its lock file when everything is installed.

.venv/bin/python .venv-sdk4/bin/python:
	@python=$$(sh scripts/find-python.sh $(PYTHON)) && $$python -m venv $(@D)/.. || { \
	  rm -rf $(@D)/..; \
	  echo "error: the environment $(@D) could not be made." >&2; \
	  echo "fix: install Python 3.11 or later with venv (Debian: apt install python3-venv)." >&2; exit 1; }

.venv/.runtime: requirements.lock | .venv/bin/python
	@echo "Installing Python packages into .venv (up to a minute) ..." >&2
	@.venv/bin/python $(PIP_INSTALL) requirements.lock
	@touch $@

.venv/.dev: requirements-dev.lock | .venv/bin/python
	@echo "Installing Python packages for development into .venv (up to a minute) ..." >&2
	@.venv/bin/python $(PIP_INSTALL) requirements-dev.lock
	@touch $@ .venv/.runtime

.venv-sdk4/.runtime: requirements-sdk4.lock | .venv-sdk4/bin/python
	@echo "Installing SDK 4 into .venv-sdk4 ..." >&2
	@.venv-sdk4/bin/python $(PIP_INSTALL) requirements-sdk4.lock
	@touch $@
