# Python 3.11 or newer and make are all a fresh machine needs: every target below installs what it uses into .venv,
# once, and again only after requirements.lock or pyproject.toml changed.

PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
SOURCE ?=
ARGS ?=

# Nothing leaves this machine, and two libraries do not fight for two cores.
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false
export GIT_PYTHON_REFRESH := quiet
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo up test simulate check bench fuzz soak stack image docs pictures lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## install everything into .venv (the targets below do it by themselves), and look at the machine
	@$(BIN)/python -m tidegate doctor --brief || true

demo: $(READY) ## from market data to a proven model version; SOURCE=folder takes recorded days
	$(BIN)/python -m tidegate demo $(if $(SOURCE),--source "$(SOURCE)") $(ARGS)

up: $(READY) ## open Dagster and MLflow on this machine until Ctrl-C; SOURCE as for demo
	$(BIN)/python -m tidegate up $(if $(SOURCE),--source "$(SOURCE)") $(ARGS)

test: $(READY) ## run every test; ARGS="-k labels" runs some
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

simulate: $(READY) ## run 10,000 seeds of the live side with everything going wrong; ARGS="1053 --trace" replays one
	$(BIN)/python -m tests.live.simulation $(ARGS)

check: $(READY) ## everything CI holds beside the tests: lint, format, types, layers, style bar, dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.style_bar
	$(BIN)/python -m tests.dependency_audit

bench: $(READY) ## run the benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

soak: $(READY) ## 30 minutes of market at 5 times the recorded rate while services are killed; ARGS="--minutes 3" is short
	$(BIN)/python -m benchmarks.soak $(ARGS)

stack: $(READY) ## run every service of docker-compose.yml's paper profile as processes, and a journey; root, no engine
	TIDEGATE_STACK=1 $(BIN)/python -m pytest -n0 tests/journeys/test_compose_stack.py $(ARGS)

image: ## build both images with buildah and look into them; root, no engine; BASE=image with Python 3.11+
	BASE="$(BASE)" bash scripts/build_images.sh

fuzz: $(READY) ## a million changed inputs for every reader of foreign bytes; ARGS="--share 0.01" tries few
	$(BIN)/python -m tests.fuzz $(ARGS)

docs: $(READY) ## write the configuration, metrics and command-line pages from the code
	$(BIN)/python -m config.reference > docs/configuration.md
	$(BIN)/python -m monitoring.reference > docs/metrics.md
	$(BIN)/python -m tidegate.command_reference > docs/command-line.md

pictures: $(READY) ## make the pictures of the docs anew, by the browser test
	$(BIN)/python -m tests.journeys.browser

lock: $(READY) ## move requirements.lock to what pyproject.toml asks for; ARGS=--upgrade takes the newest
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--no-emit-index-url --no-annotate --no-header --quiet -o requirements.lock $(ARGS)

clean: ## remove .venv and caches; data/, var/ and models/ are kept
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv installs the lock some ten times faster than pip, but does not read pip's settings: where it cannot be had or
# cannot reach an index, pip does the same work. The lock is complete, so neither has anything to resolve.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer found; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "== environment: .venv, by $$($(PYTHON) --version)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "no virtual environment could be made; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "== installing $$(grep -c == requirements.lock) packages of requirements.lock (half a minute with uv, five with pip)"
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1" || \
		echo "   uv could not be installed; pip goes on"
	@if test -x $(BIN)/uv && $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -r requirements.lock \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .; then :; else \
		echo "   installing with pip"; \
		$(BIN)/python -m pip install --disable-pip-version-check --no-deps -r requirements.lock \
		&& $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -e .; fi
	@touch $(READY)
	@echo "== environment ready"
