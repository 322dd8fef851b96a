"""Small pictures of what is no eye, made of those of eyes and of nothing: what an eye check learns to tell apart.

They are no likeness of any room: an eye out of its place, its pieces in another order, leaves that have fallen on one
another (the "dead leaves" model of natural images: Lee, Mumford and Huang 2001, Int J Comput Vis 41), and walls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]

_MIX = (0.3, 0.2, 0.35, 0.15)  # of the four kinds
_SENSOR_NOISE = 0.35  # grey levels, of a mean over some pixels
_WHITE = 250  # from here on a sensor shows no noise
_TURNING = 0.1  # of all pictures


def no_eyes(frame: Picture, events: Picture, random: np.random.Generator) -> tuple[Picture, Picture]:
    """As many pictures of no eye as there are of eyes, (N, rows, columns) each: grey levels, and shares of events."""
    made = [_no_eye(frame, events, random) for _ in range(len(frame))]
    return np.stack([one for one, _ in made]), np.stack([other for _, other in made])


def moved_a_little(frame: Picture, events: Picture, random: np.random.Generator) -> tuple[Picture, Picture]:
    """The same eyes, some of them a pixel or two aside."""
    frames, many = frame.copy(), events.copy()
    for place in np.flatnonzero(random.random(len(frame)) < 0.5):
        down, right = int(random.integers(-1, 2)), int(random.integers(-2, 3))
        frames[place] = _moved(frame[place], down, right)
        many[place] = _moved(events[place], down, right)
    return frames, many


def in_turning_light(frame: Picture, events: Picture, random: np.random.Generator) -> tuple[Picture, Picture]:
    """The same pictures, in some of which the light goes on or off: then there are events nearly everywhere."""
    turning = random.random(len(events)) < _TURNING
    more = np.where(turning, random.uniform(0.2, 1, len(events)), 0).astype(np.float32)
    return frame, np.minimum(events + more[:, None, None], 1)


def _no_eye(frame: Picture, events: Picture, random: np.random.Generator) -> tuple[Picture, Picture]:
    place = int(random.integers(len(frame)))
    one, many = frame[place], events[place]
    kind = int(random.choice(4, p=_MIX))
    if kind == 0:
        return _out_of_place(one, many, random)
    if kind == 1:
        return _in_another_order(one, many, random)
    scene = _leaves(one.shape, random) if kind == 2 else _wall(one.shape, random)
    gain = np.exp(random.uniform(np.log(0.003), np.log(40)))
    seen = scene * gain * 191
    seen = np.clip(seen + random.normal(0, _SENSOR_NOISE, seen.shape) * (seen < _WHITE), 0, 255)
    noise = float(np.percentile(many, 20))
    shown = noise * random.uniform(0.8, 1.2) + random.normal(0, 0.02, seen.shape) * np.sqrt(noise)
    if kind == 2 and random.random() < 0.65:  # it moves
        down, right = np.gradient(np.log(scene + 0.002 / gain))
        shown = shown + np.minimum((np.abs(down) + np.abs(right)) * np.exp(random.uniform(-3, 1)), 1)
    return seen.astype(np.float32), np.clip(shown, 0, 1).astype(np.float32)


def _out_of_place(frame: Picture, events: Picture, random: np.random.Generator) -> tuple[Picture, Picture]:
    rows, columns = frame.shape
    far, little = (0.48, 0.88), 0.3
    if random.random() < 0.5:
        down = int(random.choice([-1, 1]) * random.uniform(*far) * rows)
        right = int(random.uniform(-little, little) * columns)
    else:
        right = int(random.choice([-1, 1]) * random.uniform(*far) * columns)
        down = int(random.uniform(-little, little) * rows)
    edge = 0 if down > 0 else -1
    return (
        _moved(frame, down, right, float(np.median(frame[edge]))),
        _moved(events, down, right, float(np.median(events[edge]))),
    )


def _in_another_order(frame: Picture, events: Picture, random: np.random.Generator) -> tuple[Picture, Picture]:
    down, across = ((2, 2), (3, 3), (2, 3), (5, 3))[int(random.integers(4))]
    high, wide = frame.shape[0] // down, frame.shape[1] // across
    order = random.permutation(down * across)
    while (order == np.arange(order.size)).mean() > 0.4:
        order = random.permutation(order.size)
    made = frame.copy(), events.copy()
    for place, source in enumerate(order):
        (row, column), (from_row, from_column) = divmod(place, across), divmod(int(source), across)
        to = np.s_[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
        of = np.s_[from_row * high : (from_row + 1) * high, from_column * wide : (from_column + 1) * wide]
        for picture, original in zip(made, (frame, events), strict=True):
            picture[to] = original[of]
    return made


def _leaves(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    scene = _wall(shape, random)
    for _ in range(int(random.integers(0, 14))):
        down, across = rows - random.uniform(0, shape[0]), columns - random.uniform(0, shape[1])
        radius = np.exp(random.uniform(0, 2.8))
        if random.random() < 0.5:
            inside = down**2 + across**2 < radius**2
        else:
            inside = (np.abs(down) < radius) & (np.abs(across) < radius * np.exp(random.uniform(-0.7, 0.7)))
        scene = np.where(inside, random.uniform(0.02, 1), scene)
    return scene


def _wall(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    slope, tilt = random.uniform(-0.4, 0.4, 2)
    light = 1 + slope * (rows / shape[0] - 0.5) + tilt * (columns / shape[1] - 0.5)
    scene: NDArray[np.float64] = np.maximum(random.uniform(0.1, 0.9) * light, 0.005)
    return scene


def _moved(picture: Picture, down: int, right: int, beyond: float | None = None) -> Picture:
    """So many pixels down and to the right; what comes into view is `beyond`, or as the border."""
    rows, columns = picture.shape
    row, column = np.arange(rows) - down, np.arange(columns) - right
    moved = picture[np.clip(row, 0, rows - 1)][:, np.clip(column, 0, columns - 1)]
    if beyond is not None:
        moved[(row < 0) | (row >= rows)] = beyond
        moved[:, (column < 0) | (column >= columns)] = beyond
    return moved
