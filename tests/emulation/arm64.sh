#!/usr/bin/env bash
# Python with canthus as on 64-bit Arm, in build/arm64/python: Debian's Python, the packages that a device has, and
# canthus's wheel, cross-compiled. build/arm64/python/bin/python runs by emulation, and so does what it starts by its
# own name; CANTHUS_CPU names another processor that QEMU knows.
set -euo pipefail
cd "$(dirname "$0")/../.."
home=$PWD/build/arm64
bin=.venv/bin
version=$($bin/python -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
case $version in  # of the machine's own version, whose headers the wheel is built with
  3.11) debian=bookworm ;;
  3.13) debian=trixie ;;
  *)
    echo "Debian has Python 3.11 and 3.13 for 64-bit Arm, and .venv has $version: make clean, then make PYTHON=python3.11 test-arm64" >&2
    exit 1
    ;;
esac

bash tests/emulation/qemu.sh
mkdir -p "$home"

if [ ! -f "$home/root/complete-$version" ]; then
  . tests/emulation/debian.sh
  rm -rf "$home/root"
  debian_unpack "$home/root" $debian arm64 python3 libatomic1 libstdc++6
  rm -rf "$home"/root/{var,usr/share/doc}
  ln -s usr/lib "$home/root/lib"
  echo 'root:x:0:0:root:/root:/bin/sh' > "$home/root/etc/passwd"
  echo 'root:x:0:' > "$home/root/etc/group"
  echo '127.0.0.1 localhost' > "$home/root/etc/hosts"
  echo 'hosts: files' > "$home/root/etc/nsswitch.conf"
  touch "$home/root/complete-$version"
fi

packages=$home/python/lib/python$version/site-packages
install() {
  $bin/python -m pip install --quiet --disable-pip-version-check --only-binary=:all: --implementation cp \
    --python-version "$version" $(printf -- '--platform manylinux_2_%s_aarch64 ' {28..17}) \
    --constraint constraints.txt --target "$packages" "$@"
}
if [ constraints.txt -nt "$packages/complete" ]; then
  rm -rf "$packages"
  install numpy pyyaml onnxruntime dv-processing pillow onnx ml_dtypes pytest pytest-xdist hypothesis
  touch "$packages/complete"
fi

sources="CMakeLists.txt pyproject.toml csrc sdk model calibration exporter packaging"
if [ ! -f "$packages/canthus-complete" ] || [ -n "$(find $sources -type f -not -name '*.pyc' -newer "$packages/canthus-complete")" ]; then
  rm -rf "$home/wheels"
  bash packaging/wheel.sh aarch64 "cp${version/./}" "$home/wheels"
  install --upgrade --no-deps "$home"/wheels/*.whl
  touch "$packages/canthus-complete"
fi

# As a virtual environment's, so that Python finds the packages by where it is started.
mkdir -p "$home/python/bin"
printf 'home = %s\ninclude-system-site-packages = false\n' "$home/root/usr/bin" > "$home/python/pyvenv.cfg"
cat > "$home/python/bin/python" << END
#!/bin/sh
exec "$PWD/build/emulation/bin/qemu-aarch64" -cpu "\${CANTHUS_CPU:-neoverse-n1}" -L "$home/root" -0 "\$0" "$home/root/usr/bin/python$version" "\$@"
END
chmod +x "$home/python/bin/python"

# Tests compile stand-ins for libraries.
cat > "$home/python/bin/cc" << END
#!/bin/sh
exec "$PWD/build/wheels/tools/ziglang/zig" cc -target aarch64-linux-gnu.2.27 "\$@"
END
chmod +x "$home/python/bin/cc"
