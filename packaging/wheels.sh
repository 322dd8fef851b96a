#!/usr/bin/env bash
# wheels.sh OUTPUT_DIR PYTHON_TAG...   an sdist, and wheels for both processors and each of these Pythons that is here;
# those for x86-64 are built from the sdist. Each is installed and run, for 64-bit Arm that of .venv's Python.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1" build/wheels
output=$(realpath "$1")
shift
examples=$PWD/build/wheels/examples
emulated=cp$(.venv/bin/python -c 'import sys; print(f"{sys.version_info[0]}{sys.version_info[1]}")')

tags=""
for tag in "$@"; do
  if found=$(packaging/interpreter.sh "$tag"); then
    python=$found tags="$tags $tag"
  fi
done
if [ -z "$tags" ]; then
  echo "so there is nothing to build wheels for" >&2
  exit 1
fi
echo "wheels for:$tags"

rm -f "$output"/canthus-*
tools=$(packaging/tools.sh "$python")
PYTHONPATH=$tools "$python" -c "
import sys
from scikit_build_core.build import build_sdist
build_sdist(sys.argv[1])" "$output" > build/wheels/sdist.log 2>&1 || { cat build/wheels/sdist.log >&2; exit 1; }
unpacked=$PWD/build/wheels/unpacked
rm -rf "$unpacked"
mkdir -p "$unpacked/build/wheels"
tar -xf "$output"/canthus-*.tar.gz -C "$unpacked" --strip-components 1
ln -s "$tools" "$unpacked/build/wheels/tools"

# What the wheels are tried with.
if [ ! -f "$examples/eye.npz" ]; then
  mkdir -p "$examples"
  .venv/bin/canthus export examples/small.pth --annotation examples/emotion.json --image-size 100x133 \
    -o "$examples/eye.canthus" > /dev/null
  .venv/bin/canthus synthesize "$examples/eye.aedat4" --seconds 1 > /dev/null
  .venv/bin/python packaging/record.py "$examples/eye.canthus" "$examples/eye.aedat4" "$examples/eye.npz"
fi

export CUDACXX=${CUDACXX-$(echo "$PWD"/.venv/lib/python3*/site-packages/nvidia/cu13/bin/nvcc)}
for tag in $tags; do
  wheel=$("$unpacked/packaging/wheel.sh" x86_64 "$tag" "$output")
  echo "$(basename "$wheel"):"
  packaging/try_wheel.sh "$wheel" "$examples"
done
for tag in $tags; do
  wheel=$(env -u CUDACXX packaging/wheel.sh aarch64 "$tag" "$output")
  echo "$(basename "$wheel"):"
  if [ "$tag" = "$emulated" ]; then
    ls build/arm64/root/complete-* > /dev/null 2>&1 || bash tests/emulation/arm64.sh
    packaging/try_wheel.sh "$wheel" "$examples"
  else
    echo "built and checked by auditwheel; not run: the emulated Python is $emulated's"
  fi
done
du --apparent-size --block-size=KB "$output"/canthus-*
