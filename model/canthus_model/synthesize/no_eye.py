"""What a camera sees that sits before no eye: the room, a thumb on the lens, skin beside the eye."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np

from canthus_model.synthesize.anatomy import HEIGHT, MARGIN, WIDTH
from canthus_model.synthesize.lighting import Light
from canthus_model.synthesize.motion import Track
from canthus_model.synthesize.simulation import Scene

ROOM, THUMB, SLIP = "glasses taken off", "thumb on the lens", "camera slipped"
KINDS = (ROOM, THUMB, SLIP)
MOVING = 0.35  # seconds to take the glasses off, or to put a thumb on the lens
_LASTS = (2.0, 4.0)  # seconds that each is seen, moving included
_APART = 4.0  # seconds between two of them, at least
_WANDERS = 120.0  # pixels that the room moves through the picture in a second, while the glasses are in a hand
_BLUR = 20  # pixels on each side of the edge between what is near and what is far
_SPEED = WIDTH / MOVING * 1.9  # pixels per second of what comes and goes, at its fastest

_Y, _X = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)


class Interruption(NamedTuple):
    """A time without an eye in view: from the moment when it begins to go until it is wholly back, in seconds."""

    begin: float
    end: float
    what: str  # one of KINDS


def draw_interruptions(seconds: float, random: np.random.Generator) -> list[Interruption]:
    """As many as fit into a take, each kind in turn, with an eye between them."""
    found: list[Interruption] = []
    kinds: list[str] = []
    time = random.uniform(2.0, 2.0 + _APART)
    while (end := time + random.uniform(*_LASTS)) < seconds - 2.0:
        kinds = kinds or random.permutation(KINDS).tolist()
        found.append(Interruption(time, end, kinds.pop()))
        time = end + _APART * random.uniform(1, 2)
    return found


class Interrupted:
    """A scene that is now and then out of view."""

    def __init__(
        self, scene: Scene, interruptions: list[Interruption], light: Light, random: np.random.Generator
    ) -> None:
        """`light` is what falls on all of it, see `Light`."""
        self._scene, self._light = scene, light
        self._interruptions = [(one, self._views(one, random)) for one in interruptions]

    def luminance(self, time: float) -> np.ndarray:
        """As a scene's."""
        for one, (view, away) in self._interruptions:
            if one.begin < time < one.end:
                seen = view.over(self._scene.luminance(time), self._lit(time), float(away.at(time)), time)
                return seen.astype(np.float32, copy=False)
        return self._scene.luminance(time)

    def speed(self, time: float) -> float:
        """As a scene's."""
        for one, (_, away) in self._interruptions:
            if one.begin <= time <= one.end:
                moving = 0 < away.at(time) < 1
                return _SPEED if moving else max(_WANDERS * (one.what == ROOM), self._scene.speed(time))
        return self._scene.speed(time)

    def _lit(self, time: float) -> np.ndarray:
        inside = slice(MARGIN, MARGIN + HEIGHT), slice(MARGIN, MARGIN + WIDTH)
        return self._light.at(time)[inside]

    @staticmethod
    def _views(one: Interruption, random: np.random.Generator) -> tuple[_View, Track]:
        away = Track([one.begin, one.end - MOVING], [MOVING, MOVING], [0.0, 1.0, 0.0])
        return {ROOM: _Room, THUMB: _Thumb, SLIP: _Slip}[one.what](random), away


class _View(Protocol):
    """Something that takes the eye's place."""

    def over(self, eye: np.ndarray, light: np.ndarray, away: float, time: float) -> np.ndarray:
        """The picture, as luminance.

        Args:
            eye: what is seen without it.
            light: on each place of the picture.
            away: 0 where only the eye is in view, 1 where it has gone.
        """


class _Room(_View):
    """Furniture, walls and a window, seen by glasses that a hand holds; the eye leaves through an edge."""

    def __init__(self, random: np.random.Generator) -> None:
        tall, wide = 2 * HEIGHT, 3 * WIDTH
        y, x = np.mgrid[:tall, :wide].astype(np.float32)
        picture = 0.35 + 0.1 * np.sin(x / 170 + random.uniform(0, 6)) + 0.1 * y / tall
        for _ in range(random.integers(14, 26)):
            left, top = random.uniform(0, wide), random.uniform(0, tall)
            width, height = random.uniform(15, 160), random.uniform(15, 160)
            inside = _soft(width / 2 - np.abs(x - left)) * _soft(height / 2 - np.abs(y - top))
            shade = random.uniform(0.03, 0.9) + 0.05 * np.sin(x / random.uniform(2, 9))
            picture += (shade - picture) * inside
        self._picture = np.maximum(picture, 0.01).astype(np.float32)
        self._phase, self._rate = random.uniform(0, 2 * math.pi, 2), random.uniform(0.15, 0.35, 2)  # Hz
        self._leaves = random.choice([-1, 1])

    def over(self, eye: np.ndarray, light: np.ndarray, away: float, time: float) -> np.ndarray:
        wave = 0.5 + 0.5 * np.sin(2 * math.pi * self._rate * time + self._phase)
        room = _cut(self._picture, wave[0] * (2 * WIDTH - 2), wave[1] * (HEIGHT - 2)) * float(light.mean())
        if away >= 1:
            return room
        down = self._leaves * away * (HEIGHT + 2 * _BLUR)
        edge = down - _BLUR if self._leaves > 0 else HEIGHT + down + _BLUR
        seen = _soft((_Y - edge) * self._leaves, 2.0 * _BLUR)
        return room + (_moved(eye, 0.0, down) - room) * seen


class _Thumb(_View):
    """Skin so near that nothing of it is sharp, and little light comes past it."""

    def __init__(self, random: np.random.Generator) -> None:
        self._from = random.uniform(0, 2 * math.pi)
        self._dark = random.uniform(0.01, 0.12)
        self._slope = random.uniform(-0.3, 0.3, 2)

    def over(self, eye: np.ndarray, light: np.ndarray, away: float, time: float) -> np.ndarray:
        shade = 1 + self._slope[0] * (_X / WIDTH - 0.5) + self._slope[1] * (_Y / HEIGHT - 0.5)
        tremor = 1 + 0.03 * math.sin(2 * math.pi * 8 * time)
        skin = (self._dark * tremor * float(np.median(light)) * shade).astype(np.float32)
        across = (_X - WIDTH / 2) * math.cos(self._from) + (_Y - HEIGHT / 2) * math.sin(self._from)
        far = math.hypot(WIDTH, HEIGHT) / 2 + 45
        covered = _soft(across - far * (1 - 2 * away), 90.0)
        return eye + (skin - eye) * covered


class _Slip(_View):
    """The eye out of the picture, but for what of it is at an edge: a camera that has slid down the nose."""

    def __init__(self, random: np.random.Generator) -> None:
        self._right = random.choice([-1, 1]) * random.uniform(0.0, 0.35) * WIDTH
        self._down = random.choice([-1, 1]) * random.uniform(0.62, 0.8) * HEIGHT

    def over(self, eye: np.ndarray, light: np.ndarray, away: float, time: float) -> np.ndarray:
        return _moved(eye, away * self._right, away * self._down)


def _moved(picture: np.ndarray, right: float, down: float) -> np.ndarray:
    """The picture moved by so many pixels; what comes into view is as the border that it joins, ever smoother."""
    rows, columns = _Y[:, 0] - np.float32(down), _X[0] - np.float32(right)
    beyond = np.maximum(np.maximum(-rows, rows - (HEIGHT - 1)), 0)[:, None]
    beside = np.maximum(np.maximum(-columns, columns - (WIDTH - 1)), 0)[None, :]
    seen = _between(_between(picture, rows, 0), columns, 1)
    smooth = 1 - np.exp(-(beyond + beside) / np.float32(25))
    calm = np.median(seen[:: HEIGHT - 1]) if down else np.median(seen)
    return seen + (np.float32(calm) - seen) * smooth


def _between(picture: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Rows or columns at fractional places, those beyond the picture as its border."""
    places = np.clip(places, 0, picture.shape[axis] - 1.001)
    whole = places.astype(np.int32)
    part = (places - whole).astype(np.float32)
    part = part[:, None] if axis == 0 else part[None, :]
    one, other = picture.take(whole, axis), picture.take(whole + 1, axis)
    return one + (other - one) * part


def _cut(picture: np.ndarray, left: float, top: float) -> np.ndarray:
    """(HEIGHT, WIDTH) of a larger picture, at fractional places."""
    rows, columns = np.float32(top) + _Y[:, 0], np.float32(left) + _X[0]
    return _between(_between(picture, rows, 0), columns, 1)


def _soft(distance: np.ndarray, width: float = 4.0) -> np.ndarray:
    """0 to 1 over `width` pixels around distance 0, with no corner."""
    part = np.clip(distance / np.float32(width) + np.float32(0.5), 0, 1)
    return part * part * (3 - 2 * part)
