# `make demo` and `make test` each set up everything they need in .venv and do their work. Run by root on Debian,
# `make test` also installs the programs that it is judged by (tests/judges/install.sh); nothing else is touched.
# Wanted on the machine: python3.11 or later with venv, git, make; Node.js with npm is brought where it is not there.

PY   ?= $(firstword $(foreach v,python3.11 python3.12 python3.13 python3,$(shell command -v $(v) 2>/dev/null)))
VENV := .venv
BIN  := $(VENV)/bin
STATIC := provenance/web/static/manifest.json

# Each process that is started would compile our modules anew, for a quarter of the time that it takes to start, where
# the environment says that Python is not to keep what it compiled. Empty is as if it said nothing.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo register test assets judges bench soak lock lint screenshots wheelhouse postgres

$(VENV)/.ready: requirements.lock pyproject.toml
	@test -n "$(PY)" || { echo "python3.11 or later is wanted on the PATH"; exit 2; }
	@echo "Setting up $(VENV) (once; about a minute) ..."
	@$(PY) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What pages are drawn with: packages from npm and our own sources, built into the package and never committed.
assets: $(STATIC)

$(STATIC): frontend/package-lock.json frontend/build.py frontend/node.lock $(wildcard provenance/web/assets/*) | $(VENV)/.ready
	@$(BIN)/python frontend/build.py

# One folder with all that a machine without internet needs to install the product (docs/operations.md).
wheelhouse: $(VENV)/.ready $(STATIC)
	@$(BIN)/python -m deploy.wheelhouse

demo: $(VENV)/.ready $(STATIC)
	@$(BIN)/python -m pipeline.demo demo

# The archive of a public register, release by release, and its report in audit_reports (wants ../shared/data).
register: $(VENV)/.ready $(STATIC)
	@$(BIN)/python -m pipeline.register demo/register

test: $(VENV)/.ready $(STATIC) lint judges
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Each view of what `make demo` made, on a screen and on paper, as the documentation shows them (wants chromium).
screenshots: $(VENV)/.ready $(STATIC)
	@test -d demo/force || $(BIN)/python -m pipeline.demo demo
	@$(BIN)/python tests/screenshots.py demo docs/pictures

# A PostgreSQL server to try out, on this machine alone, until it is interrupted; it prints its address.
postgres: judges
	@$(PY) tests/postgres.py demo/postgres

judges:
	@sh tests/judges/install.sh

lint: $(VENV)/.ready
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .

bench: $(VENV)/.ready
	$(BIN)/python -m bench.million
	$(BIN)/python -m bench.log
	$(BIN)/python -m bench.page
	$(BIN)/python -m bench.influence
	$(BIN)/python -m bench.drawings
	$(BIN)/python -m bench.peers --docs docs

# Forty times the suite's runs of the model of disposals; a disposal on a real register, and that register over eighteen
# years of weeks; then five years of weeks, longer with --edges (bench/growth.py).
soak: $(VENV)/.ready
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest tests/test_disposal_model.py
	$(BIN)/python -m pytest -m soak tests
	$(BIN)/python -m bench.register --docs docs
	$(BIN)/python -m bench.growth --docs docs

# Resolving needs uv; what it writes names no package host (docs/decisions/0001-packages.md).
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --no-emit-find-links requirements.in -o requirements.lock
