# Python 3.11 or newer and make are all that a fresh machine needs. PYTHON=... names an interpreter.
VENV := .venv
BIN := $(VENV)/bin
export PYTHON

.PHONY: demo test lint matrix compiled servers faults secrets fuzz soak bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo ## a Django site and a Flask app send real mail; SERVE=1 leaves the site running
	@SERVE="$(SERVE)" exec $(BIN)/python -m example_project.demo

# The core's own tests must reach every branch of the floors without I/O; the other tests may not help them.
test: $(VENV)/.dev ## the whole suite, and the branch coverage of the core
	$(BIN)/coverage run -m pytest -q tests/core
	$(BIN)/python -m pytest -q --ignore=tests/core
	$(BIN)/coverage report

lint: $(VENV)/.dev ## ruff and mypy, both strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

matrix: ## the suite on each Python and its Django that this machine has
	@scripts/matrix

compiled: $(VENV)/.dev ## the suite and a rough look at the faults against machine code (mypyc, see pyproject.toml); STEP=7 looks closer
	@STEP="$(STEP)" scripts/compiled

servers: $(VENV)/.dev ## against Postfix, Dovecot, aiosmtpd and smtp-server, which it installs where they are missing
	@scripts/servers

fuzz: $(VENV)/.fuzz ## parsers and sessions for a minute each, guided by coverage; random servers (SECONDS=10 EXAMPLES=2000: less)
	@EXAMPLES="$(or $(EXAMPLES),20000)" scripts/fuzz $(or $(SECONDS),60)

faults: $(VENV)/.dev ## every byte at which a connection can die, and what became of each recipient; STEP=21 is a rough look
	@STEP="$(STEP)" $(BIN)/python -m tests.faults

secrets: $(VENV)/.dev ## the suite once more, and a search for every secret of every test in all that a reader can see
	$(BIN)/python -m pytest -q -p tests.secrecy

soak: $(VENV)/.dev ## ten minutes of load, every receipt compared with the server's record; MINUTES=1 is a shorter look
	@MINUTES="$(MINUTES)" $(BIN)/python -m tests.soak

bench: $(VENV)/.bench ## us beside the others, one table; QUICK=1 is a rough look
	@QUICK="$(QUICK)" $(BIN)/python -m benchmarks

clean: ## forget every environment and cache
	rm -rf $(VENV) .venv-matrix build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .servers .fuzz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml when nothing is left to install: the second run starts at once.
$(VENV)/.demo: pyproject.toml
	@python=$$(scripts/python-for-venv) && echo "Setting up $(VENV) with $$python ..." && \
	    scripts/make-venv $(VENV) "$$python" --editable '.[django,flask,scram,testing]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	@echo "Adding the tools for tests and lint to $(VENV) ..."
	@scripts/make-venv $(VENV) $(BIN)/python --group dev
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@echo "Adding the other clients to $(VENV) ..."
	@scripts/make-venv $(VENV) $(BIN)/python --group bench
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev
	@echo "Adding the fuzzer to $(VENV) ..."
	@scripts/make-venv $(VENV) $(BIN)/python --group fuzz
	@touch $@
