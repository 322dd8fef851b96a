#!/usr/bin/env bash
# try_wheel.sh WHEEL EXAMPLES   installs a wheel into an empty environment outside the clone, beside numpy, PyYAML and
# ONNX Runtime alone; there it verifies a bundle and answers arrays as the source tree does; then, with the camera's
# extra, it runs a recording. EXAMPLES has eye.canthus, eye.aedat4 and eye.npz, as packaging/wheels.sh makes them.
# A wheel for 64-bit Arm runs under emulation, as tests/emulation/arm64.sh sets it up.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
wheel=$(realpath "$1") examples=$(realpath "$2")
tag=$(sed -E 's/.*-(cp3[0-9]+)-cp3.*/\1/' <<< "$wheel")
version=3.${tag#cp3}
environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
unset PYTHONPATH
cd "$environment"

pip="install --quiet --disable-pip-version-check --only-binary=:all: --constraint $source/constraints.txt"
case $wheel in
  *_x86_64.whl)
    "$("$source/packaging/interpreter.sh" "$tag")" -m venv --without-pip .
    install() { "$source/.venv/bin/python" -m pip --python bin/python $pip "$@"; }
    canthus() { bin/canthus "$@"; }
    ;;
  *_aarch64.whl)
    root=$source/build/arm64/root emulator=$source/build/emulation/bin/qemu-aarch64
    mkdir bin
    printf 'home = %s\ninclude-system-site-packages = false\n' "$root/usr/bin" > pyvenv.cfg
    printf '#!/bin/sh\nexec "%s" -cpu neoverse-n1 -L "%s" -0 "$0" "%s" "$@"\n' \
      "$emulator" "$root" "$root/usr/bin/python$version" > bin/python
    chmod +x bin/python
    install() {
      "$source/.venv/bin/python" -m pip $pip --implementation cp --python-version "$version" \
        $(printf -- '--platform manylinux_2_%s_aarch64 ' {28..17}) --target "lib/python$version/site-packages" "$@"
    }
    canthus() { "$environment/bin/python" -c 'import sys; from canthus.cli import main; sys.exit(main())' "$@"; }
    ;;
esac

install "$wheel[cpu]"
canthus verify --backend onnxruntime "$examples/eye.canthus"
"$environment/bin/python" "$source/packaging/replay.py" "$examples/eye.canthus" "$examples/eye.npz"
install --no-deps dv-processing  # all that the extra "camera" adds
canthus run --backend onnxruntime "$examples/eye.canthus" "$examples/eye.aedat4" 2>&1 | tail -1
