# The verbs to learn: run, test, build, check, bench. Each does its own set-up on a fresh Debian or Ubuntu machine
# that has only python3 (3.11 or newer) and make.

SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find centrifast tools/loadgen -name '*.pyx' -o -name '*.pxd' | grep -v build)
CONFIG ?= examples/quickstart.json
# Tests of the SDKs that the engine matters to; the whole of tests/sdk passes with CENTRIFAST_REDIS=1 too.
ON_REDIS := delta history presence recovery sdks server_side state

.PHONY: run test build check format docs bench leaks clean

run: build
	@PORT=$$($(BIN)/python -c 'import json; print(json.load(open("$(CONFIG)"))["http_server"]["port"])'); \
	KEY=$$($(BIN)/python -c 'import json; print(json.load(open("$(CONFIG)"))["http_api"]["key"])'); \
	echo; \
	echo "  Open      http://localhost:$$PORT/"; \
	echo "  and type  curl -X POST http://localhost:$$PORT/api/publish -H 'X-API-Key: $$KEY' \\"; \
	echo "              -d '{\"channel\": \"news\", \"data\": {\"text\": \"hello\"}}'"; \
	echo "  Stop with Ctrl-C."; \
	echo
	@exec $(BIN)/centrifast -c $(CONFIG)

build: $(VENV)/.built

# A virtual environment with everything that building, checking and testing needs.
$(VENV)/.installed: pyproject.toml tools/setup-system.sh
	@bash tools/setup-system.sh build
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Python packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev 'picows==2.3.1'
	@touch $@

$(VENV)/.built: $(VENV)/.installed setup.py $(SOURCES)
	@echo "building the extensions"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable .
	@touch $@

check: build
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/cython-lint centrifast tools/loadgen
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml \
		--allowlist tools/stubtest-allowlist.txt \
		centrifast._core centrifast._channel centrifast._fossil centrifast._framing centrifast._metrics \
		centrifast._intake centrifast._wheel \
		centrifast.transports._connection centrifast_loadgen._board centrifast_loadgen._client

test: check
	@bash tools/setup-system.sh test
	@cd tests/sdk/javascript && npm install --silent --no-audit --no-fund
	$(BIN)/python -m pytest
	CENTRIFAST_WORKERS=3 $(BIN)/python -m pytest tests/sdk
	CENTRIFAST_REDIS=1 $(BIN)/python -m pytest $(addprefix tests/sdk/test_,$(addsuffix .py,$(ON_REDIS)))

format: build
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: build
	$(BIN)/python -m tools.reference_codes
	$(BIN)/python -m tools.reference_metrics
	$(BIN)/python -m tools.reference_openapi
	$(BIN)/python -m centrifast configdoc -m > docs/reference/config.md
	$(BIN)/python -m centrifast configdoc --json-schema > docs/reference/config.schema.json
	$(BIN)/python -m tools.grafana_dashboard

# With other options: make bench BENCH='--only fanout --rounds 9'.
bench: build
	$(BIN)/python -m bench $(BENCH)

leaks: build
	$(BIN)/python -m tests.leaks.churn --connections 10000 --rounds 10

clean:
	rm -rf $(VENV) build *.egg-info
	find centrifast tools -name '*.so' -delete
