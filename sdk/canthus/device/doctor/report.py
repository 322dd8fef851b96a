"""What was found, for a person and for a machine."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import groupby

from canthus.device.doctor.findings import Finding
from canthus.device.doctor.runtimes import SECTION as BACKENDS
from canthus.imports import Lack

_WIDEST = 100


def ready(findings: Sequence[Finding]) -> list[str]:
    """The backends that can run a bundle here."""
    return [finding.name for finding in findings if finding.section == BACKENDS and finding.mark == "ok"]


def as_text(findings: Sequence[Finding], columns: int) -> str:
    """A line or more for each, in sections, and a summary; no line longer than `columns` but for words that are."""
    columns = min(columns, _WIDEST)
    indent = 2 + max(len(finding.mark) for finding in findings) + 2
    names = indent + max(len(finding.name) for finding in findings) + 2
    lines = []
    for section, members in groupby(findings, lambda finding: finding.section):
        lines.append(section)
        for finding in members:
            start = f"  {finding.mark}".ljust(indent) + finding.name
            lines += _wrapped(finding.fact, columns, start.ljust(names), " " * names)
            if finding.remedy:
                lines += _wrapped(finding.remedy, columns, " " * names + "→ ", " " * names + "  ")
        lines.append("")
    return "\n".join([*lines, *_summary(findings, columns)])


def _wrapped(text: str, columns: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _summary(findings: Sequence[Finding], columns: int) -> list[str]:
    able = ready(findings)
    lines = [f"canthus runs here with: {', '.join(able)}." if able else "canthus can't run a bundle here yet."]
    lacks = _missing(findings)
    for lack in dict.fromkeys(lacks.values()):
        backends = " and ".join(backend for backend in lacks if lacks[backend] == lack)
        lines += _wrapped(f"Missing for {backends}: {lack}", columns, "", "  ")
    return lines


def _missing(findings: Sequence[Finding]) -> dict[str, str]:
    lacking = [finding for finding in findings if finding.section == BACKENDS and finding.mark != "ok"]
    return {finding.name: str(Lack(finding.fact, finding.remedy)) for finding in lacking}


def as_json(findings: Sequence[Finding]) -> str:
    """The same: `{"canthus": VERSION, "ready": [BACKEND], "missing": {BACKEND: WHY}, "findings": [...]}`."""
    return json.dumps(
        {
            "canthus": version("canthus"),
            "ready": ready(findings),
            "missing": _missing(findings),
            "findings": [asdict(finding) for finding in findings],
        },
        indent=2,
    )
