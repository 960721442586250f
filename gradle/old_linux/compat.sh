#!/bin/sh
# sh gradle/old_linux/compat.sh FOLDER: makes libflambeau_compat.so (see compat.cpp) in a folder.
set -eu
cd "$(dirname "$0")"
out=$(mkdir -p "$1" && cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && ar x "$(g++ -print-file-name=libstdc++.a)" fs_dir.o fs_ops.o fs_path.o)
{ echo '{ global:'; sed 's/$/;/' compat.exports; echo 'local: *; };'; } > "$work/exports"
# The three small libraries are in libc on a new system. On an old one, libtorch finds shm_open and others in them.
g++ -std=c++17 -O2 -fPIC -Wall -Wextra -Werror -shared -o "$out/libflambeau_compat.so" compat.cpp "$work"/fs_*.o \
  -Wl,--version-script="$work/exports" -Wl,-soname,libflambeau_compat.so -Wl,-z,defs -Wl,--gc-sections -s \
  -Wl,--no-as-needed -l:libpthread.so.0 -l:libdl.so.2 -l:librt.so.1
