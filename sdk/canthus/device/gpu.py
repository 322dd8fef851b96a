"""The NVIDIA GPU at hand, as the driver's own library tells of it; nothing of CUDA's need be installed for that."""

from __future__ import annotations

import ctypes
import functools
import re
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LIBRARY = {"win32": "nvcuda.dll", "darwin": ""}.get(sys.platform, "libcuda.so.1")
_KERNEL_DRIVER = Path("/proc/driver/nvidia/version")

# Of enum CUdevice_attribute, in cuda.h.
_MULTIPROCESSORS = 16
_INTEGRATED = 18
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76

_JETSONS = {(5, 3), (6, 2), (7, 2), (8, 7), (10, 1), (11, 0)}
"""Nano, TX2, Xavier, Orin, and Thor, which CUDA 12 numbers 10.1 and CUDA 13 numbers 11.0."""

_REMEDIES = {
    "CUDA_ERROR_NO_DEVICE": "the driver is there but has no GPU; is it plugged in, passed on to this container or "
    "virtual machine, or hidden by CUDA_VISIBLE_DEVICES?",
    "CUDA_ERROR_STUB_LIBRARY": "the library found is the CUDA toolkit's stub, which is for linking alone; take its "
    "folder out of LD_LIBRARY_PATH",
    "CUDA_ERROR_DEVICE_UNAVAILABLE": "another process has taken the GPU for itself alone",
    "CUDA_ERROR_OPERATING_SYSTEM": "the system refused it; may this user open /dev/nvidia*, and is the container "
    "started with the GPU (docker run --gpus all)?",
    "CUDA_ERROR_SYSTEM_NOT_READY": "the driver isn't ready; start its services (nvidia-fabricmanager) or the "
    "machine again",
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH": "libcuda and the loaded kernel driver are of different versions; after an "
    "update of the driver, start the machine again",
    "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE": "a libcuda of CUDA's forward compatibility package was found, which "
    "this GPU doesn't support; take its folder out of LD_LIBRARY_PATH, or update the driver",
    "CUDA_ERROR_UNKNOWN": "the driver doesn't say why; load its kernel modules again (nvidia, nvidia_uvm) or start "
    "the machine again",
}


@dataclass(frozen=True)
class Gpu:
    """The device that CUDA numbers 0, which is what canthus runs on.

    Attributes:
        name: as its maker calls it, such as "NVIDIA H200" or "Orin".
        compute_capability: (major, minor), such as (8, 7).
        memory_bytes: all that it has; of an integrated GPU, the memory that it shares with the processor.
        multiprocessors: how many.
        integrated: it shares the processor's memory, as a Jetson's does.
        uuid: "GPU-…", as nvidia-smi writes it; it names this one device in the world.
        driver: the newest CUDA version that the driver supports, such as "13.0".
        driver_release: the driver's own version, such as "580.95.05"; None where the system doesn't tell.
    """

    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int
    multiprocessors: int
    integrated: bool
    uuid: str
    driver: str
    driver_release: str | None

    @property
    def architecture(self) -> str:
        """As the CUDA compiler names it, such as "sm_87"."""
        return "sm_{}{}".format(*self.compute_capability)

    @property
    def is_jetson(self) -> bool:
        """It is that of a Jetson module; those have compute capabilities of their own."""
        return self.integrated and self.compute_capability in _JETSONS


class _NoGpu(Exception):
    """Says why there is none."""


def find_gpu() -> Gpu | None:
    """The first GPU, None if there is none that works: `why_no_gpu` says why.

    Asks the driver once in a process, and makes no context on the GPU.
    """
    found = _look(_LIBRARY)
    return found if isinstance(found, Gpu) else None


def why_no_gpu() -> str:
    """Why `find_gpu` finds none, and what may help, in one line; empty if it finds one."""
    found = _look(_LIBRARY)
    return found if isinstance(found, str) else ""


@functools.cache
def _look(library: str) -> Gpu | str:
    try:
        return _first_gpu(_Driver(library))
    except _NoGpu as why:
        return str(why)


def _first_gpu(driver: _Driver) -> Gpu:
    driver.call("cuInit", 0)
    if not driver.integer("cuDeviceGetCount"):
        raise _NoGpu(_REMEDIES["CUDA_ERROR_NO_DEVICE"])
    device = driver.integer("cuDeviceGet", 0)
    name, identity, memory = ctypes.create_string_buffer(256), (ctypes.c_ubyte * 16)(), ctypes.c_size_t()
    driver.call("cuDeviceGetName", name, len(name), device)
    driver.call("cuDeviceGetUuid", identity, device)
    driver.call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    cuda = driver.integer("cuDriverGetVersion")
    return Gpu(
        name=name.value.decode(errors="replace"),
        compute_capability=(driver.attribute(_CAPABILITY_MAJOR, device), driver.attribute(_CAPABILITY_MINOR, device)),
        memory_bytes=memory.value,
        multiprocessors=driver.attribute(_MULTIPROCESSORS, device),
        integrated=bool(driver.attribute(_INTEGRATED, device)),
        uuid=f"GPU-{uuid.UUID(bytes=bytes(identity))}",
        driver=f"{cuda // 1000}.{cuda % 1000 // 10}",
        driver_release=_release(),
    )


class _Driver:
    """The driver's library, whose functions take C integers and pointers and return 0 or an error's number."""

    def __init__(self, library: str) -> None:
        if not library:
            raise _NoGpu(f"there is no NVIDIA driver for {sys.platform}")
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise _NoGpu(_why_not_loaded(library, error)) from error

    def call(self, function: str, *arguments: object) -> None:
        try:
            result = getattr(self._library, function)(*arguments)
        except AttributeError as error:
            raise _NoGpu(f"the NVIDIA driver is too old: it has no {function}; update it") from error
        if result:
            name = self._error_name(result)
            raise _NoGpu(f"{function} says {name}: {_REMEDIES.get(name, 'see whether nvidia-smi works')}")

    def integer(self, function: str, *arguments: object) -> int:
        """What the function writes to its first argument."""
        value = ctypes.c_int()
        self.call(function, ctypes.byref(value), *arguments)
        return value.value

    def attribute(self, number: int, device: int) -> int:
        return self.integer("cuDeviceGetAttribute", number, device)

    def _error_name(self, number: int) -> str:
        name = ctypes.c_char_p()
        with suppress(AttributeError):
            self._library.cuGetErrorName(number, ctypes.byref(name))
        return name.value.decode() if name.value else f"error {number}"


def _why_not_loaded(library: str, error: OSError) -> str:
    if sys.platform == "win32":
        return f"{library} can't be loaded, so no NVIDIA driver is installed"
    if "No such file" not in str(error):
        return f"the NVIDIA driver's library can't be loaded ({error}); install the driver again"
    if _KERNEL_DRIVER.exists():
        return (
            f"the NVIDIA kernel driver is loaded, but {library} isn't there: start the container with the GPU "
            "(docker run --gpus all; on a Jetson --runtime nvidia), or install the driver's libraries"
        )
    return f"{library} isn't there, so no NVIDIA driver is installed"


def _release() -> str | None:
    with suppress(OSError):
        found = re.search(r"^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)*)\s", _KERNEL_DRIVER.read_text(encoding="utf-8"))
        return found[1] if found else None
    return None
