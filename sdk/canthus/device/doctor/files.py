"""The files in which Linux tells of itself, those that every user may read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")


def text(path: Path | str) -> str | None:
    """What the file holds, without space and zeros around it; None if it can't be read. `path` is below `ROOT`."""
    try:
        return (ROOT / path).read_text(encoding="utf-8", errors="replace").strip("\0 \t\r\n")
    except OSError:
        return None


def matching(pattern: str) -> list[Path]:
    """The paths below `ROOT` that match."""
    return sorted(ROOT.glob(pattern))
