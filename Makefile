# The doors of the project. `make help` tells what each does.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test up-local bench faults lint web build

# Where `make run` listens, and where its data stays between runs: each port has a folder of its own, for a second service cannot
# use the first one's. Metrics and health go to 127.0.0.1:9080, or to a free port beside one that runs already; the start says which.
PORT ?= 8080
DATA ?= data$(if $(filter-out 8080,$(PORT)),-$(PORT))
CARGO ?= cargo
YITANG := target/release/yitang

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

run: web build ## The whole service on http://127.0.0.1:8080 with demo data, as one process (PORT=, DATA=)
	@exec $(YITANG) all --demo --listen 127.0.0.1:$(PORT) --data $(DATA)

build: ## The executable and the load generator, release profile
	$(CARGO) build --release --locked -p yitang -p loadtest -p testkit --bins

web: ## The web client's files in web/app/dist, which the executable carries
	@.ci/web build

lint: ## Formatting, clippy, words, licences and doubled dependencies, Rust and web
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	@.ci/web check
	@.ci/words
	@.ci/deny

test: ## Everything: format, clippy, build, tests of Rust, of web, and in a real browser
	@.ci/steps

up-local: build ## The topology of docker-compose.yml as plain processes (REDIS=cluster for three nodes)
	@exec target/release/up-local $(if $(filter cluster,$(REDIS)),--redis cluster)

bench: build ## Every load scenario but the long soak, into target/bench (ONLY=broadcast,storm… for some, ONLY=soak, MINUTES=30)
	@exec target/release/bench $(if $(ONLY),--only $(ONLY)) $(if $(MINUTES),--minutes $(MINUTES)) $(BENCH)

faults: build ## The reference faults under load; leaves target/bench/faults.json
	@exec target/release/faults
