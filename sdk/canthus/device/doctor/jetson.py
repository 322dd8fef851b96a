"""What a Jetson tells of itself: its releases and its power mode."""

from __future__ import annotations

import re
from dataclasses import dataclass

from canthus.device.doctor import files

_JETPACKS = {32: 4, 34: 5, 35: 5, 36: 6, 38: 7, 39: 7}
"""JetPack's major version, by that of the Linux for Tegra (L4T) that it brings."""


@dataclass(frozen=True)
class PowerMode:
    """One of nvpmodel's, which limit clocks, cores and power."""

    number: int
    name: str


@dataclass(frozen=True)
class Jetson:
    """A Jetson module with NVIDIA's Linux.

    Attributes:
        l4t: release of Linux for Tegra, such as "36.4.3".
        jetpack: as exactly as is known, such as "6.2" or "6"; None if unknown.
        jetpack_installed: the package nvidia-jetpack, by which CUDA, cuDNN and TensorRT come.
        power_mode: None where it isn't told.
        fastest: the power mode without limits; None if there is none of that name.
    """

    l4t: str
    jetpack: str | None
    jetpack_installed: bool
    power_mode: PowerMode | None
    fastest: PowerMode | None


def read_jetson() -> Jetson | None:
    """Of this device; None if it is none."""
    release = re.match(r"# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", files.text("etc/nv_tegra_release") or "")
    if not release:
        return None
    package = _package_version("nvidia-jetpack")
    by_l4t = _JETPACKS.get(int(release[1]))
    current, modes = _power_modes()
    return Jetson(
        l4t=f"{release[1]}.{release[2]}",
        jetpack=package or (str(by_l4t) if by_l4t else None),
        jetpack_installed=package is not None,
        power_mode=current,
        fastest=next((mode for mode in modes if mode.name.startswith("MAXN")), None),
    )


def _package_version(name: str) -> str | None:
    """Of an installed Debian package, without the build: "6.2" of "6.2+b77"."""
    for package in (files.text("var/lib/dpkg/status") or "").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version): (.+)$", package, re.MULTILINE))
        if fields.get("Package") == name and fields.get("Status", "").endswith(" installed"):
            found = re.match(r"[\d.]+", fields.get("Version", ""))
            return found[0] if found else None
    return None


def _power_modes() -> tuple[PowerMode | None, list[PowerMode]]:
    """The one set, and all."""
    told = files.text("etc/nvpmodel.conf") or ""
    modes = {
        int(number): PowerMode(int(number), name)
        for number, name in re.findall(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", told, re.MULTILINE)
    }
    chosen = re.search(r"pmode:(\d+)", files.text("var/lib/nvpmodel/status") or "")
    usual = re.search(r"^\s*<\s*PM_CONFIG\s+DEFAULT=(\d+)", told, re.MULTILINE)
    current = chosen or usual
    if not current:
        return None, list(modes.values())
    number = int(current[1])
    return modes.get(number, PowerMode(number, f"mode {number}")), list(modes.values())
