"""What a user says of an axis that is to stay free."""

from __future__ import annotations

from typing import NamedTuple


class Free(NamedTuple):
    """An axis that is to stay free: of which input, called what, and how long at most."""

    place: int
    axis: int
    name: str
    most: int | None
