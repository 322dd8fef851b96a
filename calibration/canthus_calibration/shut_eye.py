"""Small pictures of shut eyes, made of open ones: what an eye check learns them from, since no data set names any.

Where a picture is darker than what is around it, near its middle, is the iris. From the skin above to the skin below it
a lid is drawn, with the lashes along its lower edge; in front of the event camera it may be moving.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from canthus_calibration.no_eye import Picture

_DARK = 4.0  # grey levels that are added before the logarithm: noise counts for less
_MIDDLE = (0.25, 0.87), (0.2, 0.8)  # where in the picture an iris may be: from and to, down and across
_HALF_WIDTH, _HALF_HEIGHT = (6.0, 11.0), (2.5, 5.0)  # of what a lid covers, in the picture's pixels
_MOVING, _LASHES_MOVE = 0.35, 0.6  # up to which part of the pictures has events all over the lid, along the lashes


def shut_eyes(
    frame: Picture, events: Picture, random: np.random.Generator, *, beside: bool = False
) -> tuple[Picture, Picture]:
    """The same pictures (N, rows, columns) with a lid over the iris, or `beside` it: that is an open eye still."""
    count, rows, columns = frame.shape
    light = np.log(frame.astype(np.float64) + _DARK)
    down, across = _irises(light)
    if beside:
        down, across = _elsewhere(down, across, rows, columns, random)
    down = down + random.uniform(-1, 1, count)
    across = across + random.uniform(-3, 3, count)
    half_width, half_height = random.uniform(*_HALF_WIDTH, (count, 1)), random.uniform(*_HALF_HEIGHT, (count, 1))

    from_middle = (np.arange(columns) - across[:, None]) / half_width
    inside = np.abs(from_middle) < 1  # (N, columns)
    half = half_height * np.sqrt(np.clip(1 - from_middle**2, 0, None))
    row = np.arange(rows)[None, :, None]
    lid = (np.abs(row - down[:, None, None]) < half[:, None] + 0.5) & inside[:, None]
    drawn = np.where(lid, _from_skin_to_skin(light, down[:, None] - half, down[:, None] + half), light)
    grain = (light - _blurred(light, 1.0)).std((1, 2))[:, None, None]
    drawn = np.where(lid, _blurred(drawn, 0.7) + grain * random.standard_normal(light.shape), light)

    edge = down[:, None] + half * random.uniform(0.5, 1, (count, 1))
    lashes = np.exp(-(((row - edge[:, None]) / random.uniform(0.5, 1.2, (count, 1, 1))) ** 2)) * inside[:, None]
    seen = (np.exp(drawn) - _DARK) * (1 - random.uniform(0.2, 0.75, (count, 1, 1)) * lashes)

    noise = np.quantile(events, 0.2, axis=(1, 2))[:, None, None]
    kind = random.random((count, 1, 1))
    many = random.uniform(0.3, 1, (count, 1, 1))
    shown = np.where(lid, np.where(kind < _MOVING, many, noise), events)
    shown = np.where((kind >= _MOVING) & (kind < _LASHES_MOVE), np.maximum(shown, lashes * many), shown)
    shown = shown + np.where(lid, 0.02 * np.sqrt(noise), 0) * random.standard_normal(events.shape)
    return np.clip(seen, 0, 255).astype(np.float32), np.clip(shown, 0, 1).astype(np.float32)


def _irises(light: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where they are, (N,) each, of pictures in logarithms."""
    dark = _blurred(light, 1.2) - _blurred(light, 5.0)
    (top, bottom), (left, right) = (
        (int(first * length), int(last * length)) for (first, last), length in zip(_MIDDLE, dark.shape[1:], strict=True)
    )
    middle = dark[:, top:bottom, left:right]
    down, across = np.unravel_index(middle.reshape(len(middle), -1).argmin(1), middle.shape[1:])
    return top + down.astype(np.float64), left + across.astype(np.float64)


def _elsewhere(
    down: NDArray[np.float64], across: NDArray[np.float64], rows: int, columns: int, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places at random, as far from the iris as a lid is wide."""
    to_down, to_across = random.uniform(0, rows, len(down)), random.uniform(0, columns, len(down))
    near = (np.abs(to_down - down) < rows / 4) & (np.abs(to_across - across) < columns / 3)
    return np.where(near, (down + rows / 2) % rows, to_down), np.where(
        near, (across + columns / 2) % columns, to_across
    )


def _from_skin_to_skin(
    light: NDArray[np.float64], top: NDArray[np.float64], bottom: NDArray[np.float64]
) -> NDArray[np.float64]:
    """From what is above `top` to what is below `bottom`, (N, columns), in even steps down each column."""
    last = light.shape[1] - 1
    above = np.clip(np.floor(top - 1), 0, last)[:, None]
    below = np.clip(np.ceil(bottom + 1), 0, last)[:, None]
    way = (np.arange(last + 1)[None, :, None] - above) / np.maximum(below - above, 1)
    first, second = (np.take_along_axis(light, place.astype(np.int64), 1) for place in (above, below))
    mixed: NDArray[np.float64] = first + np.clip(way, 0, 1) * (second - first)
    return mixed


def _blurred(light: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """By a Gaussian of so many pixels."""
    blurred: NDArray[np.float64] = _gaussian(light.shape[1], width) @ light @ _gaussian(light.shape[2], width).T
    return blurred


@cache
def _gaussian(length: int, width: float) -> NDArray[np.float64]:
    """(length, length): each row weighs the values around one."""
    apart = np.subtract.outer(np.arange(length), np.arange(length)) / width
    weights = np.exp(-(apart**2) / 2)
    weighed: NDArray[np.float64] = weights / weights.sum(1, keepdims=True)
    return weighed
