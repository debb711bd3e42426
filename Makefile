## A target is a command of `python -m scripts` in an environment of its own: .venv, installed when a lock file changes.
## A line `target: ... ## Group: text` is shown by `make help`.

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?=
## Installs, and is brought where it is missing; UV= in the environment leaves it to pip.
UV ?= uv
export UV
RUN = .venv/bin/python -m scripts
## What a caller sets is text, never a program: make would expand it for the environment of every command, and run what
## is in $(shell ...) while it does.
$(foreach name,$(.VARIABLES),$(if $(findstring command,$(origin $(name))),$(eval override export $(name) := $$(value $(name)))))
define newline


endef
## It reaches the shell as it is, quoted. 0, no and false switch off.
quoted = $(if $(findstring $(newline),$(value $(1))),$(error $(1) has a line break))'$(subst ','\'',$(value $(1)))'
argument = $(if $(value $(1)),$(quoted))
option = $(if $(value $(2)),--$(1) $(call quoted,$(2)))
selector = $(if $(value $(2)),$(1) $(call quoted,$(2)))
switch = $(if $(filter-out 0 no false,$(value $(2))),--$(1))
refusal = $(if $(filter 0 no false,$(value $(2))),--$(1))
## ARGS is several words: they are taken apart without a shell, and stand last.
with_args = .venv/bin/python scripts/append_words.py $(call quoted,ARGS)
## $(1) is an environment. Programs in the background do not see Ctrl-C, which would make them show a traceback.
remove_on_interrupt = trap 'kill $$! 2>/dev/null; wait; rm -rf $(1); \
  echo "Interrupted: $(1) is removed. Repeat the command to make it again." >&2; exit 130' INT TERM HUP
pip_install = $(remove_on_interrupt); $(1)/bin/python scripts/install_packages.py $(2) & wait $$! || { $(3) \
  echo "error: packages could not be installed into $(1): pip says why above." >&2; \
  echo "fix: for your own proxy or index see docs/how-to/corporate-proxy.md; then repeat." >&2; exit 1; }

.PHONY: help up down status logs pull lock images-save images-load images-check bootstrap init plan validate credentials export-config smoke alerts alerts-check exporter dashboard report judges canary backup backups backup-verify restore reconcile export import move promote retention erase destroy adopt test test-slow test-clients test-hosts rehearse fake-llm api-reference lint audit types bench doctor capacity kubernetes-render docs lock-python trust reload-tls bundle install-bundle sbom release rotate support-bundle upgrade rollback repair-migration repair-queues

help: ## Help: show this; explain a group or all [GROUP=]
	@awk -v group=$(call quoted,GROUP) -f scripts/help.awk $(MAKEFILE_LIST)

up: .venv/.runtime ## Run: start Langfuse with projects, keys, a login [ENGINE=]
	@$(RUN) up

down: .venv/.runtime ## Run: stop it; data and keys stay
	@$(RUN) down

status: .venv/.runtime ## Run: health, URL, memory, restarts, data [JSON=1]
	@$(RUN) status $(call switch,json,JSON)

logs: .venv/.runtime ## Run: last log lines [SERVICE= FOLLOW=1]
	@$(RUN) logs $(call switch,follow,FOLLOW) $(call argument,SERVICE)

bootstrap: .venv/.runtime ## Run: make the server what config/ describes [PRUNE=1 YES=1]
	@$(RUN) bootstrap $(call switch,dry-run,DRY_RUN) $(call switch,prune,PRUNE) $(call switch,yes,YES) $(call switch,json,JSON)

init: .venv/.runtime ## Config: begin this site's own, in config/local [FROM=]
	@$(RUN) init $(call option,from,FROM) $(call switch,dry-run,DRY_RUN)

plan: .venv/.runtime ## Config: what bootstrap would change [CHECK=1 PRUNE=1 JSON=1]
	@$(RUN) plan $(call switch,check,CHECK) $(call switch,prune,PRUNE) $(call switch,json,JSON)

validate: .venv/.runtime ## Config: check the files, without a server
	@$(RUN) validate

credentials: .venv/.runtime ## Config: print a key [PROJECT= KEY= FORMAT=]
	@$(RUN) credentials $(call option,project,PROJECT) $(call option,key,KEY) $(call option,format,FORMAT)

export-config: .venv/.runtime ## Config: write config files [INTO= PROJECT= BASE_URL=]
	@$(RUN) export-config $(call option,into,INTO) $(call option,project,PROJECT) $(call option,base-url,BASE_URL)

destroy: .venv/.runtime ## Run: delete all data, after asking [YES=1 DRY_RUN=1]
	@$(RUN) destroy $(call switch,yes,YES) $(call switch,dry-run,DRY_RUN)

adopt: .venv/.runtime ## Run: take over an official or a lost stack [FROM=]
	@$(RUN) adopt $(call argument,FROM) $(call switch,check,CHECK) $(call switch,undo,UNDO) $(call switch,yes,YES) $(call switch,dry-run,DRY_RUN)

pull: .venv/.runtime ## Images: bring the images of the compose stack
	@$(RUN) pull

lock: .venv/.runtime ## Images: pin them by digest in images.lock [DRY_RUN=1]
	@$(RUN) lock $(call switch,dry-run,DRY_RUN)

images-save: .venv/.runtime ## Images: write them to a file with checksums [FILE=]
	@$(RUN) images save $(call argument,FILE)

images-load: .venv/.runtime ## Images: load such a file, checked [FILE= DRY_RUN=1]
	@$(RUN) images load $(call argument,FILE) $(call switch,dry-run,DRY_RUN)

images-check: .venv/.runtime ## Images: say which are out of support [ONLINE=1]
	@$(RUN) images check $(call switch,online,ONLINE)

smoke: .venv/.runtime ## Run: test the running stack [BASE_URL= SMOKE_KEEP=1 ARGS=]
	@$(with_args) $(RUN) smoke

backup: .venv/.runtime ## Data: save everything, encrypted, as one set [DRY_RUN=1]
	@$(RUN) backup $(call switch,dry-run,DRY_RUN)

backups: .venv/.runtime ## Data: list the backups [JSON=1]
	@$(RUN) backups $(call switch,json,JSON)

backup-verify: .venv/.runtime ## Data: prove that it restores [BACKUP= READ_ALL=1]
	@$(RUN) backup-verify $(call option,backup,BACKUP) $(call switch,read-all,READ_ALL)

restore: .venv/.runtime ## Data: bring a backup back [BACKUP= REPLACE=1 ONLY= SMOKE=0]
	@$(RUN) restore $(call option,backup,BACKUP) $(call switch,dry-run,DRY_RUN) $(call switch,replace,REPLACE) \
	  $(call option,only,ONLY) $(call refusal,no-smoke,SMOKE)

reconcile: .venv/.runtime ## Data: replay what was lost [SINCE= CHECK=1 SHOW=]
	@$(RUN) reconcile $(call option,since,SINCE) $(call switch,check,CHECK) $(call option,show,SHOW)

export: .venv/.runtime ## Data: write files [INTO= PROJECT= FORMAT=parquet|jsonl|csv]
	@$(with_args) $(RUN) export $(call option,into,INTO) $(call option,project,PROJECT) $(call option,format,FORMAT)

import: .venv/.runtime ## Data: load an export or a server [FROM= FROM_URL= PROJECT=]
	@$(RUN) import $(call argument,FROM) $(call option,project,PROJECT) $(call option,base-url,BASE_URL) \
	  $(call option,from-url,FROM_URL) $(call switch,dry-run,DRY_RUN)

promote: .venv/.runtime ## Data: move data from the embedded to compose [DRY_RUN=1]
	@$(RUN) promote $(call switch,dry-run,DRY_RUN)

move: .venv/.runtime ## Data: to another stack, in use [TO= INTO= FROM= FINISH=1]
	@$(RUN) move $(call option,to,TO) $(call option,into,INTO) $(call option,from,FROM) $(call switch,pause,PAUSE) \
	  $(call switch,finish,FINISH) $(call switch,undo,UNDO) $(call switch,replace,REPLACE) \
	  $(call switch,dry-run,DRY_RUN) $(call switch,yes,YES)

retention: .venv/.runtime ## Data: delete traces that are too old [APPLY=1]
	@$(RUN) retention $(call switch,apply,APPLY)

erase: .venv/.runtime ## Data: USER_ID= SESSION_ID= TRACE_ID= TAG= [APPLY=1 VERIFY=1]
	@$(RUN) erase $(call selector,user,USER_ID) $(call selector,session,SESSION_ID) \
	  $(call selector,trace,TRACE_ID) $(call selector,tag,TAG) $(call switch,apply,APPLY) \
	  $(call switch,verify,VERIFY) $(call option,by,BY)

upgrade: .venv/.runtime ## Data: change the version [TO= CHECK=1 YES=1 SMOKE=0 ALLOW=]
	@$(RUN) upgrade $(call argument,TO) $(call switch,check,CHECK) $(call switch,yes,YES) $(call refusal,no-smoke,SMOKE) \
	  $(call option,allow,ALLOW)

rollback: .venv/.runtime ## Data: go back to before the last upgrade [CHECK=1 YES=1]
	@$(RUN) rollback $(call switch,check,CHECK) $(call switch,yes,YES)

repair-migration: .venv/.runtime ## Data: finish a migration that failed [DRY_RUN=1 YES=1]
	@$(RUN) repair-migration $(call switch,dry-run,DRY_RUN) $(call switch,yes,YES)

repair-queues: .venv/.runtime ## Data: have Valkey start after a power cut [DRY_RUN=1 YES=1]
	@$(RUN) repair-queues $(call switch,dry-run,DRY_RUN) $(call switch,yes,YES)

alerts: .venv/.runtime ## Watch: compile config/alerts.yaml for Prometheus [DRY_RUN=1]
	@$(RUN) alerts $(call switch,dry-run,DRY_RUN)

alerts-check: .venv/.runtime ## Watch: evaluate all alerts now [PROJECT=]
	@$(RUN) alerts-check $(call option,project,PROJECT)

exporter: .venv/.runtime ## Watch: serve Prometheus metrics until stopped
	@$(RUN) exporter

dashboard: .venv/.runtime ## Watch: cost, quality and alerts as an HTML page [OUTPUT=]
	@$(RUN) dashboard $(call option,output,OUTPUT)

report: .venv/.runtime ## Watch: cost, latency, errors, scores in files [PROJECT= INTO=]
	@$(RUN) report $(call option,project,PROJECT) $(call option,into,INTO)

judges: .venv/.runtime ## Watch: judges beside people's scores: to be trusted? [JUDGE=]
	@$(RUN) judges $(call option,project,PROJECT) $(call option,judge,JUDGE) $(call option,human,HUMAN) \
	  $(call option,source,SOURCE) $(call option,days,DAYS) $(call option,threshold,THRESHOLD) \
	  $(call option,coverage,COVERAGE) $(call option,target,TARGET) $(call switch,json,JSON)

canary: .venv/.runtime ## Watch: write a span and a score, read them back
	@$(RUN) canary

doctor: .venv/.runtime ## Check: what is wrong and its fix [ONLY= VERBOSE=1 FIX=1]
	@$(RUN) doctor $(call option,only,ONLY) $(call switch,verbose,VERBOSE) $(call switch,json,JSON) $(call switch,fix,FIX) \
	  $(call switch,dry-run,DRY_RUN) $(call switch,yes,YES) $(call switch,read-only,READ_ONLY)

kubernetes-render: .venv/.runtime ## Config: for a cluster [ENVIRONMENT= SIZE= CHART= ARGS=]
	@$(with_args) $(RUN) kubernetes-render $(call option,environment,ENVIRONMENT) $(call option,size,SIZE) $(call option,into,INTO) $(call option,chart,CHART)

capacity: .venv/.runtime ## Check: what a load needs [SPANS_PER_S= RETENTION_DAYS= ARGS=]
	@$(with_args) $(RUN) capacity $(or $(call option,spans-per-s,SPANS_PER_S),--spans-per-s 10) $(call option,retention-days,RETENTION_DAYS) \
	  $(call option,into,INTO) $(call switch,json,JSON)

rotate: .venv/.runtime ## Config: new value of a secret [SECRET= DRY_RUN=1 UNDO=1]
	@$(RUN) rotate $(call argument,SECRET) $(call switch,dry-run,DRY_RUN) $(call switch,yes,YES) $(call switch,undo,UNDO) \
	  $(call option,user,USER_EMAIL)

support-bundle: .venv/.runtime ## Check: what others need to help, without secrets [INTO=]
	@$(RUN) support-bundle $(call option,into,INTO)

bench: .venv/.dev ## Check: speed and footprint of the embedded engine
	@$(with_args) .venv/bin/python -m benchmarks.engine

test: .venv/.dev .venv-sdk4/.runtime ## Develop: tests of the code, smoke tests with two SDK lines
	@$(RUN) selftest --sdk4-python .venv-sdk4/bin/python

test-slow: .venv/.dev .venv-tools/.runtime build/js-client/.installed ## Develop: alerts, backups, browser, API description: minutes
	@$(with_args) .venv/bin/python -m pytest -q -n 3 --dist worksteal -m slow tests/unit tests/embedded

test-clients: .venv/.dev .venv-clients/.runtime .venv-sdk2/.runtime .venv-sdk3/.runtime build/js-client/.installed ## Develop: official clients against the embedded engine
	@$(with_args) .venv/bin/python -m pytest -q -n 2 --dist worksteal tests/clients

test-hosts: .venv/.dev ## Develop: as another user, oldest and newest Python [ARGS=]
	@$(with_args) .venv/bin/python -m tests.hosts

rehearse: .venv/.dev ## Develop: compose stack on stand-in images [YES=1 ARGS=]
	@$(with_args) $(RUN) rehearse $(call switch,yes,YES)

fake-llm: .venv/.runtime ## Develop: a stand-in for an OpenAI-compatible server [PORT=]
	@.venv/bin/python examples/fake_llm.py $(call option,port,PORT)

## Shell scripts are found by their first line.
lint: .venv/.dev .venv-tools/.runtime ## Develop: style, shell, Dockerfiles, CI, generated documents
	@.venv/bin/ruff check --quiet . && .venv/bin/ruff format --quiet --check . && $(RUN) docs --check
	@git grep -lE '^#!.*[/ ](ba)?sh$$' -- ':!*.py' | xargs .venv-tools/bin/shellcheck
	@git ls-files '*Dockerfile' | xargs .venv-tools/bin/hadolint
	@.venv-tools/bin/zizmor --offline --quiet --no-progress .github action.yml

bundle: .venv/.runtime ## Config: all for a host without network [FILE= KEY= IMAGES=0|1]
	@$(RUN) bundle $(call option,key,KEY) $(call refusal,no-images,IMAGES) $(call switch,images,IMAGES) $(call argument,FILE)

install-bundle: ## Config: check and install a bundle [FILE= INTO= SIGNERS=]
	@sh scripts/install-bundle.sh $(call quoted,FILE) $(call quoted,INTO) $(call quoted,SIGNERS)

trust: .venv/.runtime ## Config: root certificate of the stack's own authority
	@$(RUN) trust

reload-tls: .venv/.runtime ## Config: read your TLS files again
	@$(RUN) reload-tls

audit: .venv/.runtime .venv-tools/.runtime ## Develop: known vulnerabilities of packages [ARGS=--required]
	@$(with_args) $(RUN) audit

sbom: .venv/.runtime ## Develop: list of packages and images, CycloneDX [OUTPUT=]
	@$(RUN) sbom $(call option,output,OUTPUT)

release: .venv/.runtime ## Develop: files and tag [VERSION= DRY_RUN=1 KEY= BUILD_ONLY=1]
	@$(RUN) release $(call option,into,INTO) $(call option,key,KEY) $(call switch,build-only,BUILD_ONLY) \
	  $(call switch,dry-run,DRY_RUN) $(call switch,yes,YES) $(call quoted,VERSION)

types: .venv/.dev ## Develop: static types
	@.venv/bin/mypy
	@.venv/bin/mypy examples/observer.py

docs: .venv/.runtime ## Develop: regenerate .env.example and the settings page
	@$(RUN) docs

api-reference: .venv/.dev ## Develop: run the tests, write docs/reference/embedded-api.md
	@rm -rf build/operations
	@.venv/bin/python -m pytest -q -n 2 -p tests.operation_recorder tests/embedded
	@.venv/bin/python -m tests.api_reference --record

lock-python: ## Develop: resolve the Python lock files anew (needs uv)
	@for lock in "requirements/runtime.lock pyproject.toml embedded/pyproject.toml" \
	  "requirements/dev.lock pyproject.toml embedded/pyproject.toml --extra dev" \
	  "embedded/requirements.lock embedded/pyproject.toml --constraints requirements/runtime.lock" \
	  "requirements/pip.lock requirements/pip.in" "requirements/uv.lock requirements/uv.in" "requirements/sdk4.lock requirements/sdk4.in" \
	  "requirements/sdk2.lock requirements/sdk2.in" "requirements/sdk3.lock requirements/sdk3.in" \
	  "requirements/clients.lock requirements/clients.in" "requirements/tools.lock requirements/tools.in" \
	  "requirements/exporter.lock requirements/exporter.in"; do \
	  set -- $$lock; output=$$1; shift; \
	  $(call quoted,UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --custom-compile-command 'make lock-python' --output-file "$$output" "$$@" || exit 1; \
	done

## Environments. A stamp is newer than its lock file when everything is installed.

.venv/bin/python .venv-sdk2/bin/python .venv-sdk3/bin/python .venv-sdk4/bin/python .venv-clients/bin/python .venv-tools/bin/python:
	@echo "Making $(@:/bin/python=) ..." >&2
	@python=$$(sh scripts/find-python.sh $(call argument,PYTHON)) || exit 1; \
	$(call remove_on_interrupt,$(@:/bin/python=)); "$$python" -m venv $(@D)/.. & wait $$! || { \
	  rm -rf $(@:/bin/python=); \
	  echo "error: the environment $(@:/bin/python=) could not be made." >&2; \
	  echo "fix: install venv for $$python (Debian: apt install python3-venv)." >&2; exit 1; }
	@$(call pip_install,$(@:/bin/python=),requirements/pip.lock,rm -rf $(@:/bin/python=);)

.venv/.runtime: requirements/runtime.lock embedded/pyproject.toml | .venv/bin/python
	@echo "Installing Python packages into .venv (up to a minute) ..." >&2
	@$(call pip_install,.venv,requirements/runtime.lock)
	@sh scripts/link-engine.sh .venv
	@touch $@

.venv/.dev: requirements/dev.lock embedded/pyproject.toml | .venv/bin/python
	@echo "Installing Python packages for development into .venv (up to a minute) ..." >&2
	@$(call pip_install,.venv,requirements/dev.lock)
	@sh scripts/link-engine.sh .venv
	@touch $@ .venv/.runtime

.venv-sdk2/.runtime .venv-sdk3/.runtime .venv-sdk4/.runtime: .venv-sdk%/.runtime: requirements/sdk%.lock | .venv-sdk%/bin/python
	@echo "Installing SDK $* into .venv-sdk$* ..." >&2
	@$(call pip_install,.venv-sdk$*,requirements/sdk$*.lock)
	@touch $@

.venv-clients/.runtime: requirements/clients.lock | .venv-clients/bin/python
	@echo "Installing clients and instrumentations into .venv-clients (up to a minute) ..." >&2
	@$(call pip_install,.venv-clients,requirements/clients.lock)
	@touch $@

## Wheels only: a source package of such a program would download it from somewhere else.
.venv-tools/.runtime: requirements/tools.lock | .venv-tools/bin/python
	@echo "Installing linters and scanners into .venv-tools ..." >&2
	@$(call pip_install,.venv-tools,requirements/tools.lock --only-binary :all:)
	@touch $@

## Without Node.js the tests of the JavaScript SDK and of accessibility are skipped, and say so.
build/js-client/.installed: tests/clients/js/package.json tests/clients/js/package-lock.json
	@mkdir -p $(@D) && cp tests/clients/js/package*.json $(@D)/
	@if command -v npm >/dev/null; then \
	  echo "Installing the JavaScript SDK and axe-core into $(@D) ..." >&2; \
	  npm ci --prefix $(@D) --prefer-offline --no-audit --no-fund --loglevel=error >&2 && touch $@; \
	else echo "warning: no npm: the tests of the JavaScript SDK and of accessibility are skipped" >&2; fi
