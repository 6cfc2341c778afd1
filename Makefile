# `make run` plays, `make test` proves; `make` lists the rest.
# Settings come from the environment, from .env, or as in `make run PORT=8080`; .env.example lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 12

.PHONY: run
run: $(VENV)/runtime.stamp ## start the game on http://127.0.0.1:1323 with everything it needs
	@echo "Starting; the last line will have the address to open …" >&2
	@exec $(BIN)/python -m server

.PHONY: setup
setup: $(VENV)/dev.stamp ## install what the server, the checks and the tests need into .venv

.PHONY: check
check: setup ## lint, format, types, import direction and circles, heads of the Lua scripts, API descriptions
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.checks.cycles
	$(BIN)/python -m scripts.checks.prose
	$(BIN)/python -m persistence.live.check
	$(BIN)/python -m scripts.checks.named_data
	$(BIN)/python -m scripts.describe --check
	$(BIN)/python -m scripts.packages.wheels
	$(BIN)/python -m pytest -q tests/unit/test_docs_described.py

.PHONY: test
test: setup ## run all tests against real servers; TESTS=tests/unit or ARGS="-k password" choose, ARGS="-n 0" takes turns
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS) $(TESTS)

.PHONY: bench
bench: setup ## measure what a click costs, next to an echo; ARGS="--profile" and others choose
	$(BIN)/python -m scripts.bench $(ARGS)

.PHONY: soak
soak: setup ## play for MINUTES (30) with storms and dribblers, and see that nothing grows and nothing is lost
	$(BIN)/python -m scripts.soak --minutes $(or $(MINUTES),30) --plot docs/images/soak.svg

.PHONY: chaos
chaos: setup ## break a running game in eight worlds and judge what every player saw; ARGS="--faults 600" and others
	$(BIN)/python -m scripts.chaos $(ARGS)

.PHONY: hostile
hostile: setup ## let fifty clients who know where to push loose beside fifty players; ARGS="--rounds 3" and others choose
	$(BIN)/python -m scripts.hostile $(ARGS)

.PHONY: containers
containers: setup ## as root on Debian: build the image, run the composition with Docker of its own; ARGS="--cache DIR"
	$(BIN)/python -m scripts.containers $(ARGS)

.PHONY: lock
lock: setup ## pin what requirements*.in name; UPGRADE=--upgrade takes the newest of all
	$(COMPILE) --output-file=requirements.lock requirements.in
	$(COMPILE) --output-file=requirements-embedded.lock requirements-embedded.in
	$(COMPILE) --output-file=requirements-dev.lock requirements-dev.in
	$(BIN)/python -m scripts.packages.wheel_names

# No line of a lock names an index or a folder: where packages come from is each machine's own matter.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet $(UPGRADE) --generate-hashes --strip-extras \
	--allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-config

$(VENV)/runtime.stamp: requirements.lock requirements-embedded.lock
	@echo "Making $(VENV) with what the server needs; the first time this takes a minute …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1): try 'make PYTHON=/path/of/python3.11 …'" >&2; exit 1; }
	@$(PYTHON) -m scripts.packages.install $(VENV)
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/runtime.stamp
	@echo "Installing what checks and tests need into $(VENV); the first time this takes some minutes …"
	@$(PYTHON) -m scripts.packages.install --dev $(VENV)
	@touch $@
