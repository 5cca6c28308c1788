# Every command of the project.  `make` alone lists them; each sets the project up first, so none needs another.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
UV_VERSION := 0.13.9
READY := .venv/.ready
RUN := .venv/bin/python
CODE := contracts chassis services deploy tests
SIDE_BY_SIDE := -n 2 --dist
COVERAGE := --cov=contracts --cov=chassis --cov=services --cov=deploy

# What Python has compiled is kept, also where the environment forbids it, as images do: pytest rewrites all tests and
# its plugins, and would do so in each process, for seven seconds.
unexport PYTHONDONTWRITEBYTECODE

# uv from the PATH if there is a working one, else the one that `setup` puts into .bootstrap.
UV = $(shell uv --version >/dev/null 2>&1 && echo uv || echo .bootstrap/bin/uv)

.PHONY: help
help: ## List the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z0-9-]*:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# -- setting up

# All is compiled once: where Python keeps no compiled files by itself (PYTHONDONTWRITEBYTECODE, as images set it), each
# process would take six seconds to start instead of two.
.PHONY: setup
setup: $(READY) ## Install everything into .venv (needs only Python 3.11+: make setup PYTHON=python3.12)

$(READY): requirements.lock requirements-dev.lock pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "$(PYTHON) is not there. Install Python 3.11 or newer, or name one: make setup PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$("$(PYTHON)" -V 2>&1); Salestream needs Python 3.11 or newer. Name one: make setup PYTHON=python3.12" >&2; exit 1; }
	@uv --version >/dev/null 2>&1 || .bootstrap/bin/uv --version >/dev/null 2>&1 || { \
		"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) comes without venv. Install it (Debian, Ubuntu: apt-get install python3-venv), or install uv." >&2; exit 1; }; \
		rm -rf .bootstrap && "$(PYTHON)" -m venv .bootstrap && echo '*' >.bootstrap/.gitignore && .bootstrap/bin/python -m pip install --quiet uv==$(UV_VERSION); }
	@$(RUN) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(UV) venv --quiet --clear --python "$$("$(PYTHON)" -c 'import sys; print(sys.executable)')" .venv
	$(UV) pip sync --quiet --compile-bytecode --python $(RUN) --require-hashes requirements-dev.lock
	$(UV) pip install --quiet --python $(RUN) --no-deps --editable .
	@$(RUN) -m compileall -q $(CODE)
	@touch $@

.PHONY: lock
lock: $(READY) ## Compile both lock files from pyproject.toml (UPGRADE=1: to the newest versions)
	$(UV) pip compile pyproject.toml --universal --generate-hashes $(if $(UPGRADE),--upgrade) -o requirements.lock >/dev/null
	$(UV) pip compile pyproject.toml --group dev --universal --generate-hashes $(if $(UPGRADE),--upgrade) -o requirements-dev.lock >/dev/null

# -- writing code

.PHONY: fmt
fmt: $(READY) ## Format the code and mend what the linter can mend
	$(RUN) -m ruff check --fix $(CODE)
	$(RUN) -m ruff format $(CODE)

.PHONY: lint
lint: $(READY) ## Check style, types and the architecture's rules
	$(RUN) -m ruff check $(CODE)
	$(RUN) -m ruff format --check $(CODE)
	$(RUN) -m mypy $(CODE)
	.venv/bin/lint-imports --no-logo

.PHONY: contracts
contracts: $(READY) ## Regenerate the documents under contracts/; refuses a breaking change
	.venv/bin/salestream contracts

# -- running it

.PHONY: up
up: $(READY) ## Start everything on this machine (EVENT_STORE=postgres, SALESTREAM_PORT=8000, ...)
	@$(RUN) -m deploy.local up

.PHONY: down
down: $(READY) ## Stop everything; data is kept
	@$(RUN) -m deploy.local down

.PHONY: status
status: $(READY) ## Show each process; fails when one is not healthy, and not when all are stopped
	@$(RUN) -m deploy.local status || case $$? in 3|141) ;; *) exit 1 ;; esac  # 141: whoever reads it has read enough

.PHONY: wipe
wipe: $(READY) ## Stop everything and delete its data
	@$(RUN) -m deploy.local down --wipe

.PHONY: demo
demo: $(READY) ## Start everything and send orders through it (ORDERS=300)
	@$(RUN) -m deploy.demo

.PHONY: verify
verify: $(READY) ## Recompute everything from the event stores and compare it with Kafka and the read models
	@settings="$$($(RUN) -m deploy.local env --running)" && set -a && eval "$$settings" && .venv/bin/salestream verify

.PHONY: token
token: USER := li
token: $(READY) ## Sign in as a demo user and print the bearer token, good for ten minutes (USER=sato, RENEW=1)
	@$(RUN) -m deploy.demo.company $(USER) $(if $(RENEW),--renew)

# -- testing it

.PHONY: test
test: $(READY) ## Run all tests
	@failed=; for part in unit component e2e faults; do \
		$(MAKE) --no-print-directory test-$$part || failed="$$failed $$part"; \
	done; [ -z "$$failed" ] || { echo "tests failed:$$failed" >&2; exit 1; }

.PHONY: test-unit
test-unit: $(READY) ## Run the tests that need no server: domains, saga, views, contracts
	$(RUN) -m pytest $(SIDE_BY_SIDE) worksteal chassis contracts services deploy tests/architecture tests/contract tests/security tests/property

.PHONY: test-component
test-component: $(READY) ## Run the tests of single pieces on real servers
	$(RUN) -m pytest -n 4 --dist loadfile --no-loadscope-reorder tests/component  # they wait more than they compute

.PHONY: test-e2e
test-e2e: $(READY) ## Run the tests of the whole system
	$(RUN) -m pytest $(SIDE_BY_SIDE) loadfile --no-loadscope-reorder tests/e2e

.PHONY: test-faults
test-faults: $(READY) ## Run the simulation, a small bench, and some of the faults, which have the machine for themselves
	@failed=0; \
	$(RUN) -m pytest -n 3 --dist worksteal tests/load tests/simulation || failed=1; \
	$(RUN) -m pytest tests/chaos || failed=1; exit $$failed

.PHONY: coverage
coverage: $(READY) ## Say which lines no test without the whole system reaches
	$(RUN) -m pytest $(COVERAGE) chassis contracts services deploy tests/architecture tests/contract tests/security tests/property tests/component

.PHONY: fuzz
fuzz: EXAMPLES := 50
fuzz: $(READY) ## Feed every HTTP operation with made-up requests (EXAMPLES=50 of each)
	EXAMPLES=$(EXAMPLES) $(RUN) -m pytest tests/e2e/test_fuzz.py

.PHONY: simulate
simulate: $(READY) ## Run the whole system under faults from SEEDS=200 seeds; SEED=1234 TRACE=1 replays one
	$(RUN) -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(TRACE),--trace) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST))

.PHONY: bench
bench: $(READY) ## Measure throughput and latency
	$(RUN) -m tests.load.bench

.PHONY: soak
soak: MINUTES := 20
soak: $(READY) ## Send orders at a steady rate and see whether anything grows (MINUTES=20)
	$(RUN) -m tests.load.soak --minutes $(MINUTES)

.PHONY: chaos
chaos: $(READY) ## Break a running system in every way of the fault list and check that nothing is lost (FAULT=9: one)
	@PYTHONPATH=tests $(RUN) -m chaos $(if $(FAULT),--fault $(FAULT))
