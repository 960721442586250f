#!/bin/sh
# sh gradle/lint.sh [NAME…]: the checks of these names, or all; each counts as one test (run_counted.py reads the lines). Two run at a time,
# and what a check prints comes when it ends.
# sh gradle/lint.sh --fix [NAME…]: fixes what its tool can fix. scalafmt needs its class path in SCALAFMT: ./gradlew lint has it.
set -u
cd "$(dirname "$0")/.."
all='clippy mypy prose spelling ruff ruff-format scalafmt rustfmt'
fix=false
case ${1:-} in
  --fix) fix=true; shift ;;
  --one) shift ;;
  *)
    printf '%s\n' ${*:-$all} | xargs -n 1 -P 2 sh -c 'output=$(sh gradle/lint.sh --one "$0" 2>&1); code=$?; printf "%s\n" "$output"; exit $code'
    exit $? ;;
esac
failed=0
check() { # NAME COMMAND…
  name=$1; shift
  if "$@"; then echo "check $name: passed"; else echo "check $name: failed"; failed=1; fi
}
scalafmt() { # OPTION…
  "${JAVA_HOME:+$JAVA_HOME/bin/}java" -Xmx1g -cp "$SCALAFMT" org.scalafmt.cli.Cli --non-interactive --quiet "$@" jvm
}
for name in ${*:-$all}; do
  case $fix-$name in
    false-prose) check prose .venv/bin/python tests/prose.py ;;
    false-spelling) check spelling sh gradle/spelling.sh ;;
    true-spelling) check spelling sh gradle/spelling.sh --write-changes ;;
    false-ruff) check ruff .venv/bin/ruff check --quiet . ;;
    true-ruff) check ruff .venv/bin/ruff check --quiet --fix . ;;
    false-ruff-format) check ruff-format .venv/bin/ruff format --quiet --diff . ;;
    true-ruff-format) check ruff-format .venv/bin/ruff format --quiet . ;;
    false-mypy) check mypy .venv/bin/python gradle/check_types.py ;;
    false-scalafmt) check scalafmt scalafmt --test ;;
    true-scalafmt) check scalafmt scalafmt ;;
    false-rustfmt) check rustfmt cargo fmt --all --check ;;
    true-rustfmt) check rustfmt cargo fmt --all ;;
    false-clippy) check clippy cargo clippy --release --locked --workspace --all-targets -- -D warnings ;;
    true-prose | true-mypy | true-clippy) ;;
    *) echo "lint.sh: there is no check $name" >&2; exit 2 ;;
  esac
done
exit $failed
