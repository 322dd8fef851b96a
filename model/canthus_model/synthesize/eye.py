"""The scene: one eye and the skin around it, as linear luminance at any moment."""

import math

import numpy as np

from canthus_model.synthesize import appearance
from canthus_model.synthesize.anatomy import CANVAS, HEIGHT, IRIS_RADIUS, MARGIN, WIDTH, Anatomy
from canthus_model.synthesize.face import Face
from canthus_model.synthesize.lighting import Light
from canthus_model.synthesize.motion import Motion, Pose

_COLUMNS = np.arange(CANVAS[1], dtype=np.int32)
_Y, _X = np.mgrid[: CANVAS[0], : CANVAS[1]].astype(np.float32)
_ROWS = _Y[:, :1]


class Eye:
    """A moving eye that fills the picture of a head-worn camera.

    Edges are a pixel or two soft and all motion is smooth, so luminance is smooth in time.
    """

    def __init__(self, face: Face, motion: Motion, light: Light) -> None:
        """A light of 1 makes white paper's luminance 1."""
        self._motion, self._light = motion, light
        self._anatomy = anatomy = Anatomy(face)
        random = np.random.default_rng([face.texture_seed, 0])
        self._skin = appearance.Skin(face, anatomy, random)
        self._eyeball = appearance.eyeball(face, random)
        self._eyeliner = face.eyeliner
        self._upper_lashes = Lashes(anatomy, face.lashes, (16 * face.lash_length, 31 * face.lash_length), random)
        self._lower_lashes = Lashes(anatomy, face.lashes // 2, (6, 11), random)
        self._glasses = Glasses(face, anatomy, random) if face.glasses else None
        self._across = (_X - anatomy.centre[0]) / anatomy.eyeball_radius
        self._down = (_Y - anatomy.centre[1]) / anatomy.eyeball_radius
        depth = 1 - self._across**2 - self._down**2
        # Beyond the eyeball's rim, in the corners, its surface levels out smoothly.
        self._towards = np.sqrt(0.5 * (depth + np.sqrt(depth**2 + 0.12)))

    def luminance(self, time: float) -> np.ndarray:
        """(260, 346) float32 linear luminance at `time` seconds; a white wall would be 1, a glint is more."""
        pose = self._motion.pose(time)
        upper, lower = self._anatomy.lids(pose)
        canvas = self._draw_skin(pose, upper, lower)
        self._draw_eyeball(canvas, pose, upper, lower)
        self._draw_lashes(canvas, upper, lower)
        if self._glasses:
            self._glasses.draw(canvas)
        canvas *= self._light.at(time)
        return _shifted(canvas, pose.slip_x, pose.slip_y)

    def speed(self, time: float) -> float:
        """How fast the fastest edge moves at `time`, in pixels per second, to choose steps by."""
        step = 0.0005
        before, after = self._motion.pose(time), self._motion.pose(time + step)
        gaze = math.hypot(after.gaze_x - before.gaze_x, after.gaze_y - before.gaze_y)
        lid = abs(after.closure - before.closure) * 85  # pixels between the lids
        muscles = float(np.abs(after.units - before.units).max()) * 20
        slip = math.hypot(after.slip_x - before.slip_x, after.slip_y - before.slip_y)
        edges = (slip + max(gaze * self._anatomy.eyeball_radius, lid, muscles)) / step
        return max(edges, self._light.speed(time))

    def _draw_skin(self, pose: Pose, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """Skin, stretched up and down to follow the brow, the two lids and the cheek."""
        at, texture = self._anatomy, self._skin.texture(pose.units).ravel()
        source = np.empty(CANVAS, np.float32)
        top, middle, bottom = int(at.crease.min()), int(at.crease.max()) + 1, int(lower.min())
        # Above the crease it follows the brow.
        rows = _ROWS[:middle]
        lift = np.clip((at.crease - rows) / at.brow_reach, 0, 1)
        source[:middle] = rows + at.brow_lift(pose) * (lift * lift * (3 - 2 * lift))
        # From the crease to the upper lid it follows the lid.
        rows, part = _ROWS[top:], source[top:]
        stretched = at.crease + (rows - at.crease) * ((at.upper_lid - at.crease) / (upper - at.crease))
        np.copyto(part, stretched, where=rows > at.crease)
        # From the lower lid to the cheek it is stretched between the two, and below it is lifted with the cheek.
        rows, part = _ROWS[bottom:], source[bottom:]
        cheek = at.cheek - at.cheek_lift(pose)
        stretched = at.lower_lid + (rows - lower) * ((at.cheek - at.lower_lid) / (cheek - lower))
        stretched = np.minimum(stretched, rows + (at.cheek - cheek))
        np.copyto(part, stretched, where=rows > lower)
        source += np.float32(appearance.SKIN_MARGIN)
        np.clip(source, 0, CANVAS[0] + 2 * appearance.SKIN_MARGIN - 1.01, out=source)
        row = source.astype(np.int32)
        source -= row
        row *= CANVAS[1]
        row += _COLUMNS
        here = texture.take(row)
        row += CANVAS[1]
        below = texture.take(row)
        below -= here
        below *= source
        below += here
        return below

    def _draw_eyeball(self, canvas: np.ndarray, pose: Pose, upper: np.ndarray, lower: np.ndarray) -> None:
        """The eyeball where the lids leave it open, with its shadow, wet lower rim and glints."""
        at = self._anatomy
        left, right = int(at.inner_corner[0]) - 3, int(at.outer_corner[0]) + 4
        left, right = max(left, 0), min(right, CANVAS[1])
        upper, lower = upper[left:right], lower[left:right]
        box = np.s_[max(int(upper.min()) - 3, 0) : int(lower.max()) + 8, left:right]
        rows = _ROWS[box[0]]
        ball, radius = self._look_up(box, pose)
        pupil = _smooth((pose.pupil * IRIS_RADIUS - radius) * at.eyeball_radius, 2.0)
        ball += (0.012 - ball) * pupil
        below_lid = np.maximum(rows - upper, 0)
        ball *= (0.40 + 0.60 * self._towards[box]) * (1 - 0.55 * np.exp(below_lid * np.float32(-1 / 11)))
        corner = np.exp(np.float32(-1 / 11) * np.maximum(_X[0, left:right] - at.inner_corner[0], 0))
        ball += (0.30 - ball) * corner
        ball += self._glints(_X[0, left:right], rows, pose)
        rim = _smooth(rows - lower + 1, 2.0) * _smooth(lower + 4 - rows, 2.0) * (0.35 * (lower > upper + 2))
        open_part = _smooth(np.minimum(rows - upper, lower - rows) - 0.5, 2.0)
        # The margin of the upper lid, seen from below its lashes, is a dark line; liner makes it a broad one.
        width = np.float32(2 + 3 * self._eyeliner)
        edge = 1 - np.float32(0.6 + 0.35 * self._eyeliner) * np.exp(-(((rows - upper + 1) / width) ** 2))
        skin = canvas[box]
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

    def _glints(self, columns: np.ndarray, rows: np.ndarray, pose: Pose) -> np.ndarray:
        """Reflections of a window and a lamp in the cornea, which move half as far as the iris does."""
        at, size = self._anatomy, np.float32(self._anatomy.scale)
        x = at.centre[0] + 0.5 * at.eyeball_radius * math.sin(pose.gaze_x)
        y = at.centre[1] - 0.5 * at.eyeball_radius * math.sin(pose.gaze_y)
        across, down = (columns - np.float32(x)) / size, (rows - np.float32(y)) / size
        window = _smooth(4.5 - np.abs(across - 13), 4.0) * _smooth(5.5 - np.abs(down + 15), 4.0)
        lamp = np.exp(-(((across + 12) / np.float32(2.5)) ** 2)) * np.exp(-(((down - 11) / np.float32(2.5)) ** 2))
        return np.float32(1.6) * window + np.float32(0.9) * lamp

    def _draw_lashes(self, canvas: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> None:
        """Lashes: the upper ones curl up over the open eye and point down when it closes."""
        opening = float(((lower - upper).max() / (self._anatomy.lower_lid - self._anatomy.upper_lid).max()).clip(0, 1))
        hang, curl = 0.95 - 0.75 * opening, -0.35 - 0.65 * opening
        x, y, weight = self._upper_lashes.points(upper, hang, curl)
        low_x, low_y, low_weight = self._lower_lashes.points(lower + 3, 0.75, 0.15)
        y, low_y = np.maximum(y, 0), np.maximum(low_y, 0)
        top, bottom = int(min(y.min(), low_y.min())), min(int(max(y.max(), low_y.max())) + 2, CANVAS[0])
        density = appearance.splat(
            np.concatenate([x, low_x]),
            np.concatenate([y, low_y]) - top,
            np.concatenate([weight, low_weight]),
            (bottom - top, CANVAS[1]),
        )
        canvas[top:bottom] *= np.exp(-density)


class Lashes:
    """A row of `count` curved hairs, `lengths` (shortest, longest) in pixels, fanned along a lid."""

    _STEP = np.linspace(0, 1, 30, dtype=np.float32)

    def __init__(self, anatomy: Anatomy, count: int, lengths: tuple[float, float], random: np.random.Generator) -> None:
        along = np.linspace(0.07, 0.97, count) + random.normal(0, 0.006, count)
        length = anatomy.scale * random.uniform(*lengths, count) * (0.6 + 0.4 * np.sin(np.pi * along))
        (inner, _), (outer, _) = anatomy.inner_corner, anatomy.outer_corner
        root = inner + along * (outer - inner)
        fan = 1.1 * (along - 0.42) + random.normal(0, 0.08, count)
        self._length = length[:, None].astype(np.float32)
        self._lean = random.normal(1, 0.15, (count, 1)).astype(np.float32)
        self._x = (root[:, None] + self._length * fan[:, None] * self._STEP).astype(np.float32)
        self._root = root
        self._weight = (1.3 * self._length / self._STEP.size * (1 - 0.75 * self._STEP)).astype(np.float32)

    def points(self, lid: np.ndarray, hang: float, curl: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y and weight of points along the hairs, rooted on `lid`: hang is their slope there."""
        root = np.interp(self._root, _COLUMNS, lid)[:, None].astype(np.float32)
        y = root + self._length * self._lean * self._STEP * (np.float32(hang) + np.float32(curl) * self._STEP)
        return self._x.ravel(), y.ravel(), self._weight.ravel()


class Glasses:
    """A rim around the eye and a faint reflection in its lens; they sit still on the head."""

    def __init__(self, face: Face, anatomy: Anatomy, random: np.random.Generator) -> None:
        across, down = anatomy.face_x(_X), anatomy.face_y(_X, _Y)
        high, low, wide = random.uniform(64, 88), random.uniform(78, 98), random.uniform(140, 165)
        tall = np.where(down < 0, high, low)
        radius = (np.abs(across / wide) ** 3 + np.abs(down / tall) ** 3) ** (1 / 3)
        distance = (radius - 1) * 80
        rim = np.exp(-((distance / face.glasses) ** 4))
        self._passes = (1 - 0.93 * rim).astype(np.float32)
        slope = across + random.uniform(-0.8, 0.8) * down - random.uniform(-90, 90)
        reflection = np.exp(-((slope / random.uniform(8, 26)) ** 2)) * (radius < 1)
        self._adds = (random.uniform(0.02, 0.10) * reflection).astype(np.float32)

    def draw(self, canvas: np.ndarray) -> None:
        """Put them over the canvas."""
        canvas *= self._passes
        canvas += self._adds


def _shifted(canvas: np.ndarray, right: float, down: float) -> np.ndarray:
    """The picture, cut out of the canvas that lies so many pixels to the right and further down."""
    column, row = MARGIN - right, MARGIN - down
    left, top = int(column), int(row)
    right_part, low_part = np.float32(column - left), np.float32(row - top)
    rows = canvas[top : top + HEIGHT + 1]
    blended = rows[:-1] + low_part * (rows[1:] - rows[:-1])
    shifted = blended[:, left + 1 : left + WIDTH + 1] - blended[:, left : left + WIDTH]
    shifted *= right_part
    shifted += blended[:, left : left + WIDTH]
    return shifted


def _smooth(distance: np.ndarray, width: float) -> np.ndarray:
    """0 to 1 over `width` pixels around distance 0, with no corner."""
    part = np.clip(distance * np.float32(1 / width) + np.float32(0.5), 0, 1)
    return part * part * (3 - 2 * part)
