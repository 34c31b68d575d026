# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT_HELP := set PAIDUP_GRPC_LISTEN, PAIDUP_METRICS_LISTEN, PAIDUP_GATEWAY_LISTEN or EMULATOR_LISTEN

STUBS  := clients/python
PROTOS := $(wildcard proto/paidup/v1/*.proto)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check proto proto-check lock image image-check bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Make .venv from the locked dependencies

$(VENV)/.installed: requirements/dev.txt pyproject.toml clients/python/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable clients/python --editable .
	@touch $@

proto: setup ## Generate the stubs from proto/
	$(BIN)/python -m grpc_tools.protoc --proto_path=proto --python_out=$(STUBS) --pyi_out=$(STUBS) --grpc_python_out=$(STUBS) $(PROTOS)

lock: setup ## Lock the dependencies anew, with hashes
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-package paidup --custom-compile-command "make lock" pyproject.toml --output-file requirements/server.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-package paidup --custom-compile-command "make lock" --group dev pyproject.toml --output-file requirements/dev.txt
