"""Cameras: the package that reads them, those on USB, and whether this user may open them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from canthus.device.doctor import files
from canthus.device.doctor.findings import Finding
from canthus.device.requirements import installed_version
from canthus.imports import import_lack

_SECTION = "cameras"
_INIVATION = "152a"  # the vendor, as USB numbers it
_RULES = "65-inivation.rules"
_RULE = f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{_INIVATION}", MODE="0660", GROUP="plugdev", TAG+="uaccess"'
_ALLOW = (
    f"write the line {_RULE} to /etc/udev/rules.d/{_RULES} (as root), run sudo udevadm control --reload, see that "
    "this user is in the group plugdev, and plug the camera in again"
)


def examine_cameras() -> Iterator[Finding]:
    yield _dv_processing()
    if sys.platform == "linux":
        yield from _usb()


def _dv_processing() -> Finding:
    """Only the attempt tells whether all is there that it needs."""
    try:
        import dv_processing  # noqa: F401
    except Exception as error:  # whatever a broken package raises
        lack = import_lack(error, "dv_processing", "pip install 'canthus[camera]'")
        fact = f"{lack.what}: no AEDAT4 recordings, no cameras"
        return Finding(_SECTION, "missing", "dv-processing", fact, lack.remedy)
    version = installed_version("dv-processing")
    fact = f"{version}: reads AEDAT4 recordings, iniVation's cameras on USB, network streams"
    return Finding(_SECTION, "ok", "dv-processing", fact)


def _usb() -> Iterator[Finding]:
    cameras = [path.parent for path in files.matching("sys/bus/usb/devices/*/idVendor") if _is_camera(path)]
    for camera in cameras:
        yield _access(camera)
    if not cameras:
        yield Finding(_SECTION, "note", "on USB", "no camera of iniVation's is plugged in")
        if not _has_rule() and os.geteuid() != 0:
            fact = "no udev rule lets users open a camera of iniVation's; it will be needed"
            yield Finding(_SECTION, "note", "permission", fact, _ALLOW)


def _is_camera(vendor: Path) -> bool:
    return files.text(vendor) == _INIVATION


def _access(camera: Path) -> Finding:
    name = files.text(camera / "product") or "camera"
    bus, device = (files.text(camera / number) or "" for number in ("busnum", "devnum"))
    node = files.ROOT / f"dev/bus/usb/{bus:0>3}/{device:0>3}"
    if os.access(node, os.R_OK | os.W_OK):
        return Finding(_SECTION, "ok", "on USB", f"{name}, which this user may open")
    if not node.exists():
        fact = f"{name} is plugged in, but /dev/bus/usb doesn't have it"
        return Finding(_SECTION, "missing", "on USB", fact, "in a container: start it with --device /dev/bus/usb")
    if _has_rule():
        remedy = f"there is a udev rule; plug the camera in again, or see who may open it: ls -l {node}"
        return Finding(_SECTION, "missing", "on USB", f"{name}, which this user may not open", remedy)
    return Finding(_SECTION, "missing", "on USB", f"{name}, which this user may not open", _ALLOW)


def _has_rule() -> bool:
    """Whether any rule names the vendor."""
    folders = ("etc/udev/rules.d", "run/udev/rules.d", "lib/udev/rules.d", "usr/lib/udev/rules.d")
    paths = (path for folder in folders for path in files.matching(f"{folder}/*.rules"))
    return any(_INIVATION in (files.text(path) or "") for path in paths)
