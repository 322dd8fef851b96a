#!/usr/bin/env bash
# The tests of what runs on a device, as on 64-bit Arm, under emulation: make test-arm64
set -euo pipefail
cd "$(dirname "$0")/.."
home=$PWD/build/arm64
exported=$home/exported
begun=$SECONDS

arm() {
  "$home/python/bin/python" -c 'import sys; from canthus.cli import main; sys.exit(main())' "$@"
}

took() {  # what
  echo "arm64: $1 took $((SECONDS - begun)) s"
  begun=$SECONDS
}

bash tests/emulation/arm64.sh
took "set-up"

if [ -n "$(find sdk model calibration exporter tests/emulation/export.py examples -newer "$exported/complete" 2>&1 | head -1)" ]; then
  rm -rf "$exported"
  .venv/bin/python tests/emulation/export.py "$exported"
  touch "$exported/complete"
fi
took "exporting on this machine"

# Armv8.2 as servers and headsets have it, all that the emulator knows, Armv8.2 without dot products, Armv8.0.
for bundle in float32 int8; do
  for processor in neoverse-n1 max a64fx cortex-a72; do
    echo "$processor, $bundle:"
    CANTHUS_CPU=$processor arm verify --backend onnxruntime "$exported/$bundle.canthus"
  done
  run=(run --json --backend onnxruntime "$exported/$bundle.canthus" "$exported/parade.aedat4")
  arm "${run[@]}" > "$home/arm.jsonl"
  .venv/bin/canthus "${run[@]}" > "$home/x86.jsonl"
  .venv/bin/python tests/emulation/same_answers.py "$home/arm.jsonl" "$home/x86.jsonl" 1e-3
done
took "verify and run"

export CANTHUS_EXPORTED=$exported OMP_NUM_THREADS=1 PATH=$home/python/bin:$PATH PYTHONPATH=$PWD/tests/emulation
tests="$home/python/bin/python -m pytest -p left_out -p no:cacheprovider"
$tests -m "not wall_time and not alone" -n 2 --dist loadfile
$tests -m "not wall_time and alone" tests/test_monitor.py tests/test_cameras.py
took "tests"
