# `make run` and `make test` install what is missing and do the rest; on a machine that has it all they install nothing.

# The capture `make run` explains.
CAPTURE ?= fixtures/captures/refused-by-server/client.pcap

# Where rustup puts cargo, for shells that were open before it came.
export PATH := $(PATH):$(HOME)/.cargo/bin

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: run test lint check bench deb static fixtures setup tools

# What `make static` builds for: x86_64-unknown-linux-musl, or x86_64-unknown-linux-gnu with the static C library of the system.
TARGET ?= x86_64-unknown-linux-musl

run: setup
	cargo run --profile quick --locked --package wirewhy -- $(CAPTURE)

# Root can make network namespaces, in which live capture is tested.
check test: TOOLS := $(if $(filter 0,$(shell id -u)),ip:iproute2)
test: setup
	cargo test --workspace --locked --no-fail-fast

lint: setup tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings
	cd crates/wirewhy-python && cargo fmt --check && \
	    PYO3_NO_PYTHON=1 cargo clippy --locked --target-dir $(CURDIR)/target/python -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --locked

# The gate, by hand and in CI.
check: lint test

# Writes a dated table to target/bench; the other tools that it compares with are those that are installed.
bench: setup
	cargo build --release --locked --package wirewhy
	benches/run

# A Debian package in target/debian. Needs cargo-deb (cargo install --locked cargo-deb).
deb: setup
	CARGO_PROFILE_RELEASE_DEBUG=line-tables-only cargo build --release --locked --package wirewhy
	packaging/debian/build

# A binary without shared libraries in target/$(TARGET)/release: packaging/static/build says what it needs.
static:
	packaging/static/build $(TARGET)

# Makes the captures of the lab again; fixtures/make names the tools it misses.
fixtures:
	@if [ "$$(id -u)" = 0 ]; then exec fixtures/make $(NAMES); \
	elif command -v sudo >/dev/null; then exec sudo fixtures/make $(NAMES); \
	else echo "make: the lab needs root to make network namespaces, and there is no sudo here" >&2; exit 1; fi

# A C compiler, the C library's headers and libpcap, as some dependencies are written in C; and TOOLS, each with its package.
setup:
	@missing=; \
	command -v cc >/dev/null || missing="gcc libc6-dev"; \
	if [ -n "$$missing" ] || ! { pkg-config --exists libpcap 2>/dev/null || \
	    cc -print-file-name=libpcap.so 2>/dev/null | grep -q ^/; }; then missing="$${missing:+$$missing }libpcap-dev"; fi; \
	for tool in $(TOOLS); do \
	    command -v "$${tool%:*}" >/dev/null || missing="$${missing:+$$missing }$${tool#*:}"; \
	done; \
	if [ -n "$$missing" ]; then \
	    if ! command -v apt-get >/dev/null; then \
	        echo "make: missing: what Debian calls $$missing. Install what it is called here." >&2; exit 1; \
	    elif [ "$$(id -u)" = 0 ]; then sudo=; \
	    elif command -v sudo >/dev/null; then sudo=sudo; \
	    else \
	        echo "make: missing: $$missing. Installing needs root, and there is neither root nor sudo here." \
	             "Ask for: apt-get install $$missing" >&2; exit 1; \
	    fi; \
	    $$sudo apt-get update -q; \
	    $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; \
	fi
	@command -v cargo >/dev/null || { \
	    echo "make: cargo is missing. Get Rust from https://rustup.rs, for example:" >&2; \
	    echo "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y" >&2; exit 1; }

tools:
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy
