#!/bin/sh
# ./gradlew TASK…: a Gradle 8 from the PATH, else one assembled from Maven Central into .gradle-home (once, about 30 s).
# Before anything long begins, says in one line each what this machine lacks.
set -eu
cd "$(dirname "$0")"

lacking=0
need() { # NAME, HOW TO GET IT, COMMAND THAT SUCCEEDS WHERE IT IS
  if ! sh -c "$3" >/dev/null 2>&1; then echo "missing: $1. $2" >&2; lacking=1; fi
}
java_of() { if [ -n "${JAVA_HOME:-}" ]; then echo "$JAVA_HOME/bin/java"; else echo java; fi; }
need "JDK 17" "Install one (Debian: apt-get install openjdk-17-jdk-headless) and let JAVA_HOME or PATH find it" \
  "'$(java_of)' -version 2>&1 | grep -q 'version \"17\.' && command -v '$(java_of)'"
rust=$(sed -n "s/^rustVersion=1\.//p" gradle.properties)
need "Rust 1.$rust or newer" "Install it with rustup (https://rustup.rs) and let PATH find cargo" \
  "cargo --version | awk '{split(\$2, v, \".\"); exit !(v[1] > 1 || v[2] >= $rust)}'"
need "Python 3.10 or newer with venv" "Debian: apt-get install python3 python3-venv" \
  "python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))'"
need "a C++ compiler" "Debian: apt-get install g++" "command -v c++"

gradle=$(command -v gradle || true)
if [ -n "$gradle" ] && ! "$gradle" --version 2>/dev/null | grep -q '^Gradle 8\.'; then gradle=; fi
if [ -z "$gradle" ]; then
  need "Maven" "Debian: apt-get install maven (it fetches Gradle; a Gradle 8 on the PATH does as well)" "command -v mvn"
  need "zip" "Debian: apt-get install zip" "command -v zip"
fi
[ "$lacking" = 0 ] || exit 2

if [ -z "$gradle" ]; then
  gradle=.gradle-home/home/bin/gradle
  if [ ! -e .gradle-home/complete ]; then
    echo "no Gradle 8 on the PATH: assembling one in .gradle-home"
    mvn -q -B -f gradle/gradle-home.pom.xml dependency:copy-dependencies -DoutputDirectory="$PWD/.gradle-home/jars"
    python3 gradle/make_gradle_home.py .gradle-home/jars .gradle-home/home
    touch .gradle-home/complete
  fi
fi
# Each process of Python would compile all that it imports, again. Those of .venv that nothing imports are never compiled.
unset PYTHONDONTWRITEBYTECODE
exec "$gradle" --no-daemon --console=plain "$@"
