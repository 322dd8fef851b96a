"""What this device has, and what is missing for what.

from canthus.device.doctor import as_text, examine

print(as_text(examine(), columns=80))
"""

from __future__ import annotations

from canthus.device.doctor.cameras import examine_cameras
from canthus.device.doctor.development import examine_development
from canthus.device.doctor.device import examine_device
from canthus.device.doctor.findings import Finding
from canthus.device.doctor.graphics import examine_gpu
from canthus.device.doctor.program import examine_program
from canthus.device.doctor.report import as_json, as_text, ready
from canthus.device.doctor.runtimes import examine_backends, examine_packages

__all__ = ["Finding", "as_json", "as_text", "examine", "ready"]

_EXAMINATIONS = (
    examine_program,
    examine_device,
    examine_gpu,
    examine_backends,
    examine_packages,
    examine_cameras,
    examine_development,
)


def examine() -> list[Finding]:
    """All findings, section by section. Nothing in them tells who or where the machine is."""
    return [finding.without_home() for examination in _EXAMINATIONS for finding in examination()]
