# The verbs people type. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
CLI := target/debug/clinchat
STACK := $(PYTHON) local/stack.py
DEPLOY_VENV := .local/venv-deploy
BUILT = test -x $(CLI) || { echo 'Nothing is built yet: run `make up` first.'; exit 1; }
STAGE ?= dev
# A folder is a function: nothing is forgotten when one is added.
FUNCTIONS := $(notdir $(wildcard functions/*))
export SAM_CLI_TELEMETRY = 0

.PHONY: help
help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.PHONY: up ask upload ls down reset status invoke
up: ## install, build, start the local AWS, deploy, index the samples, ask a question (LLM=double: a model's double answers; OCR=tesseract: installs it)
	@$(if $(OCR),$(MAKE) --no-print-directory ocr-$(OCR))
	@$(STACK) up $(if $(LLM),--llm $(LLM)) $(ARGS)

ask: ## ask a question: make ask Q="What are the visiting hours?"
	@test -n "$(Q)" || { echo 'usage: make ask Q="What are the visiting hours?"'; exit 2; }
	@$(BUILT)
	@$(CLI) ask -- "$(Q)" || test $$? -eq 3 # 3 is a refusal: an answer too

upload: ## upload a document and wait until it is searchable: make upload F=path/to/file.pdf
	@test -n "$(F)" || { echo 'usage: make upload F=path/to/file.pdf'; exit 2; }
	@$(BUILT)
	@$(CLI) upload -- "$(F)"

ls: ## list the documents
	@$(BUILT)
	@$(CLI) ls

down: ## stop the local AWS, keep the data
	@$(STACK) down

reset: ## stop the local AWS and delete its data
	@$(STACK) reset

status: ## show what runs
	@$(BUILT)
	@$(CLI) status

invoke: ## call a deployed function with a sample event: make invoke F=indexer E=events/indexer.object-created.json
	@test -n "$(F)" -a -n "$(E)" || { echo 'usage: make invoke F=indexer E=events/indexer.object-created.json'; exit 2; }
	@$(STACK) invoke "$(F)" "$(E)"

.PHONY: ocr ocr-tesseract
ocr: ## recognise the scanned samples with tesseract; fails below .98
	cargo run -q -p cli -- eval extract samples/scans --alone --ocr --least .98

ocr-tesseract:
	@command -v tesseract > /dev/null || { \
	    test "$$(id -u)" = 0 && root= || root=sudo; \
	    $$root apt-get update -qq && $$root apt-get install -y -qq --no-install-recommends tesseract-ocr; }
	@tesseract --version 2>&1 | head -1

.PHONY: build cli test lint fmt bench fuzz
build: ## build everything and put the functions where the template looks for them
	@$(STACK) build

cli: models/minilm-l6-v2-int8.bin models/deid-en.bin ## build the command line: target/release/clinchat
	cargo build --release -p cli
	@ls -l target/release/clinchat

test: ## every test, unit to whole-stack journey
	@$(STACK) build
	cargo test --workspace --no-fail-fast -- --format=pretty 2>&1 | $(PYTHON) tests/count.py

lint: ## format, clippy, Python, template
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	$(PYTHON) -m compileall -q local models tests bench samples/build.py
	tools=$$($(STACK) lint-tools) && export AWS_DEFAULT_REGION=eu-north-1 && \
	    $$tools/cfn-lint template.yaml && $$tools/sam validate && $$tools/sam validate --lint

fmt: ## format the Rust code
	cargo fmt --all

FUZZ_TARGETS := pdf second docx html markdown text protocol
FUZZ_SECONDS ?= 60
FUZZER := .local/fuzz/bin/cargo-fuzz

fuzz: $(FUZZER) ## fuzz every reader for a minute each; prints executions and what crashed (needs a nightly compiler)
	@for target in $(FUZZ_TARGETS); do \
	    new=fuzz/artifacts/$$target; before=$$(ls $$new 2>/dev/null | wc -l); \
	    found=$$(mktemp -d); \
	    (cd fuzz && PATH="$(CURDIR)/.local/fuzz/bin:$$PATH" cargo +nightly fuzz run $$target $$found corpus/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=3072 -max_len=16384 -print_final_stats=1) > $$found.log 2>&1; code=$$?; \
	    executions=$$(sed -n 's/^stat::number_of_executed_units: *//p' $$found.log); \
	    echo "$$target: $${executions:-0} executions, $$(( $$(ls $$new 2>/dev/null | wc -l) - before )) new crashes"; \
	    test $$code -eq 0 -o -n "$$executions" || tail -5 $$found.log; \
	    rm -r $$found $$found.log; \
	done

$(FUZZER):
	cargo install --quiet --root .local/fuzz --version 0.13.2 --locked cargo-fuzz

bench: ## print the performance figures beside their peers
	@$(STACK) build
	cargo build --release $(FUNCTIONS:%=-p %)
	cargo run --release -q -p bench -- $(ARGS)

models/minilm-l6-v2-int8.bin:
	$(PYTHON) models/fetch.py

models/deid-en.bin:
	$(PYTHON) models/fetch_deid.py

.PHONY: deploy
deploy: $(DEPLOY_VENV)/stamp models/minilm-l6-v2-int8.bin models/deid-en.bin ## build for AWS and deploy: make deploy STAGE=dev (needs AWS credentials)
	PATH="$(CURDIR)/$(DEPLOY_VENV)/bin:$$PATH" cargo lambda build --release --arm64 $(FUNCTIONS:%=--bin %)
	cp models/minilm-l6-v2-int8.bin target/lambda/chat/
	cp models/minilm-l6-v2-int8.bin models/deid-en.bin target/lambda/indexer/
	cp models/deid-en.bin target/lambda/chat/
	$$($(STACK) lint-tools)/sam deploy --template-file template.yaml --config-env $(STAGE)

$(DEPLOY_VENV)/stamp: local/requirements-deploy.txt
	$(PYTHON) -m venv $(DEPLOY_VENV)
	$(DEPLOY_VENV)/bin/pip install --quiet --require-hashes -r local/requirements-deploy.txt
	@touch $@
