"""Where the parts of a face lie in the picture: curves of the lids, crease, brow and cheek.

Pixel coordinates, x to the right and y downwards, of a canvas that is MARGIN wider on each side than the
picture, so that the camera may slip; every curve is one y per column of the canvas.
"""

import math

import numpy as np

from canthus_model.synthesize.expressions import ACTION_UNITS
from canthus_model.synthesize.face import Face
from canthus_model.synthesize.motion import Pose

WIDTH, HEIGHT = 346, 260  # of a DAVIS346
MARGIN = 5  # pixels of canvas around the picture
CANVAS = (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)

IRIS_RADIUS = 0.49  # of the eyeball radius: 5.9 mm of 12 mm
_EYEBALL_RADIUS = 92.0  # pixels at scale 1

_COLUMNS = np.arange(CANVAS[1], dtype=np.float32)


class Anatomy:
    """The curves of one face, all (columns,) float32.

    `upper_lid` and `lower_lid` are those of the relaxed, open eye; skin between `crease` and the upper lid
    stretches when the lid moves, skin between the lower lid and `cheek` when the lower lid or the cheek does.
    """

    def __init__(self, face: Face) -> None:
        self._face, self.scale = face, face.scale
        self.centre = (face.centre[0] + MARGIN, face.centre[1] + MARGIN)
        self.eyeball_radius = _EYEBALL_RADIUS * face.scale
        self.x = self.face_x(_COLUMNS)
        along = self.along(self.x)
        corners = self._corner_line(self.x)
        self._upper_arch = _arch(along, face.upper_peak)
        self._lower_arch = _arch(along, face.lower_peak)
        self.wide_arch = _arch((self.x + 176) / 352, 0.48, 1.2)
        self.corner_line = self._to_canvas(corners)
        self.upper_lid = self._to_canvas(corners - face.upper_lid * self._upper_arch)
        self.lower_lid = self._to_canvas(corners + face.lower_lid * self._lower_arch)
        self.crease = self._to_canvas(corners - 10 - (face.upper_lid - 10 + face.crease) * self.wide_arch)
        self.cheek = self._to_canvas(corners + 80)
        self.brow = self._to_canvas(corners - self.brow_height(self.x))
        self.brow_reach = np.float32(0.5 * (face.brow_height - face.upper_lid) * face.scale)
        # What each action unit moves, by place: 1 at the inner and 0 at the outer end, and the reverse.
        self._inner = _fall((self.x + 40) / 100)
        self._outer = 1 - self._inner
        self.inner_corner, self.outer_corner = (
            (float(self.canvas_x(x)), float(np.interp(self.canvas_x(x), _COLUMNS, self.corner_line)))
            for x in (-face.half_width, face.half_width)
        )

    def face_x(self, column: np.ndarray) -> np.ndarray:
        """Columns of the canvas as distances from the middle of the eye, unscaled; negative towards the nose."""
        return ((column - self.centre[0]) / self.scale).astype(np.float32)

    def canvas_x(self, x: float | np.ndarray) -> float | np.ndarray:
        """The reverse of `face_x`."""
        return self.centre[0] + x * self.scale

    def face_y(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Height below the middle of the eye, unscaled and untilted, of canvas points."""
        return (y - self.centre[1] - math.tan(self._face.tilt) * (x - self.centre[0])) / self.scale

    def along(self, x: np.ndarray) -> np.ndarray:
        """0 at the inner and 1 at the outer corner of the lids, of `face_x` coordinates."""
        return np.clip((x / self._face.half_width + 1) / 2, 0, 1)

    def brow_height(self, x: np.ndarray) -> np.ndarray:
        """Height of the brow's middle above the line through the corners, at `face_x` coordinates."""
        return self._face.brow_height - self._face.brow_arch * (1 - _arch((x + 152) / 330, self._face.brow_peak))

    def lids(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Edges of the upper and the lower lid at a moment."""
        unit = _by_name(pose)
        raised = 0.60 * unit["lid_tightener"] + 0.55 * unit["cheek_raiser"] + 0.35 * unit["nose_wrinkler"]
        raised = min(1.3, raised + 0.25 * pose.closure)
        opening = (
            self._face.opening
            + 0.33 * unit["upper_lid_raiser"]
            - 0.36 * unit["lid_droop"]
            - 0.15 * unit["lid_tightener"]
            - 0.08 * unit["cheek_raiser"]
            - 0.10 * unit["nose_wrinkler"]
            - 0.06 * unit["brow_lowerer"]
            + 0.9 * pose.gaze_y  # the upper lid follows the gaze up and down
        ) * (1 - pose.closure)
        lower = self.lower_lid - np.float32(16 * self.scale * raised) * self._lower_arch
        upper = lower + np.float32(opening) * (self.upper_lid - lower)
        return np.minimum(np.maximum(upper, self.crease + np.float32(5)), lower), lower

    def brow_lift(self, pose: Pose) -> np.ndarray:
        """How far the brow is above its rest, in pixels."""
        unit = _by_name(pose)
        inner = 21 * unit["inner_brow_raiser"] - 18 * unit["brow_lowerer"] - 6 * unit["nose_wrinkler"]
        outer = 20 * unit["outer_brow_raiser"] - 9 * unit["brow_lowerer"] - 2 * unit["nose_wrinkler"]
        closing = 2 * pose.closure
        return np.float32(self.scale) * (
            np.float32(inner - closing) * self._inner + np.float32(outer - closing) * self._outer
        )

    def cheek_lift(self, pose: Pose) -> np.ndarray:
        """How far the cheek is above its rest, in pixels."""
        unit = _by_name(pose)
        outer, inner = 16 * unit["cheek_raiser"], 14 * unit["nose_wrinkler"] + 7 * unit["cheek_raiser"]
        return np.float32(self.scale) * (np.float32(inner) * self._inner + np.float32(outer) * self._outer)

    def _corner_line(self, x: np.ndarray) -> np.ndarray:
        half = self._face.half_width
        return 5 + self._face.slant * (0.5 - np.clip((x / half + 1) / 2, -0.2, 1.2))

    def _to_canvas(self, y: np.ndarray) -> np.ndarray:
        tilted = self.centre[1] + self.scale * y + math.tan(self._face.tilt) * (_COLUMNS - self.centre[0])
        return tilted.astype(np.float32)


def _by_name(pose: Pose) -> dict[str, float]:
    """Strength of each action unit."""
    return dict(zip(ACTION_UNITS, pose.units.tolist(), strict=True))


def _arch(along: np.ndarray, peak: float, steepness: float = 0.85) -> np.ndarray:
    """A bump from 0 through 1 at `peak` to 0, over `along` from 0 to 1; flat at its ends above 1."""
    skewed = np.clip(along, 0, 1) ** (np.log(0.5) / np.log(peak))
    return ((4 * skewed * (1 - skewed)) ** steepness).astype(np.float32)


def _fall(along: np.ndarray) -> np.ndarray:
    """1 to 0 over `along` from 0 to 1, with no corner."""
    part = np.clip(along, 0, 1)
    return (1 - part * part * (3 - 2 * part)).astype(np.float32)
