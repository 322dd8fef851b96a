#!/usr/bin/env bash
# wheel.sh ARCH PYTHON_TAG OUTPUT_DIR   builds one wheel: for x86_64 or aarch64, and CPython cp310 to cp313; prints its path
# For x86_64 with CUDA kernels, by $CUDACXX or the nvcc in .venv; CUDACXX=none leaves them out.
# An interpreter of that version must be here, of this machine's kind: its headers are the same for every processor.
set -euo pipefail
packaging=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$packaging")
arch=${1:?"which processor? x86_64 or aarch64"} tag=${2:?"which Python? for example cp311"} output=${3:?"where to?"}
case $arch in
  x86_64)
    export CUDACXX=${CUDACXX-$(echo "$source"/.venv/lib/python3*/site-packages/nvidia/cu13/bin/nvcc)}
    if [ "$CUDACXX" != none ] && ! type -P "$CUDACXX" > /dev/null; then
      echo "$CUDACXX isn't there: make install brings nvcc; CUDACXX=none leaves the CUDA kernels out" >&2
      exit 1
    fi
    ;;
  aarch64) ;;
  *)
    echo "no wheel for '$arch' is known: x86_64 or aarch64" >&2
    exit 1
    ;;
esac
python=$("$packaging/interpreter.sh" "$tag")
mkdir -p "$output"
output=$(cd "$output" && pwd)
build=$source/build/wheels/$arch
tools=$("$packaging/tools.sh" "$python")  # for this machine, so before another's platform is named

case $arch in
  x86_64)
    # By GCC, which canthus is tested and measured with, and which nvcc knows. The C++ library is the system's: GCC 12's
    # own, put in, asks for glibc 2.36.
    glibc=2.34  # Debian 12's, Ubuntu 22.04's and RHEL 9's are no older
    ;;
  aarch64)
    glibc=2.27  # Ubuntu 18.04's; JetPack 6 has 2.35
    export ZIG_TARGET=aarch64-linux-gnu.$glibc
    export CMAKE_TOOLCHAIN_FILE=$packaging/aarch64.cmake
    export _PYTHON_HOST_PLATFORM=linux-aarch64  # the wheel's name
    export SETUPTOOLS_EXT_SUFFIX=.cpython-${tag#cp}-aarch64-linux-gnu.so  # the module's name
    ;;
esac

export PYTHONPATH=$tools PATH=$tools/bin:$PATH ZIG=$tools/ziglang/zig

# One build folder serves every Python: what doesn't ask for Python's headers is compiled once.
unrepaired=$(mktemp -d)
trap 'rm -rf "$unrepaired"' EXIT
cd "$source"
SKBUILD_BUILD_DIR=$build "$python" -c "
import sys
from scikit_build_core.build import build_wheel
build_wheel(sys.argv[1])" "$unrepaired" > "$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }

# auditwheel names the wheel after the oldest system that has what its libraries ask for: no newer one than was meant.
"$python" -m auditwheel repair --plat auto --only-plat --wheel-dir "$unrepaired/repaired" "$unrepaired"/*.whl >> "$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
wheel=$(echo "$unrepaired"/repaired/*.whl)
wheel_glibc=$(sed -E 's/.*manylinux_([0-9]+)_([0-9]+)_.*/\1.\2/' <<< "$wheel")
if [ "$(printf '%s\n' "$glibc" "$wheel_glibc" | sort --version-sort | tail -1)" != "$glibc" ]; then
  echo "$(basename "$wheel") asks for glibc $wheel_glibc; $glibc was promised" >&2
  exit 1
fi
mv "$wheel" "$output"
echo "$output/$(basename "$wheel")"
