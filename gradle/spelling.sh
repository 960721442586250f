#!/bin/sh
# sh gradle/spelling.sh [OPTION…]: American spelling, as in Spark and PyTorch, in all files that people write.
set -eu
cd "$(dirname "$0")/.."
git ls-files -co --exclude-standard -z -- . ':!LICENSE' ':!*NOTICE*' ':!*.lock' ':!*.svg' ':!gradlew*' |
  xargs -0 .venv/bin/codespell --builtin en-GB_to_en-US "$@"
