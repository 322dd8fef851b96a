"""Reading a manifest's fields, none of which is believed before it was looked at."""

from __future__ import annotations

import math
import sys
from typing import Any

from canthus.errors import BundleError


class Fields:
    """Reads one mapping of the manifest, naming what is wrong with it."""

    def __init__(self, document: object, where: str = "") -> None:
        if not isinstance(document, dict):
            raise BundleError(f"manifest: {where or 'it'} is not a mapping; export the bundle again")
        self._document: dict[Any, Any] = document
        self._where = where

    def _wrong(self, name: str, wanted: str) -> BundleError:
        return BundleError(f"manifest: {self._where}{name} must be {wanted}; export the bundle again")

    def mapping(self, name: str) -> Fields:
        return Fields(self._document.get(name), f"{self._where}{name}.")

    def string(self, name: str) -> str:
        value = self._document.get(name)
        if not isinstance(value, str) or not value.isprintable():
            raise self._wrong(name, "a text")
        return value

    def one_of(self, name: str, known: tuple[str, ...]) -> str:
        value = self.string(name)
        if value not in known:
            raise self._wrong(name, f"one of {', '.join(known)}")
        return value

    def has(self, name: str) -> bool:
        return name in self._document

    def number_or_none(self, name: str, low: float, high: float) -> float | None:
        """None where it is missing or null."""
        return None if self._document.get(name) is None else self.number(name, low, high)

    def integer_or_none(self, name: str, low: int, high: int) -> int | None:
        """None where it is missing or null."""
        return None if self._document.get(name) is None else self.integer(name, low, high)

    def strings(self, name: str, *, empty: bool = False) -> tuple[str, ...]:
        value = self._document.get(name)
        if not isinstance(value, list) or not (value or empty) or len(value) > 1000:
            raise self._wrong(name, "a list of texts")
        if not all(isinstance(item, str) and item.isprintable() for item in value):
            raise self._wrong(name, "a list of texts")
        if len(set(value)) != len(value):
            raise self._wrong(name, "a list without repetitions")
        return tuple(value)

    def number(self, name: str, low: float, high: float) -> float:
        value = self._document.get(name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
            or sys.float_info.max < value < math.inf  # an integer that no float holds
        ):
            raise self._wrong(name, f"a number from {low:g} to {high:g}")
        return float(value)

    def integer(self, name: str, low: int, high: int) -> int:
        value = self._document.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(name, f"a whole number from {low} to {high}")
        return value

    def integers(self, name: str, count: int, low: int, high: int) -> list[int]:
        value = self._document.get(name)
        if not isinstance(value, list) or len(value) != count:
            raise self._wrong(name, f"{count} whole numbers")
        return [Fields({name: item}, self._where).integer(name, low, high) for item in value]

    def all_strings(self) -> dict[str, str]:
        return {name: self.string(name) for name in self.names()}

    def all_integers(self) -> dict[str, int]:
        return {name: self.integer(name, 0, 1 << 31) for name in self.names()}

    def all_numbers(self, high: float = math.inf) -> dict[str, float]:
        return {name: self.number(name, 0, high) for name in self.names()}

    def names(self) -> list[str]:
        if not all(isinstance(name, str) and name.isprintable() for name in self._document):
            raise BundleError(f"manifest: {self._where} has names that are not texts; export the bundle again")
        return list(self._document)
