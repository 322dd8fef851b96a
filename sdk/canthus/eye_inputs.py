"""What an eye check looks at: one moment's images, made small and freed of how much light there is."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from canthus.visible import has_events

ROWS = 25  # of the small pictures, about; their pixels are as wide as they are high


def eye_inputs(frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What tells an eye, of images uint8 (N, H, W): float32 (N, inputs).

    That is the logarithm of a small frame, freed of brightness and contrast (a number for each of its places); how
    many events there are in each place; and brightness, contrast and the number of events as a whole.
    """
    return small_inputs(smaller(frame.astype(np.float32)), smaller(has_events(event).astype(np.float32)))


def small_inputs(frame: NDArray[np.float32], events: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same of pictures that `smaller` made: grey levels, and which part of the pixels has events."""
    light, many = frame.reshape(len(frame), -1), events.reshape(len(events), -1)
    places = light.shape[1]
    made = np.empty((len(frame), 2 * places + 3), np.float32)
    structure = made[:, :places]
    np.log(light + np.float32(2), out=structure)
    brightness = np.add.reduce(structure, 1, keepdims=True) / np.float32(places)
    structure -= brightness
    contrast = np.sqrt(np.einsum("np,np->n", structure, structure)[:, None] / np.float32(places))
    structure /= contrast + np.float32(0.03)
    np.sqrt(many, out=made[:, places : 2 * places])
    made[:, places : 2 * places] *= 3
    all_events = np.add.reduce(many, 1, keepdims=True) / np.float32(places)
    made[:, -3:-2] = brightness / 2
    made[:, -2:-1] = np.log(contrast + np.float32(0.01))
    made[:, -1:] = np.log(all_events + np.float32(0.003))
    return made


def smaller(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of squares of pixels, of images (N, H, W): about ROWS in the shorter side; what is left over is cut off.

    float32 (N, rows, columns).
    """
    height, width = images.shape[1:]
    side = max(min(height, width) // ROWS, 1)
    rows, columns = _means(height, side), _means(width, side)
    return (rows @ images @ columns.T).astype(np.float32, copy=False)


@cache
def _means(length: int, side: int) -> NDArray[np.float32]:
    """(length // side, length): each row takes the mean of the next `side` values."""
    count = length // side
    means = np.zeros((count, length), np.float32)
    for place in range(count):
        means[place, place * side : (place + 1) * side] = 1 / side
    return means
