"""The machine that was measured, without anything that tells whose it is."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> dict[str, str | int]:
    """What two measurements must have in common to be compared."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"processor": _processor(), "architecture": platform.machine(), "cores": cores}


def versions(backend: str) -> dict[str, str]:
    """What may differ between two measurements, and be what is measured."""
    found = {
        "canthus": version("canthus"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }
    with suppress(PackageNotFoundError):
        found[backend] = version(backend)
    return found


def _processor() -> str:
    with suppress(OSError):
        return Path("/proc/device-tree/model").read_text(encoding="utf-8").strip("\0\n ")
    with suppress(OSError):
        names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        if names:
            return str(names[0])
    return platform.processor() or "unknown"
