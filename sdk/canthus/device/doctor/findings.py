"""What the doctor finds: one fact each."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

Mark = Literal["ok", "missing", "note"]

_HOMES = re.compile(r"(?:[A-Za-z]:)?[\\/](?:home|Users)[\\/][^\\/\s]+")


@dataclass(frozen=True)
class Finding:
    """A fact about this device.

    Attributes:
        section: what it belongs to, such as "device".
        mark: "ok"; "missing", if something can't work without it; "note", if it is worth knowing.
        name: of what there is or isn't.
        fact: about it, in a few words.
        remedy: what to do about it; empty where nothing is to be done.
    """

    section: str
    mark: Mark
    name: str
    fact: str
    remedy: str = ""

    def without_home(self) -> Finding:
        """This, with ~ for each user's home folder: a report must not tell who made it."""
        return replace(self, fact=_without_home(self.fact), remedy=_without_home(self.remedy))


def _without_home(text: str) -> str:
    home = str(Path.home())
    if len(home) > 1:
        text = text.replace(home, "~")
    return _HOMES.sub("~", text)
