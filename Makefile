# The commands of the README; each installs what it needs first.
.PHONY: run test check bench setup

run: setup-run
	cargo build --release
	exec target/release/wharfinger serve

test: setup-test
	cargo test --no-fail-fast

check:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

bench: setup-bench
	cargo build --release --bins --example mock_vendor
	bench/bench.py

setup: setup-run

.PHONY: setup-%
setup-%:
	@scripts/setup $*
