"""The scene: one eye and the skin around it, as linear luminance at any moment."""

import math

import numpy as np

from canthus_model.synthesize import anatomy, appearance
from canthus_model.synthesize.motion import Motion, Pose

_Y, _X = np.mgrid[: anatomy.HEIGHT, : anatomy.WIDTH].astype(np.float32)
_ROWS = np.arange(anatomy.HEIGHT, dtype=np.float32)[:, None]


class Eye:
    """A moving eye that fills the picture of a head-worn camera.

    `seconds` is how long it moves; the same `seed` gives the same person and the same motion.
    Edges are a pixel or two soft and all motion is smooth, so luminance is smooth in time.
    """

    def __init__(self, seconds: float, seed: int) -> None:
        self._motion = Motion(seconds, seed)
        random = np.random.default_rng([seed, 0])
        self._skin = appearance.skin(random)
        self._eyeball = appearance.eyeball(random)
        self._upper_lashes = Lashes(95, (16, 31), random)
        self._lower_lashes = Lashes(45, (6, 11), random)
        self._across = (_X - anatomy.CENTRE[0]) / anatomy.EYEBALL_RADIUS
        self._down = (_Y - anatomy.CENTRE[1]) / anatomy.EYEBALL_RADIUS
        depth = 1 - self._across**2 - self._down**2
        # Beyond the eyeball's rim, in the corners, its surface levels out smoothly.
        self._towards = np.sqrt(0.5 * (depth + np.sqrt(depth**2 + 0.12)))

    def luminance(self, time: float) -> np.ndarray:
        """(260, 346) float32 linear luminance at `time` seconds; a white wall would be 1, a glint is more."""
        pose = self._motion.pose(time)
        upper, lower = anatomy.lids(pose.opening, pose.squint)
        picture = self._draw_skin(pose, upper, lower)
        self._draw_eyeball(picture, pose, upper, lower)
        self._draw_lashes(picture, pose, upper, lower)
        return picture

    def speed(self, time: float) -> float:
        """How fast the fastest edge moves at `time`, in pixels per second, to choose steps by."""
        step = 0.0005
        before, after = self._motion.pose(time), self._motion.pose(time + step)
        gaze = math.hypot(after.gaze_x - before.gaze_x, after.gaze_y - before.gaze_y)
        lid = abs(after.opening - before.opening) * 85  # pixels between the lids
        return max(gaze * anatomy.EYEBALL_RADIUS, lid, abs(after.brow - before.brow)) / step

    def _draw_skin(self, pose: Pose, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """Skin, stretched up and down to follow the brow and the two lids."""
        rows, crease, cheek = _ROWS, anatomy.CREASE, anatomy.CHEEK
        lift = np.clip((crease - rows) / anatomy.BROW_REACH, 0, 1)
        source = rows + np.float32(pose.brow) * (lift * lift * (3 - 2 * lift))
        upper_skin = crease + (rows - crease) * ((anatomy.UPPER_LID - crease) / (upper - crease))
        lower_skin = cheek - (cheek - rows) * ((cheek - anatomy.LOWER_LID) / (cheek - lower))
        source = np.where((rows > crease) & (rows < upper), upper_skin, source)
        source = np.where((rows > lower) & (rows < cheek), lower_skin, source)
        source += np.float32(appearance.SKIN_MARGIN)
        row = np.floor(source)
        place = row.astype(np.int32) * anatomy.WIDTH + np.arange(anatomy.WIDTH, dtype=np.int32)
        here = self._skin.ravel().take(place)
        return here + (source - row) * (self._skin.ravel().take(place + anatomy.WIDTH) - here)

    def _draw_eyeball(self, picture: np.ndarray, pose: Pose, upper: np.ndarray, lower: np.ndarray) -> None:
        """The eyeball where the lids leave it open, with its shadow, wet lower rim and glints."""
        left, right = int(anatomy.INNER_CORNER[0]) - 3, int(anatomy.OUTER_CORNER[0]) + 4
        top, bottom = int(upper.min()) - 3, int(lower.max()) + 8
        box = np.s_[top:bottom, left:right]
        rows, upper, lower = _ROWS[top:bottom], upper[left:right], lower[left:right]
        ball, radius = self._look_up(box, pose)
        pupil = _smooth((pose.pupil * anatomy.IRIS_RADIUS - radius) * anatomy.EYEBALL_RADIUS, 2.0)
        ball += (0.012 - ball) * pupil
        below_lid = np.maximum(rows - upper, 0)
        ball *= (0.40 + 0.60 * self._towards[box]) * (1 - 0.55 * np.exp(below_lid * np.float32(-1 / 11)))
        corner = np.exp(np.float32(-1 / 11) * np.maximum(_X[0, left:right] - anatomy.INNER_CORNER[0], 0))
        ball += (0.30 - ball) * corner
        ball += _glints(_X[0, left:right], rows, pose)
        rim = _smooth(rows - lower + 1, 2.0) * _smooth(lower + 4 - rows, 2.0) * (0.35 * (lower > upper + 2))
        open_part = _smooth(np.minimum(rows - upper, lower - rows) - 0.5, 2.0)
        # The margin of the upper lid, seen from below its lashes, is a dark line.
        edge = 1 - 0.6 * np.exp(-(((rows - upper + 1) / np.float32(2)) ** 2))
        skin = picture[box]
        skin += (0.55 - skin) * rim
        skin += (ball - skin) * open_part
        skin *= edge

    def _look_up(self, box: tuple[slice, slice], pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Reflectance of the turned eyeball and each pixel's distance from its pole, in radii."""
        across, down, towards = self._across[box], self._down[box], self._towards[box]
        cos_x, sin_x = np.float32(math.cos(pose.gaze_x)), np.float32(math.sin(pose.gaze_x))
        cos_y, sin_y = np.float32(math.cos(pose.gaze_y)), np.float32(math.sin(pose.gaze_y))
        x = cos_x * across - sin_x * towards
        y = cos_y * down + sin_y * (sin_x * across + cos_x * towards)
        size, half = appearance.EYEBALL_TEXELS, np.float32((appearance.EYEBALL_TEXELS - 1) / 2)
        column, row = (np.clip(half * (1 + axis), 0, size - 1.01) for axis in (x, y))
        left, top = np.floor(column), np.floor(row)
        column, row = column - left, row - top
        place = top.astype(np.int32) * size + left.astype(np.int32)
        texture = self._eyeball.ravel()
        upper = texture.take(place) * (1 - column) + texture.take(place + 1) * column
        lower = texture.take(place + size) * (1 - column) + texture.take(place + size + 1) * column
        return upper + (lower - upper) * row, np.sqrt(x * x + y * y)

    def _draw_lashes(self, picture: np.ndarray, pose: Pose, upper: np.ndarray, lower: np.ndarray) -> None:
        """Lashes: the upper ones curl up over the open eye and point down when it closes."""
        opening = min(1.0, pose.opening)
        hang, curl = 0.95 - 0.75 * opening, -0.35 - 0.65 * opening
        x, y, weight = self._upper_lashes.points(upper, hang, curl)
        low_x, low_y, low_weight = self._lower_lashes.points(lower + 3, 0.75, 0.15)
        density = appearance.splat(
            np.concatenate([x, low_x]),
            np.concatenate([y, low_y]),
            np.concatenate([weight, low_weight]),
            picture.shape,
        )
        picture *= np.exp(-density)


class Lashes:
    """A row of `count` curved hairs, `lengths` (shortest, longest) in pixels, fanned along a lid."""

    _STEP = np.linspace(0, 1, 36, dtype=np.float32)

    def __init__(self, count: int, lengths: tuple[float, float], random: np.random.Generator) -> None:
        along = np.linspace(0.07, 0.97, count) + random.normal(0, 0.006, count)
        length = random.uniform(*lengths, count) * (0.6 + 0.4 * np.sin(np.pi * along))
        root = anatomy.INNER_CORNER[0] + along * (anatomy.OUTER_CORNER[0] - anatomy.INNER_CORNER[0])
        fan = 1.1 * (along - 0.42) + random.normal(0, 0.08, count)
        self._length = length[:, None].astype(np.float32)
        self._lean = random.normal(1, 0.15, (count, 1)).astype(np.float32)
        self._x = (root[:, None] + self._length * fan[:, None] * self._STEP).astype(np.float32)
        self._root = root
        self._weight = 1.3 * self._length / self._STEP.size * (1 - 0.75 * self._STEP)

    def points(self, lid: np.ndarray, hang: float, curl: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y and weight of points along the hairs, rooted on `lid`: hang is their slope there."""
        root = np.interp(self._root, anatomy.COLUMNS, lid)[:, None]
        y = root + self._length * self._lean * self._STEP * (hang + curl * self._STEP)
        return self._x.ravel(), y.ravel().astype(np.float32), self._weight.ravel()


def _smooth(distance: np.ndarray, width: float) -> np.ndarray:
    """0 to 1 over `width` pixels around distance 0, with no corner."""
    part = np.clip(distance * np.float32(1 / width) + np.float32(0.5), 0, 1)
    return part * part * (3 - 2 * part)


def _glints(columns: np.ndarray, rows: np.ndarray, pose: Pose) -> np.ndarray:
    """Reflections of a window and a lamp in the cornea, which move half as far as the iris does."""
    x = anatomy.CENTRE[0] + 0.5 * anatomy.EYEBALL_RADIUS * math.sin(pose.gaze_x)
    y = anatomy.CENTRE[1] - 0.5 * anatomy.EYEBALL_RADIUS * math.sin(pose.gaze_y)
    window = _smooth(4.5 - np.abs(columns - x - 13), 4.0) * _smooth(5.5 - np.abs(rows - y + 15), 4.0)
    lamp = np.exp(-(((columns - x + 12) / 2.5) ** 2)) * np.exp(-(((rows - y - 11) / 2.5) ** 2))
    return 1.6 * window + 0.9 * lamp
