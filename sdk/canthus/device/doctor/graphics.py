"""The GPU that canthus can use, or why there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from canthus.device import readings
from canthus.device.doctor import files
from canthus.device.doctor.findings import Finding
from canthus.device.gpu import Gpu, find_gpu, why_no_gpu

_SECTION = "GPU"
_DISPLAY_CONTROLLER = "0x03"  # the first byte of a PCI device's class
_INSTALL = "install NVIDIA's driver (on Ubuntu: sudo ubuntu-drivers install), and start the machine again"
_MAKERS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}


def examine_gpu() -> Iterator[Finding]:
    gpu = find_gpu()
    if gpu:
        yield from _facts(gpu)
    else:
        yield _none()


def _facts(gpu: Gpu) -> Iterator[Finding]:
    major, minor = gpu.compute_capability
    yield Finding(_SECTION, "ok", "name", f"{gpu.name}, compute capability {major}.{minor} ({gpu.architecture})")
    shared = ", shared with the processor" if gpu.integrated else ""
    yield Finding(_SECTION, "ok", "memory", f"{gpu.memory_bytes / 2**30:.1f} GiB{shared}")
    yield Finding(_SECTION, "ok", "processors", f"{gpu.multiprocessors} multiprocessors")
    release = f"{gpu.driver_release}, " if gpu.driver_release else ""
    yield Finding(_SECTION, "ok", "driver", f"{release}supports CUDA up to {gpu.driver}")
    megahertz = readings.gpu_megahertz()
    if megahertz is not None:
        yield Finding(_SECTION, "ok", "clock", f"{megahertz:.0f} MHz now")


def _none() -> Finding:
    makers = _makers()
    if files.text("etc/nv_tegra_release"):
        return Finding(_SECTION, "missing", "NVIDIA", f"there is one, but {why_no_gpu()}")
    if "NVIDIA" in makers:
        remedy = "" if files.text("proc/driver/nvidia/version") else _INSTALL
        return Finding(_SECTION, "missing", "NVIDIA", f"there is one, but {why_no_gpu()}", remedy)
    others = f"; canthus doesn't use the {' and '.join(makers)} graphics here" if makers else ""
    if sys.platform == "darwin":
        others = "; canthus doesn't use the graphics of this machine"
    return Finding(_SECTION, "note", "NVIDIA", f"none found: {why_no_gpu()}{others}")


def _makers() -> list[str]:
    """Of the graphics cards on the PCI bus."""
    ids = [
        files.text(device / "vendor") or ""
        for device in files.matching("sys/bus/pci/devices/*")
        if (files.text(device / "class") or "").startswith(_DISPLAY_CONTROLLER)
    ]
    return sorted({_MAKERS[id] for id in ids if id in _MAKERS})
