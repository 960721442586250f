#!/bin/sh
# sh gradle/install_python.sh REQUIREMENTS: installs them into .venv, which it makes if there is none. uv installs what pip would, in a
# quarter of the time. It has its version in python/requirements-dev.txt. pip is asked where its index is, as uv does not read pip's settings.
# Where uv cannot install, pip does it.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
[ -x $python ] || python3 -m venv .venv
[ -x .venv/bin/uv ] || $python -m pip install --quiet --disable-pip-version-check "$(grep '^uv==' python/requirements-dev.txt)" || true
index=${PIP_INDEX_URL:-$($python -m pip config get global.index-url 2> /dev/null || true)}
# PySpark's workers forget, before every task, what is in the zip files of their path, and Python older than 3.13 reads the lists again at
# once: a third of a second of each task. No such file changes here.
site=$($python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo 'import zipimport; zipimport.zipimporter.invalidate_caches = lambda self: None' > "$site/zip_files_stay.pth"
UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-180} .venv/bin/uv pip install --quiet --python $python ${index:+--default-index "$index"} -r "$1" ||
  $python -m pip install --quiet --disable-pip-version-check -r "$1"
