"""What the platform tells of itself: temperatures, clocks and power, where Linux's interfaces have them."""

from __future__ import annotations

from pathlib import Path

_SYSTEM = Path("/sys")
_PROCESS = Path("/proc/self/status")
_GRAPHICS = (".gpu", ".ga10b", ".gv11b", ".gp10b")  # how Jetson's clocks of the GPU end, from Orin back to TX2


def temperature_celsius() -> float | None:
    """Of the hottest thermal zone; None where there is none."""
    found = [value / 1000 for zone in _SYSTEM.glob("class/thermal/thermal_zone*/temp") if (value := _number(zone))]
    return max(found, default=None)


def cpu_megahertz() -> list[float]:
    """Of each core, as it runs now; empty where the platform doesn't tell."""
    paths = sorted(_SYSTEM.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"))
    return [value / 1000 for path in paths if (value := _number(path))]


def gpu_megahertz() -> float | None:
    """Of a Jetson's GPU, as it runs now; None elsewhere."""
    paths = (path / "cur_freq" for path in _SYSTEM.glob("class/devfreq/*") if path.name.endswith(_GRAPHICS))
    return next((value / 1e6 for path in paths if (value := _number(path))), None)


def memory_bytes() -> dict[str, int]:
    """Of this process in RAM: `resident`, all, and `own`, without pages of files, which come and go as others need
    memory. Empty where the platform doesn't tell.
    """
    try:
        lines = _PROCESS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS:", "RssAnon:"))}
    names = {"VmRSS": "resident", "RssAnon": "own"}
    return {names[name]: 1024 * value for name, value in kilobytes.items()}


def power_watts() -> dict[str, float]:
    """By rail, from the power monitors (INA3221) that Jetson modules have; empty elsewhere."""
    found = {}
    for label in sorted(_SYSTEM.glob("bus/i2c/drivers/ina3221/*/hwmon/hwmon*/in*_label")):
        rail = label.name.removeprefix("in").removesuffix("_label")
        volts, amperes = (_number(label.with_name(f"{kind}{rail}_input")) for kind in ("in", "curr"))
        if volts is not None and amperes is not None:
            found[label.read_text(encoding="utf-8").strip()] = volts * amperes / 1e6  # millivolts and milliamperes
    return found


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
