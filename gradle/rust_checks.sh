#!/bin/sh
# fmt, clippy and tests of all crates; the first two count as one test each (gradle/run_counted.py reads these lines).
set -u
failed=0
check() { # NAME COMMAND…
  name=$1; shift
  if "$@"; then echo "check $name: passed"; else echo "check $name: failed"; failed=1; fi
}
check fmt cargo fmt --all --check
check clippy cargo clippy --release --locked --workspace --all-targets -- -D warnings
cargo test --release --locked --workspace --no-fail-fast || failed=1
exit $failed
