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

.PHONY: help up down status logs pull lock images-save images-load bootstrap plan validate credentials export-config smoke alerts alerts-check exporter dashboard report canary backup backups backup-verify restore reconcile export import promote retention erase destroy test test-slow test-clients rehearse fake-llm api-reference lint audit types bench doctor capacity kubernetes-render docs lock-python trust reload-tls bundle install-bundle sbom rotate support-bundle upgrade rollback repair-migration

help: ## Help: show this; explain a group or all [GROUP=]
	@echo "Langfuse Stack: make TARGET [SETTING=value ...]"
	@awk -v group=$(GROUP) -f scripts/help.awk $(MAKEFILE_LIST)
	@echo "More on a group: make help GROUP=watch (or all). First steps: README.md."

up: .venv/.runtime ## Run: start Langfuse with projects, keys, a login [ENGINE=]
	@$(RUN) up

down: .venv/.runtime ## Run: stop it; data and keys stay
	@$(RUN) down

status: .venv/.runtime ## Run: health, URL, memory, restarts, data [JSON=1]
	@$(RUN) status $(if $(JSON),--json)

logs: .venv/.runtime ## Run: last log lines [SERVICE= FOLLOW=1]
	@$(RUN) logs $(if $(FOLLOW),--follow) $(SERVICE)

bootstrap: .venv/.runtime ## Run: make the server what config/ describes [PRUNE=1 YES=1]
	@$(RUN) bootstrap $(if $(DRY_RUN),--dry-run) $(if $(PRUNE),--prune) $(if $(YES),--yes) $(if $(JSON),--json)

plan: .venv/.runtime ## Config: what bootstrap would change [CHECK=1 PRUNE=1 JSON=1]
	@$(RUN) plan $(if $(CHECK),--check) $(if $(PRUNE),--prune) $(if $(JSON),--json)

validate: .venv/.runtime ## Config: check the files, without a server
	@$(RUN) validate

credentials: .venv/.runtime ## Config: print a key [PROJECT= KEY= FORMAT=]
	@$(RUN) credentials $(if $(PROJECT),--project $(PROJECT)) $(if $(KEY),--key $(KEY)) $(if $(FORMAT),--format $(FORMAT))

export-config: .venv/.runtime ## Config: write config files [INTO= PROJECT= BASE_URL=]
	@$(RUN) export-config --into $(INTO) $(if $(PROJECT),--project $(PROJECT)) $(if $(BASE_URL),--base-url $(BASE_URL))

destroy: .venv/.runtime ## Run: delete all data, after a question [YES=1 DRY_RUN=1]
	@$(RUN) destroy $(if $(YES),--yes) $(if $(DRY_RUN),--dry-run)

pull: .venv/.runtime ## Images: bring the images of the compose stack
	@$(RUN) pull

lock: .venv/.runtime ## Images: pin them by digest in images.lock [DRY_RUN=1]
	@$(RUN) lock $(if $(DRY_RUN),--dry-run)

images-save: .venv/.runtime ## Images: write them to a file with checksums [FILE=]
	@$(RUN) images save $(FILE)

images-load: .venv/.runtime ## Images: load such a file, checked [FILE= DRY_RUN=1]
	@$(RUN) images load $(FILE) $(if $(DRY_RUN),--dry-run)

smoke: .venv/.runtime ## Run: smoke tests of the running stack [BASE_URL= ARGS=]
	@$(RUN) smoke $(ARGS)

backup: .venv/.runtime ## Data: save everything, encrypted, as one set [DRY_RUN=1]
	@$(RUN) backup $(if $(DRY_RUN),--dry-run)

backups: .venv/.runtime ## Data: list the backups [JSON=1]
	@$(RUN) backups $(if $(JSON),--json)

backup-verify: .venv/.runtime ## Data: prove that it restores [BACKUP= READ_ALL=1]
	@$(RUN) backup-verify $(if $(BACKUP),--backup $(BACKUP)) $(if $(READ_ALL),--read-all)

restore: .venv/.runtime ## Data: bring a backup back [BACKUP= REPLACE=1 ONLY= SMOKE=0]
	@$(RUN) restore $(if $(BACKUP),--backup $(BACKUP)) $(if $(DRY_RUN),--dry-run) $(if $(REPLACE),--replace) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(filter 0,$(SMOKE)),--no-smoke)

reconcile: .venv/.runtime ## Data: replay what was acknowledged but lost [SINCE= CHECK=1]
	@$(RUN) reconcile $(if $(SINCE),--since $(SINCE)) $(if $(CHECK),--check)

export: .venv/.runtime ## Data: write files [INTO= PROJECT= FORMAT=parquet|jsonl|csv]
	@$(RUN) export --into $(INTO) $(if $(PROJECT),--project $(PROJECT)) $(if $(FORMAT),--format $(FORMAT)) $(ARGS)

import: .venv/.runtime ## Data: load an export [FROM= PROJECT= BASE_URL= DRY_RUN=1]
	@$(RUN) import $(FROM) $(if $(PROJECT),--project $(PROJECT)) $(if $(BASE_URL),--base-url $(BASE_URL)) \
	  $(if $(DRY_RUN),--dry-run)

promote: .venv/.runtime ## Data: from the embedded to the compose engine [DRY_RUN=1]
	@$(RUN) promote $(if $(DRY_RUN),--dry-run)

retention: .venv/.runtime ## Data: traces that are too old [APPLY=1]
	@$(RUN) retention $(if $(APPLY),--apply)

erase: .venv/.runtime ## Data: a USER_ID=, SESSION_ID=, TRACE_ID= or TAG= [APPLY=1]
	@$(RUN) erase $(if $(USER_ID),user '$(USER_ID)') $(if $(SESSION_ID),session '$(SESSION_ID)') \
	  $(if $(TRACE_ID),trace '$(TRACE_ID)') $(if $(TAG),tag '$(TAG)') $(if $(APPLY),--apply) $(if $(BY),--by '$(BY)')

upgrade: .venv/.runtime ## Data: to another version [TO= CHECK=1 YES=1 SMOKE=0 ALLOW=]
	@$(RUN) upgrade $(TO) $(if $(CHECK),--check) $(if $(YES),--yes) $(if $(filter 0,$(SMOKE)),--no-smoke) \
	  $(if $(ALLOW),--allow $(ALLOW))

rollback: .venv/.runtime ## Data: to before the last upgrade [CHECK=1 YES=1]
	@$(RUN) rollback $(if $(CHECK),--check) $(if $(YES),--yes)

repair-migration: .venv/.runtime ## Data: finish a dirty ClickHouse migration [DRY_RUN=1]
	@$(RUN) repair-migration $(if $(DRY_RUN),--dry-run) $(if $(YES),--yes)

alerts: .venv/.runtime ## Watch: compile config/alerts.yaml for Prometheus [DRY_RUN=1]
	@$(RUN) alerts $(if $(DRY_RUN),--dry-run)

alerts-check: .venv/.runtime ## Watch: evaluate all alerts now [PROJECT=]
	@$(RUN) alerts-check $(if $(PROJECT),--project $(PROJECT))

exporter: .venv/.runtime ## Watch: serve Prometheus metrics until stopped
	@$(RUN) exporter

dashboard: .venv/.runtime ## Watch: cost, quality and alerts as an HTML page [OUTPUT=]
	@$(RUN) dashboard $(if $(OUTPUT),--output $(OUTPUT))

report: .venv/.runtime ## Watch: cost, latency, errors, scores in files [PROJECT= INTO=]
	@$(RUN) report $(if $(PROJECT),--project $(PROJECT)) $(if $(INTO),--into $(INTO))

canary: .venv/.runtime ## Watch: write a span and a score, read them back
	@$(RUN) canary

doctor: .venv/.runtime ## Check: what is wrong and its fix [ONLY= VERBOSE=1 FIX=1]
	@$(RUN) doctor $(if $(ONLY),--only $(ONLY)) $(if $(VERBOSE),--verbose) $(if $(JSON),--json) $(if $(FIX),--fix) \
	  $(if $(DRY_RUN),--dry-run) $(if $(YES),--yes) $(if $(READ_ONLY),--read-only)

kubernetes-render: .venv/.runtime ## Config: Helm values and manifests [SIZE= INTO= ARGS=]
	@$(RUN) kubernetes-render $(if $(SIZE),--size $(SIZE)) $(if $(INTO),--into $(INTO)) $(ARGS)

capacity: .venv/.runtime ## Check: what a load needs [SPANS_PER_S= RETENTION_DAYS= ARGS=]
	@$(RUN) capacity --spans-per-s $(or $(SPANS_PER_S),10) $(if $(RETENTION_DAYS),--retention-days $(RETENTION_DAYS)) \
	  $(if $(INTO),--into $(INTO)) $(if $(JSON),--json) $(ARGS)

rotate: .venv/.runtime ## Config: new value of a secret [SECRET= DRY_RUN=1 UNDO=1]
	@$(RUN) rotate $(SECRET) $(if $(DRY_RUN),--dry-run) $(if $(YES),--yes) $(if $(UNDO),--undo) $(if $(USER_EMAIL),--user $(USER_EMAIL))

support-bundle: .venv/.runtime ## Check: what others need to help, without secrets [INTO=]
	@$(RUN) support-bundle $(if $(INTO),--into $(INTO))

bench: .venv/.dev ## Check: speed and footprint of the embedded engine
	@.venv/bin/python -m benchmarks.engine $(ARGS)

test: .venv/.dev .venv-sdk4/.runtime ## Develop: tests of the code, smoke tests with two SDK lines
	@$(RUN) selftest --sdk4-python .venv-sdk4/bin/python

test-slow: .venv/.dev .venv-tools/.runtime ## Develop: alerts, backups, browser, API description: minutes
	@.venv/bin/python -m pytest -q -n 2 -m slow tests/unit tests/embedded $(ARGS)

test-clients: .venv/.dev .venv-clients/.runtime build/js-client/.installed ## Develop: official clients against the embedded engine
	@.venv/bin/python -m pytest -q tests/clients $(ARGS)

rehearse: .venv/.dev ## Develop: compose stack on stand-in images [YES=1 ARGS=]
	@$(RUN) rehearse $(if $(YES),--yes) $(ARGS)

fake-llm: .venv/.runtime ## Develop: a stand-in for an OpenAI-compatible server [PORT=]
	@.venv/bin/python examples/fake_llm.py $(if $(PORT),--port $(PORT))

## Shell scripts are found by their first line.
lint: .venv/.dev .venv-tools/.runtime ## Develop: style, shell, Dockerfiles, CI, generated documents
	@.venv/bin/ruff check --quiet . && .venv/bin/ruff format --quiet --check . && $(RUN) docs --check
	@git grep -lE '^#!.*[/ ](ba)?sh$$' | xargs .venv-tools/bin/shellcheck
	@git ls-files '*Dockerfile' | xargs .venv-tools/bin/hadolint
	@.venv-tools/bin/zizmor --offline --quiet --no-progress .github

bundle: .venv/.runtime ## Config: all for a host without network [FILE= KEY= IMAGES=0]
	@$(RUN) bundle $(if $(KEY),--key $(KEY)) $(if $(filter 0,$(IMAGES)),--no-images) $(FILE)

install-bundle: ## Config: check and install a bundle [FILE= INTO= SIGNERS=]
	@sh scripts/install-bundle.sh '$(FILE)' '$(INTO)' '$(SIGNERS)'

trust: .venv/.runtime ## Config: root certificate of the stack's own authority
	@$(RUN) trust

reload-tls: .venv/.runtime ## Config: read your TLS files again
	@$(RUN) reload-tls

audit: .venv/.runtime .venv-tools/.runtime ## Develop: known vulnerabilities of packages [ARGS=--required]
	@$(RUN) audit $(ARGS)

sbom: .venv/.runtime ## Develop: list of packages and images, CycloneDX [OUTPUT=]
	@$(RUN) sbom $(if $(OUTPUT),--output $(OUTPUT))

types: .venv/.dev ## Develop: static types
	@.venv/bin/mypy

docs: .venv/.runtime ## Develop: regenerate .env.example and the settings page
	@$(RUN) docs

api-reference: .venv/.dev ## Develop: run the tests, write docs/reference/embedded-api.md
	@rm -rf build/operations
	@.venv/bin/python -m pytest -q -n 2 -p tests.operation_recorder tests/embedded
	@.venv/bin/python -m tests.api_reference --record

lock-python: ## Develop: resolve the Python lock files anew (needs uv)
	@for lock in "requirements.lock pyproject.toml" "requirements-dev.lock pyproject.toml --extra dev" \
	  "requirements-sdk4.lock requirements-sdk4.in" "requirements-clients.lock requirements-clients.in" \
	  "requirements-tools.lock requirements-tools.in"; do \
	  set -- $$lock; output=$$1; shift; \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --custom-compile-command 'make lock-python' --output-file "$$output" "$$@" || exit 1; \
	done

## Environments. A stamp is newer than its lock file when everything is installed.

.venv/bin/python .venv-sdk4/bin/python .venv-clients/bin/python .venv-tools/bin/python:
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

.venv-clients/.runtime: requirements-clients.lock | .venv-clients/bin/python
	@echo "Installing clients and instrumentations into .venv-clients (up to a minute) ..." >&2
	@.venv-clients/bin/python $(PIP_INSTALL) requirements-clients.lock
	@touch $@

## Wheels only: a source package of such a program would download it from somewhere else.
.venv-tools/.runtime: requirements-tools.lock | .venv-tools/bin/python
	@echo "Installing linters and scanners into .venv-tools ..." >&2
	@.venv-tools/bin/python $(PIP_INSTALL) requirements-tools.lock --only-binary :all:
	@touch $@

## Without Node.js the tests of the JavaScript SDK are skipped, and say so.
build/js-client/.installed: tests/clients/js/package.json tests/clients/js/package-lock.json
	@mkdir -p $(@D) && cp tests/clients/js/package*.json $(@D)/
	@if command -v npm >/dev/null; then \
	  echo "Installing the JavaScript SDK into $(@D) ..." >&2; \
	  npm ci --prefix $(@D) --no-audit --no-fund --loglevel=error >&2 && touch $@; \
	else echo "warning: no npm: the tests of the JavaScript SDK are skipped" >&2; fi
