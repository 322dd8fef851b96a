"""The device: its system, processor, memory, power mode and temperature."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator

from canthus.device import readings
from canthus.device.doctor import files
from canthus.device.doctor.findings import Finding
from canthus.device.doctor.jetson import Jetson, read_jetson

_SECTION = "device"


def examine_device() -> Iterator[Finding]:
    yield Finding(_SECTION, "ok", "system", f"{_system()}, {platform.machine()}")
    model = files.text("proc/device-tree/model")
    if model:
        yield Finding(_SECTION, "ok", "model", model)
    jetson = read_jetson()
    if jetson:
        yield _jetpack(jetson)
        yield from _power_mode(jetson)
    yield Finding(_SECTION, "ok", "processor", f"{_processor()}, {_cores()}")
    yield from _clock()
    yield from _memory()
    yield from _readings()


def _system() -> str:
    name = re.search(r'^PRETTY_NAME="?([^"\n]+)', files.text("etc/os-release") or "", re.MULTILINE)
    kernel = f"{platform.system()} {platform.release()}"
    return f"{name[1]}, {kernel}" if name else kernel


def _jetpack(jetson: Jetson) -> Finding:
    jetpack = jetson.jetpack or "of an unknown version"
    fact = f"{jetpack} (Linux for Tegra {jetson.l4t})"
    if jetson.jetpack_installed:
        return Finding(_SECTION, "ok", "JetPack", fact)
    fact += "; the package nvidia-jetpack, with CUDA, cuDNN and TensorRT, isn't installed"
    return Finding(_SECTION, "note", "JetPack", fact, "sudo apt install nvidia-jetpack")


def _power_mode(jetson: Jetson) -> Iterator[Finding]:
    mode, fastest = jetson.power_mode, jetson.fastest
    if mode and fastest and mode != fastest:
        fact = f"{mode.name}, which holds the clocks down; {fastest.name} doesn't"
        yield Finding(_SECTION, "note", "power mode", fact, f"sudo nvpmodel -m {fastest.number}")
    elif mode:
        yield Finding(_SECTION, "ok", "power mode", mode.name)


def _processor() -> str:
    name = re.search(r"^model name\s*: (.+)$", files.text("proc/cpuinfo") or "", re.MULTILINE)
    return name[1] if name else platform.processor() or platform.machine()


def _cores() -> str:
    """Those that this process may use, and of how many if it is not all."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    last = re.search(r"(\d+)$", files.text("sys/devices/system/cpu/present") or "")
    all_cores = int(last[1]) + 1 if last else os.cpu_count() or usable
    if usable < all_cores:
        return f"{usable} of {all_cores} cores (the others are off, or not for this process)"
    return f"{usable} cores"


def _clock() -> Iterator[Finding]:
    now = readings.cpu_megahertz()
    if not now:
        return
    most = [
        int(value)
        for path in files.matching("sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq")
        if (value := files.text(path) or "").isdigit()
    ]
    fact = f"{max(now) / 1000:.2f} GHz now" + (f", {max(most) / 1e6:.2f} at most" if most else "")
    yield Finding(_SECTION, "ok", "clock", fact)


def _memory() -> Iterator[Finding]:
    told = files.text("proc/meminfo") or ""
    kilobytes = {
        name: int(value) for name, value in re.findall(r"^(MemTotal|MemAvailable): +(\d+) kB$", told, re.MULTILINE)
    }
    if "MemTotal" in kilobytes:
        fact = f"{kilobytes['MemTotal'] / 2**20:.1f} GiB"
        if "MemAvailable" in kilobytes:
            fact += f", {kilobytes['MemAvailable'] / 2**20:.1f} available"
        yield Finding(_SECTION, "ok", "memory", fact)


def _readings() -> Iterator[Finding]:
    temperature = readings.temperature_celsius()
    if temperature is not None:
        yield Finding(_SECTION, "ok", "temperature", f"{temperature:.0f} °C at the hottest sensor")
    power = readings.power_watts()
    if power:
        rails = ", ".join(f"{rail} {watts:.1f} W" for rail, watts in power.items())
        yield Finding(_SECTION, "ok", "power", rails)
