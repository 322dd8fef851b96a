"""Which clips a network in training is looked at with, and what that is called on the console and in logs."""

from __future__ import annotations

from typing import NamedTuple


class LookedAt(NamedTuple):
    """Clips that nothing is learned from."""

    name: str
    caption: str  # in the picture of curves

    @property
    def loss(self) -> str:
        return f"{self.name}/loss"

    @property
    def war(self) -> str:
        return f"{self.name}/WAR"

    @property
    def uar(self) -> str:
        return f"{self.name}/UAR"


SHOWN = LookedAt("testing", "testing (for show)")
"""The testing subset, for people to see; nothing is chosen by it."""

CHOSEN_BY = LookedAt("validation", "validation")
"""Training volunteers held back, whom the best epoch is chosen by."""
