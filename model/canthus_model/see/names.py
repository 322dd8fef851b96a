"""What the name of a SEE sequence says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from canthus.errors import DataSetError

LIGHTINGS = ("normal", "Overexposed", "Low", "HDR")
"""The lighting subsets, spelled as in sequence names."""

_PATTERN = re.compile(
    r"(?P<sequence>\d+)_(?P<volunteer>\d+)_(?P<sex>[A-Za-z]+)_(?P<age>\d+)_(?P<degree>[A-Za-z]+)"
    rf"_(?P<lighting>{'|'.join(LIGHTINGS)})_(?P<emotion>[A-Za-z]+)_(?P<length>\d+)_take(?P<take>\d+)",
    re.ASCII,
)


@dataclass(frozen=True)
class SequenceName:
    """`{sequence}_{volunteer}_{sex}_{age}_{degree}_{lighting}_{emotion}_{length}_take{take}`, taken apart."""

    sequence: int
    volunteer: str  # three digits, such as 001
    sex: str
    age: int
    degree: str
    lighting: str  # one of LIGHTINGS
    emotion: str
    length: int  # frames
    take: int  # of this volunteer

    @staticmethod
    def parse(name: str) -> SequenceName:
        """The parts of `name`.

        Raises:
            DataSetError: it isn't a name of this form.
        """
        match = _PATTERN.fullmatch(name)
        if not match:
            raise DataSetError(
                f"{name[:100]!r} is not the name of a SEE sequence, "
                "as 1_001_man_24_Master_normal_angry_45_take000 is (lighting: " + ", ".join(LIGHTINGS) + ")"
            )
        parts = match.groupdict()
        numbers = {key: int(parts.pop(key)) for key in ("sequence", "age", "length", "take")}
        return SequenceName(**parts, **numbers)

    def __str__(self) -> str:
        return (
            f"{self.sequence}_{self.volunteer}_{self.sex}_{self.age}_{self.degree}_{self.lighting}_{self.emotion}"
            f"_{self.length}_take{self.take:03}"
        )
