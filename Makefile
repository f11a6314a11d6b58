# The commands of the README; each installs what it needs first.
.PHONY: run test check bench setup

# WHARFINGER_TOOLS is a word to the setup, and no setting of the program, which refuses those it does not know.
run: setup-run
	cargo build --release
	exec env -u WHARFINGER_TOOLS target/release/wharfinger serve

test: setup-test
	cargo test --no-fail-fast

check:
	cargo fmt --all --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# Of the program that the container image ships.
bench: setup-bench
	cargo build --release --examples
	scripts/trained-build
	bench/bench.py

setup: setup-run

.PHONY: setup-%
setup-%:
	@scripts/setup $*
