# imgop's commands. `make` alone lists them.
#
# Needed: Rust (rustup, 1.95 or newer), Go 1.26 or newer, git, make, gcc. Everything else is
# installed or built by what needs it: see tests/testbed/README.md.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Targets share a cluster and cargo's lock.
.NOTPARALLEL:

VERSION := $(shell sed -n '/^\[workspace.package\]/,/^$$/ s/^version = "\(.*\)"/\1/p' Cargo.toml)
IMAGE ?= ghcr.io/imgop/agent:$(VERSION)
BUILDER_IMAGE ?= ghcr.io/imgop/builder:$(VERSION)
# What the metric imgop_build_info says.
REVISION = $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# What this machine releases; programs for macOS that are in $(TARGET_DIR) already are packed too.
RELEASE_TARGETS ?= x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-pc-windows-gnu
RELEASE = $(TARGET_DIR)/dist
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
# jemalloc runs with pages that are not larger than those that it was built for. Kernels for arm64 have pages of up to 64 KiB.
LARGEST_PAGES = $(if $(filter aarch64-%,$(HOST)),JEMALLOC_SYS_WITH_LG_PAGE=16)
# One selection of packages: another one would have other features of what they share, and compile it once more.
TEST_CRATES = cargo test --workspace --exclude imgop-tests
# What tests start. They build it likewise (tests/src/programs.rs), so that nothing is compiled while they run.
BUILD_PROGRAMS = cargo build --package imgop-agent --package kubectl-imgop --package imgop-step
SCRIPTS = $(shell git ls-files | xargs grep -lE '^\#!/usr/bin/env bash|^\# shellcheck shell=bash' --)

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: ## Show imgop at work on a real Kubernetes (brings one up; the first time about 10 minutes)
	tests/demo

.PHONY: test
test: test-unit test-formats test-api test-registries test-builds test-cluster ## Run all tests (brings a cluster up and down if none is up)

.PHONY: test-unit
test-unit: ## Run the tests that need no Kubernetes
	$(TEST_CRATES)

.PHONY: test-formats
test-formats: ## Run the tests of files of other tools against the libraries of those tools, which they compile themselves (Go)
	cargo test --package imgop-tests --test formats

.PHONY: test-api
test-api: ## Run the tests against an API server and etcd, which they start themselves
	$(BUILD_PROGRAMS)
	cargo test --package imgop-tests --lib --test api_server

.PHONY: test-chart-pairs
test-chart-pairs: ## Render the chart for each two features with nothing else on, apart from `make test`
	cargo test --package imgop-tests --test api_server features_work_in_pairs -- --include-ignored

.PHONY: test-registries
test-registries: ## Run the tests of the registry client against real registries, which they start themselves, and of what Go libraries find
	cargo test --package imgop-tests --test registries
	$(TEST_CRATES) --test constraints_and_masterminds -- --include-ignored
	$(TEST_CRATES) --test cli real_helm -- --include-ignored
	$(TEST_CRATES) --lib real_helm -- --include-ignored

.PHONY: test-builds
test-builds: ## Run the tests of what runs in the pods of builds, with real git, Buildah and Skopeo on this machine (root)
	$(TEST_CRATES) --features imgop-step/with-programs --test containers --test ignore_file_and_buildah -- --include-ignored
	$(TEST_CRATES) --test cli -- --ignored real_buildah

.PHONY: test-cluster
test-cluster: ## Run the end-to-end tests on the cluster that is up, or on one of their own
	$(BUILD_PROGRAMS)
	tests/with-cluster cargo test --package imgop-tests --no-fail-fast \
	  --test end_to_end --test disruption --test leaks --test installation -- --test-threads 6

.PHONY: test-kills
test-kills: ## Run the tests of an agent that is killed at each moment of copies and builds, of which `make test` has one each
	$(BUILD_PROGRAMS)
	IMGOP_TEST_KILLS=all tests/with-cluster cargo test --package imgop-tests --test disruption -- that_is_killed

.PHONY: test-engines
test-engines: ## Run all end-to-end tests of copying with both engines, apart from `make test`, which has a part of them
	$(BUILD_PROGRAMS)
	for engine in Skopeo Native; do \
	  IMGOP_TEST_ENGINE=$$engine IMGOP_TEST_KILLS=all tests/with-cluster cargo test --package imgop-tests --no-fail-fast \
	    --test end_to_end --test disruption --test leaks -- --test-threads 6 --skip builds; \
	done

.PHONY: test-clock
test-clock: ## Run the test of an agent whose wall clock jumps (Debian 12 as root; builds the agent once more, dynamically)
	source tests/testbed/lib/common.sh && source tests/testbed/lib/packages.sh && ensure_packages libfaketime
	cargo test --package imgop-tests --test clock

.PHONY: bench
bench: ## Measure what it costs when there is nothing to do and at first copies, beside other programs (an hour)
	crates/bench/run-plugin
	crates/bench/run-mirror
	crates/bench/run-peers
	crates/bench/run-builds
	crates/bench/run-copies
	crates/bench/run

.PHONY: lint
lint: ## Check formatting, clippy, dependencies (cargo-deny), scripts (shellcheck) and workflows (actionlint)
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --all-features -- --deny warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --all-features check; \
	else echo "cargo-deny is not installed: dependencies are not checked (make install-tools)"; fi
	@if command -v shellcheck >/dev/null; then shellcheck --external-sources $(SCRIPTS); \
	else echo "shellcheck is not installed: scripts are not checked (make install-tools)"; fi
	@if command -v actionlint >/dev/null; then actionlint; \
	else echo "actionlint is not installed: workflows are not checked (make install-tools)"; fi

.PHONY: fmt
fmt: ## Format the Rust code
	cargo fmt --all

.PHONY: crds
crds: ## Write manifests/crds, manifests/install.yaml and the chart's copies anew from the Rust types
	IMGOP_UPDATE=1 cargo test --package imgop-core --test crds

.PHONY: docs
docs: ## Write the documents anew that are made from the code: settings and metrics, rights, values of the chart, verbs, kinds, schemas
	IMGOP_UPDATE=1 cargo test --package imgop-agent --test configuration --test chart --test rights
	IMGOP_UPDATE=1 cargo test --package imgop-core --test kinds
	IMGOP_UPDATE=1 cargo test --package kubectl-imgop --bin kubectl-imgop -- verb_pages schemas

.PHONY: pictures
pictures: ## Compare the pictures of the documents with what the test cluster shows; IMGOP_UPDATE=1 makes them anew
	tests/with-cluster tests/pictures
	tests/with-cluster tests/dashboard

.PHONY: image
image: ## Build the agent's image as an archive, target/agent.tar (IMAGE=name:tag names it)
	$(LARGEST_PAGES) IMGOP_REVISION=$(REVISION) cargo build --release --package imgop-agent
	tests/testbed/images/agent-image \
	  $(TARGET_DIR)/$(HOST)/release/imgop-agent $(IMAGE) $(TARGET_DIR)/agent.tar
	@echo "$(TARGET_DIR)/agent.tar holds $(IMAGE)"

.PHONY: builder-image
builder-image: ## Build the image of builds' pods as an archive, target/builder.tar (BUILDER_IMAGE=name:tag names it)
	cargo build --release --package imgop-step
	tests/testbed/images/builder \
	  $(TARGET_DIR)/$(HOST)/release/imgop-step $(BUILDER_IMAGE) $(TARGET_DIR)/builder.tar
	@echo "$(TARGET_DIR)/builder.tar holds $(BUILDER_IMAGE)"

.PHONY: release
release: ## Make a release in target/dist: archives, krew manifest, images, checksums (Debian 12 as root; an hour on 2 cores)
	crates/release/build $(RELEASE_TARGETS)
	rm -rf $(RELEASE)
	cargo run --quiet --package imgop-release -- --programs $(TARGET_DIR) --out $(RELEASE)
	cp manifests/install.yaml $(RELEASE)/
	crates/release/images $(VERSION) $(TARGET_DIR) $(RELEASE)
	crates/release/sbom $(VERSION) $(RELEASE)
	crates/release/checksums $(RELEASE)

.PHONY: test-release
test-release: ## Test what `make release` made: krew installs it, images are built again (as root, apart from `make test`)
	crates/release/test $(TARGET_DIR) $(RELEASE)

.PHONY: version
version: ## Print the version, which stands in Cargo.toml
	@echo $(VERSION)

.PHONY: cluster-up
cluster-up: ## Bring the test cluster up: a real one-node Kubernetes with three registries
	tests/testbed/up

.PHONY: cluster-down
cluster-down: ## Take the test cluster down, without a trace
	tests/testbed/down

.PHONY: install-tools
install-tools: ## Install what only `make lint` uses: rustfmt, clippy, cargo-deny, shellcheck, actionlint
	rustup component add rustfmt clippy
	command -v shellcheck >/dev/null || apt-get install --yes --no-install-recommends shellcheck
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	command -v actionlint >/dev/null || GOBIN=$${CARGO_HOME:-$$HOME/.cargo}/bin go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

.PHONY: clean
clean: ## Remove what cargo built (not the cluster's cache in ~/.cache/imgop)
	cargo clean
