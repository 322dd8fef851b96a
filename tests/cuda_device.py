"""Where tests run CUDA kernels: on a GPU, and on the CPU, compiled for it by tests/cuda_on_host."""

import fcntl
import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from canthus import _native
from canthus.device.gpu import find_gpu

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "cuda_on_host"


class OnHost:
    """Arrays stay where they are: the kernels read and write them."""

    def __init__(self):
        self.cuda = _host_module().cuda

    def give(self, array):
        return self.cuda.DeviceArray(array.ctypes.data, array.shape, array.dtype.name)

    def take(self, array, given):
        pass


class OnGpu:
    """Arrays are copied to the GPU and back."""

    def __init__(self):
        from cuda.bindings import runtime

        self.cuda, self._runtime = _native.cuda, runtime
        self._addresses = {}

    def give(self, array):
        address = self._checked(self._runtime.cudaMalloc(max(array.nbytes, 1)))
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._checked(self._runtime.cudaMemcpy(address, array.ctypes.data, array.nbytes, kind))
        given = self.cuda.DeviceArray(address, array.shape, array.dtype.name)
        self._addresses[id(given)] = address
        return given

    def take(self, array, given):
        address = self._addresses.pop(id(given))
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._checked(self._runtime.cudaMemcpy(array.ctypes.data, address, array.nbytes, kind))
        self._checked(self._runtime.cudaFree(address))

    def _checked(self, result):
        error, *values = result
        assert error == self._runtime.cudaError_t.cudaSuccess, error
        return values[0] if values else None


class Device:
    """Runs a function of `canthus._native.cuda` on numpy arrays."""

    def __init__(self, place):
        self._place, self.cuda = place, place.cuda

    def run(self, function, *inputs, results, **others):
        """Calls it with arrays, and with `results`, by their names, into which it writes."""
        arrays = [x for x in (*inputs, *others.values(), *results.values()) if isinstance(x, np.ndarray)]
        given = {id(array): self._place.give(array) for array in arrays}
        on_device = lambda x: given[id(x)] if isinstance(x, np.ndarray) else x  # noqa: E731
        try:
            return function(
                *map(on_device, inputs), **{name: on_device(x) for name, x in {**others, **results}.items()}
            )
        finally:
            for array in arrays:
                self._place.take(array, given[id(array)])

    def workspace(self, name, inputs):
        """Of the head's operator `name`, filled with what nobody may read."""
        given = [self._place.give(x) for x in inputs]
        floats = getattr(self.cuda, f"{name}_workspace")(*given)
        for array, one in zip(inputs, given, strict=True):
            self._place.take(array, one)
        return np.full(floats, np.nan, np.float32)


def open_device(where):
    """`host` or `gpu`; skips the test with the reason where there is none."""
    if where == "host":
        return Device(OnHost())
    if not _native.cuda_architectures():
        pytest.skip("canthus was built without CUDA")
    if find_gpu() is None:
        pytest.skip("there is no NVIDIA GPU")
    return Device(OnGpu())


def cuda_toolkit():
    """The folder of CUDA's compiler and headers, from $CUDACXX, the package nvidia-cuda-nvcc or PATH; None if none."""
    folders = [Path(folder) / "nvidia" / "cu13" / "bin" for folder in sys.path]
    folders += [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    if "CUDACXX" in os.environ:
        folders.insert(0, Path(os.environ["CUDACXX"]).parent)
    toolkits = [folder.parent for folder in folders if (folder / "nvcc").is_file()]
    return next((folder for folder in toolkits if (folder / "include" / "cuda_runtime.h").is_file()), None)


def operators_on_host():
    """A library like canthus's for ONNX Runtime, of the operators for the CUDA provider, run on the CPU."""
    return _built("libcuda_operators_on_host.so")


def _host_module():
    if "cuda_on_host" not in sys.modules:
        spec = importlib.util.spec_from_file_location("cuda_on_host", _built("cuda_on_host*.so"))
        sys.modules["cuda_on_host"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["cuda_on_host"])
    return sys.modules["cuda_on_host"]


def _built(name):
    (path,) = _build_folder().glob(name)
    return path


@functools.cache
def _build_folder():
    """Of tests/cuda_on_host, built; or another build of it, see sanitize.sh."""
    if "CANTHUS_CUDA_ON_HOST" in os.environ:
        return Path(os.environ["CANTHUS_CUDA_ON_HOST"])
    toolkit = cuda_toolkit()
    if toolkit is None:
        pytest.skip("there is no CUDA compiler, whose headers the kernels need")
    import pybind11

    tools = Path(sys.executable).parent
    configure = [
        *(tools / "cmake", "-S", HERE / "cuda_on_host", "-B", BUILD, "-G", "Ninja"),
        *(f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}", f"-DPython_EXECUTABLE={sys.executable}"),
        *(f"-DCUDA_INCLUDE={toolkit / 'include'}", "-DCMAKE_CXX_FLAGS=-O2", "-DCMAKE_BUILD_TYPE=None"),
        f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
    ]
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:  # tests may run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (configure, [tools / "cmake", "--build", BUILD]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
    return BUILD
