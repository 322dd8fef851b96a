"""What pictures have in common."""

from __future__ import annotations

from canthus.errors import Error
from canthus.imports import importing

INK, PAPER = "#1b2a41", "white"


def check_matplotlib(kind: type[Error], lack: str) -> None:
    """Raise an error of this `kind`, which begins with what is lacking, unless pictures can be drawn."""
    with importing("matplotlib", "pip install 'canthus[train]'", kind, lack):
        import matplotlib.figure  # noqa: F401
