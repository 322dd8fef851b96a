#!/usr/bin/env bash
# The tests of the C++ code, on builds that watch for wrong addresses, undefined behaviour and races: make sanitize
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
tests="tests/test_selective_scan.py tests/test_ssd.py tests/test_head.py tests/test_events.py tests/test_events_insert.py tests/test_resize.py"
export OPENBLAS_NUM_THREADS=1  # numpy's own threads are not watched, so they would seem to race
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/tests/sanitize_thread.supp"

configure() {  # source, build, flags of the compiler, more
  $bin/cmake -S "$1" -B "$2" -G Ninja -DCMAKE_MAKE_PROGRAM="$PWD/$bin/ninja" -DCMAKE_BUILD_TYPE=None \
    -DCMAKE_CXX_FLAGS="$3" -DPython_EXECUTABLE="$PWD/$bin/python" -Dpybind11_DIR="$($bin/python -m pybind11 --cmakedir)" \
    "${@:4}" > /dev/null
  $bin/cmake --build "$2" > /dev/null
}

run() {  # sanitizers, their runtime, tests
  local build="build/${1%%,*}"
  configure . "$build" -O1 -DCANTHUS_SANITIZE="$1"
  echo "$1:"
  # The runtime must be there before what it watches, and so must the library that throws exceptions.
  LD_PRELOAD="$(g++ -print-file-name="$2") $(g++ -print-file-name=libstdc++.so)" \
    CANTHUS_NATIVE="$(echo "$PWD/$build"/_native*.so)" $bin/python -m pytest -q -n 2 $3
}

# The CUDA kernels, compiled for the CPU, where there are CUDA's headers.
headers=$(echo "$PWD/$bin"/../lib/python3*/site-packages/nvidia/cu13/include)
if [ -f "$headers/cuda_runtime.h" ]; then
  configure tests/cuda_on_host build/address_cuda "-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all" \
    -DCUDA_INCLUDE="$headers"
  export CANTHUS_CUDA_ON_HOST="$PWD/build/address_cuda"
  cuda_tests=tests/test_cuda_kernels.py
fi

run address,undefined libasan.so "$tests tests/test_selective_scan_onnx.py tests/test_ssd_onnx.py tests/test_head_onnx.py ${cuda_tests:-}"
run thread libtsan.so "$tests"  # ONNX Runtime's own threads aren't watched, so it would see races where there are none
