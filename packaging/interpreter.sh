#!/usr/bin/env bash
# interpreter.sh PYTHON_TAG   prints the path of a CPython (cp310: 3.10) that has its headers, of those in PATH and pyenv's
set -euo pipefail
tag=${1:?"which Python? for example cp311"}
version=3.${tag#cp3}
has_headers='
import pathlib, sys, sysconfig
found = f"{sys.version_info[0]}.{sys.version_info[1]}" == sys.argv[1] and sys.implementation.name == "cpython"
sys.exit(not (found and pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()))'
for python in "$(type -P "python$version" || true)" "$(type -P python3 || true)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
  if [ -x "$python" ] && "$python" -c "$has_headers" "$version" 2> /dev/null; then
    exec "$python" -c 'import sys; print(sys.executable)'
  fi
done
echo "no CPython $version with its headers is here: neither in PATH nor pyenv's" >&2
exit 1
