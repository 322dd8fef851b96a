"""Which model results are of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canthus_model.evaluate.results import FIGURES

_LONGEST = 200  # characters of a name
_LARGEST = 64 * 2**20  # bytes of a file


@dataclass(frozen=True)
class Origin:
    """Of results; None where it isn't known.

    Attributes:
        model: name of the file, or of the folder of results.
        epoch: that a checkpoint was saved in.
        seed: that clips were drawn with.
    """

    model: str
    epoch: int | None = None
    seed: int | None = None

    def as_dict(self) -> dict[str, str | int]:
        """What is known, for JSON."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def __str__(self) -> str:
        return self.model if self.epoch is None else f"{self.model}, epoch {self.epoch}"


def read_origin(results: Path) -> Origin:
    """Of a folder of results: as its figures.json says, else by the folder's name alone."""
    path = results / FIGURES
    try:
        said: Any = json.loads(path.read_text(encoding="utf-8")) if path.stat().st_size <= _LARGEST else None
    except (OSError, ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("model"), str):
        return Origin(results.resolve().name)
    epoch, seed = (said.get(name) if type(said.get(name)) is int else None for name in ("epoch", "seed"))
    return Origin(said["model"][:_LONGEST], epoch, seed)
