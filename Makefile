# GuruRMM. `make help` lists what there is to do.

SHELL := /bin/bash
.DEFAULT_GOAL := help

BUILD := cargo build --locked
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)

# How many end-to-end tests run at once.
export RUST_TEST_THREADS ?= 4

# How long `make fuzz` runs each target.
FUZZ_SECONDS ?= 60

.PHONY: help run test check lint deny web openapi browser windows packages try-packages bench fuzz fmt tools free-port clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: tools free-port web/dist/index.html ## build and start a server and an agent here, run a command through a tunnel, stay up
	@$(BUILD) -p gururmm-server -p gururmm-agent -p gururmm-tests --bins
	@$(TARGET_DIR)/debug/demo

test: ## install what tests need, then formatting, clippy, cargo-deny and every test on both databases
	@.ci/install-test-tools
	@$(MAKE) --no-print-directory -j2 -O lint deny web
	@$(MAKE) --no-print-directory check browser

lint: tools ## formatting and clippy, warnings denied
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

deny: tools ## licences, bans, sources and advisories of the dependencies
	@.ci/check-dependencies

# Programs and tests at once: apart, their dependencies have other features, and the database is compiled twice.
check: tools web/dist/index.html ## every test of the workspace, on SQLite and on a private PostgreSQL
	$(BUILD) --workspace --all-targets
	$(TARGET_DIR)/debug/with-postgres cargo test --locked --workspace --no-fail-fast

web: tools web/node_modules/.package-lock.json ## the dashboard's checks: style, types, unit tests, build, size
	cd web && npm run check

# What the server carries: built anew when a source is newer.
web/dist/index.html: web/node_modules/.package-lock.json web/index.html web/vite.config.ts $(shell find web/src web/public -type f 2>/dev/null)
	cd web && npm run build

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

openapi: tools ## write the API's description anew, and the dashboard's types from it
	$(BUILD) -p gururmm-server
	$(TARGET_DIR)/debug/gururmm-server openapi >web/src/api/openapi.json
	cd web && npm run schema

# After `check`, which has built the programs.
browser: tools ## the dashboard in a browser, on the real server and agents
	@$(TARGET_DIR)/debug/gururmm-server openapi | cmp - web/src/api/openapi.json || { \
	    echo "make: web/src/api/openapi.json is not what the server says; run make openapi"; exit 1; }
	cd web && GURURMM_BIN=$(abspath $(TARGET_DIR))/debug npm run e2e

windows: tools ## build the agent for Windows, lint it and test it under Wine (docs/windows.md)
	@.ci/windows

packages: tools web/dist/index.html ## .deb and .msi, for release (docs/install.md)
	@.ci/packages

try-packages: tools ## install the packages in a clean Debian with systemd, and see them connect
	@.ci/packages test

bench: tools ## the benchmarks, with their baselines in the same run
	@.ci/install-bench-tools
	$(BUILD) --release -p gururmm-server -p gururmm-agent
	cargo run --locked --release -p gururmm-tests --bin bench

fuzz: tools ## fuzz the wire's decoders and streams, FUZZ_SECONDS (60) each
	@FUZZ_SECONDS=$(FUZZ_SECONDS) .ci/fuzz

fmt: tools ## format the code
	cargo fmt --all

tools:
	@command -v cargo >/dev/null || { \
	    echo "make: cargo is missing; install Rust 1.95 or newer (https://rustup.rs)"; exit 1; }
	@command -v cc >/dev/null || { \
	    echo "make: a C compiler is missing; install the package build-essential"; exit 1; }
	@command -v node >/dev/null || { \
	    echo "make: node is missing; install Node.js 20 or newer"; exit 1; }
	@command -v npm >/dev/null || { \
	    echo "make: npm is missing; install it with Node.js 20 or newer"; exit 1; }
	@have=$$(node --version); printf '%s\n' v20 "$$have" | sort -VC || { \
	    echo "make: node is $$have; install Node.js 20 or newer"; exit 1; }
	@have=$$(rustc --version | cut -d' ' -f2); printf '%s\n' 1.95 "$$have" | sort -VC || { \
	    echo "make: Rust is $$have; install 1.95 or newer (rustup update)"; exit 1; }

# Known before the long build, though the demo looks again.
free-port:
	@listen=$${GURURMM_LISTEN:-127.0.0.1:3001}; host=$${listen%:*}; host=$${host#[}; \
	    if (exec 3<>"/dev/tcp/$${host%]}/$${listen##*:}") 2>/dev/null; then \
	        echo "make run: $$listen is in use; stop what uses it or set GURURMM_LISTEN to another address"; exit 1; \
	    fi

clean: ## remove what was built, and nothing else
	cargo clean
