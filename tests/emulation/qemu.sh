#!/usr/bin/env bash
# QEMU's user mode emulation, in build/emulation/bin: qemu-aarch64 for 64-bit Arm, qemu-x86_64 for x86 processors that
# lack what this one has. Debian 13's, linked statically: Debian 12's, version 7.2, crashes in ONNX Runtime.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=build/emulation/bin
[ -x "$bin/qemu-x86_64" ] && exit

. tests/emulation/debian.sh
unpacked=$(mktemp --directory)
trap 'rm -rf "$unpacked"' EXIT
debian_unpack "$unpacked" trixie amd64 qemu-user
mkdir -p "$bin"
cp "$unpacked"/usr/bin/qemu-{aarch64,x86_64} "$bin"
"$bin/qemu-aarch64" --version | head -1
