"""How a camera is mounted: which part of its picture shows the eye, and how the eye lies in there."""

from __future__ import annotations

import json
import operator
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from canthus.errors import ViewError
from canthus.whole_file import whole_file

_LARGEST_BYTES = 4096  # of a file; one that canthus writes has 300
_LARGEST_SENSOR = 32767  # pixels a side, as in csrc/python/boxes.h
_HEADER = """\
# How an eye camera is mounted: canthus run ... --view FILE, or canthus.View.read(FILE).
# roi, in the camera's own pixels (left, top, width, height), is cut out; then mirrored left to right;
# then rotated clockwise, in degrees.
"""


@dataclass(frozen=True)
class View:
    """How a camera is mounted, so that the network is shown an eye as it was in training.

    Frames and events go through the same steps, in this order:

    1. `roi` is cut out. It is in the sensor's own pixels, as the camera gives them.
    2. What was cut out is mirrored left to right if `mirror` is set: `np.fliplr`.
    3. It is turned clockwise by `rotate` degrees: `np.rot90(pixels, -rotate // 90)`.
    4. It is resized to the engine's images.

    The network gets, bit for bit, what it would get if frames and events had been turned before they were pushed. It
    costs nothing: no pixel is moved for it.

    The reference is SEE, which the network was trained on: upright, the brow above. The other eye of a face is
    mirrored.

    Args:
        roi: (left, top, width, height) of the part that shows the eye; None takes the largest centred rectangle that
            has, once turned, the engine's aspect.
        rotate: 0, 90, 180 or 270.
        mirror: whether to mirror.

    Raises:
        ViewError: a value that makes no sense.
    """

    roi: tuple[int, int, int, int] | None = None
    rotate: int = 0
    mirror: bool = False

    def __post_init__(self) -> None:
        if type(self.rotate) is not int or self.rotate not in (0, 90, 180, 270):
            raise ViewError(f"rotate is {_shown(self.rotate)}; give 0, 90, 180 or 270, in degrees clockwise")
        if not isinstance(self.mirror, bool):
            raise ViewError(f"mirror is {_shown(self.mirror)}; give true or false")
        if self.roi is not None:
            object.__setattr__(self, "roi", _checked_roi(self.roi))

    @classmethod
    def from_fields(cls, given: Any) -> View:
        """The view of a mapping with any of the names `roi`, `rotate` and `mirror`.

        Raises:
            ViewError: something else, or another name is in it.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(given, Mapping):
            raise ViewError("holds no fields; give any of roi, rotate and mirror, such as rotate: 180")
        if unknown := [name for name in given if name not in names]:
            raise ViewError(f"no field is called {_shown(unknown[0])}; there are roi, rotate and mirror")
        return cls(**given)

    @classmethod
    def read(cls, path: Path | str) -> View:
        """The view that a file holds.

        Raises:
            ViewError: it can't be read, or isn't such a file.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST_BYTES + 1)
        except (OSError, ValueError) as error:  # ValueError of a name that no file can have
            reason = getattr(error, "strerror", error)
            raise ViewError(f"{path}: can't be read ({reason}); canthus monitor --setup makes one") from error
        if len(content) > _LARGEST_BYTES:
            raise ViewError(f"{path}: is too large to be a view; canthus monitor --setup makes one")
        try:
            return cls.from_fields(yaml.load(content, _Loader))
        except (yaml.YAMLError, RecursionError, ValueError, LookupError, TypeError) as error:
            raise ViewError(f"{path}: is not YAML; canthus monitor --setup makes such a file") from error
        except ViewError as error:
            raise ViewError(f"{path}: {error}") from error

    def write(self, path: Path | str) -> None:
        """Write the file that `read` reads.

        Raises:
            ViewError: it can't be written; what was there is as it was.
        """
        path = Path(path)
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in asdict(self).items()]  # YAML reads what JSON is
        try:
            with whole_file(path) as partial:
                partial.write_text(_HEADER + "".join(lines), encoding="utf-8")
        except OSError as error:
            raise ViewError(f"{path}: can't be written ({error.strerror}); choose another file") from error

    def region(self, sensor: tuple[int, int], image_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """What is cut out of a sensor's picture, in its own pixels: (left, top, width, height).

        Args:
            sensor: (width, height).
            image_size: (height, width) of the engine's images.

        Raises:
            ViewError: the roi isn't within the sensor.
        """
        if self.roi is None:
            return self._centred(sensor, image_size)
        left, top, width, height = self.roi
        if left + width > sensor[0] or top + height > sensor[1]:
            raise ViewError(
                f"roi {self.roi} reaches outside the sensor of {sensor[0]} x {sensor[1]} pixels; "
                "give another (--roi), or set it up anew: canthus monitor --setup FILE"
            )
        return self.roi

    def _centred(self, sensor: tuple[int, int], image_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Found in the turned picture, and turned back: where a middle falls between pixels, that picture decides."""
        quarters = self.rotate // 90
        turned = sensor if quarters % 2 == 0 else (sensor[1], sensor[0])
        left, top, width, height = centred(turned, (image_size[1], image_size[0]))
        for _ in range(quarters):  # counterclockwise
            left, top, width, height, turned = top, turned[0] - left - width, height, width, (turned[1], turned[0])
        if self.mirror:
            left = turned[0] - left - width
        return left, top, width, height


def centred(sensor: tuple[int, int], aspect: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest centred rectangle (left, top, width, height) of an aspect (width, height) in a sensor."""
    width = min(sensor[0], round(sensor[1] * aspect[0] / aspect[1]))
    height = min(sensor[1], round(sensor[0] * aspect[1] / aspect[0]))
    return (sensor[0] - width) // 2, (sensor[1] - height) // 2, width, height


def _checked_roi(roi: Any) -> tuple[int, int, int, int]:
    """Four whole numbers, which a numpy integer is too, and True isn't."""
    try:
        if not isinstance(roi, list | tuple) or any(isinstance(edge, bool) for edge in roi):
            raise TypeError
        left, top, width, height = map(operator.index, roi)
    except (TypeError, ValueError):
        left = top = width = height = -1
    if min(left, top) < 0 or min(width, height) < 1 or max(left + width, top + height) > _LARGEST_SENSOR:
        raise ViewError(
            f"roi is {_shown(roi)}; give left, top, width and height, in whole pixels of the sensor, such as "
            "43, 0, 260, 260"
        )
    return left, top, width, height


def _shown(value: Any) -> str:
    """As Python shows it, but in a few words, however large or deep it is."""
    short = reprlib.Repr()
    short.maxlevel, short.maxlist, short.maxtuple = 2, 5, 5
    return short.repr(value)


class _Loader(yaml.SafeLoader):
    """That refuses a field which is given twice, since only one would count."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            names = [self.construct_object(name) for name, _ in node.value]
            twice = next(name for name in names if names.count(name) > 1)
            raise ViewError(f"{_shown(twice)} is given twice; leave one away")
        return mapping
