"""What the parts of a face look like: textures, drawn once per face, and the folds that come and go."""

import math
from typing import NamedTuple

import numpy as np

from canthus_model.synthesize.anatomy import CANVAS, IRIS_RADIUS, Anatomy
from canthus_model.synthesize.expressions import ACTION_UNITS
from canthus_model.synthesize.face import Face

SKIN_MARGIN = 26  # rows of skin above and below the canvas that a moving brow or cheek brings into it
EYEBALL_TEXELS = 400  # the eyeball's texture covers -1..1 of its radius in both directions


def splat(x: np.ndarray, y: np.ndarray, weight: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Add points of `weight` to an empty (rows, columns) float32 picture, each over its four pixels.

    Moves of less than a pixel change the picture smoothly. Points outside are left out.
    """
    rows, columns = shape
    inside = (x >= 0) & (x < columns - 1) & (y >= 0) & (y < rows - 1)
    x, y, weight = x[inside], y[inside], weight[inside]
    left, top = np.floor(x), np.floor(y)
    right_part, low_part = x - left, y - top
    corner = top.astype(np.int64) * columns + left.astype(np.int64)
    places = np.concatenate([corner, corner + 1, corner + columns, corner + columns + 1])
    upper, lower = weight * (1 - low_part), weight * low_part
    weights = np.concatenate(
        [upper * (1 - right_part), upper * right_part, lower * (1 - right_part), lower * right_part]
    )
    return np.bincount(places, weights, rows * columns).reshape(shape).astype(np.float32)


def noise(shape: tuple[int, int], roughness: float, random: np.random.Generator) -> np.ndarray:
    """Smooth random texture of mean 0 and deviation 1; its spectrum falls with frequency^-roughness."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    frequency[0, 0] = np.inf
    texture = np.fft.irfft2(np.fft.rfft2(random.standard_normal(shape)) * frequency**-roughness, shape)
    return (texture / texture.std()).astype(np.float32)


class Skin:
    """Reflectance of skin and brow with the lids relaxed and open, and the folds that action units make.

    Textures have SKIN_MARGIN rows more than the canvas above and below.
    """

    def __init__(self, face: Face, anatomy: Anatomy, random: np.random.Generator) -> None:
        rows = CANVAS[0] + 2 * SKIN_MARGIN
        y, x = np.mgrid[-SKIN_MARGIN : rows - SKIN_MARGIN, : CANVAS[1]].astype(np.float32)
        # Across and down from the middle of the eye, unscaled and untilted.
        across, down = anatomy.face_x(x), anatomy.face_y(x, y)
        light = (
            1
            - 0.50 * _spot(across, down, -130, -34, 58, 48)  # the hollow beside the nose
            - 0.28 * _spot(across, down, -2, -68, 130, 20)  # under the brow
            - 0.22 * _spot(across, down, -22, 54, 110, 16)  # under the lower lid
            + 0.35 * _spot(across, down, 53, 88, 110, 40)  # cheekbone
            + 0.30 * _spot(across, down, 98, -90, 90, 45)  # outer end of the brow
            + 0.25 * _spot(across, down, -172, 78, 60, 70)  # side of the nose
            - 0.30 * _spot(across, down, 174, -2, 50, 120)
        )
        mottling = face.mottling * (0.05 * noise(y.shape, 1.4, random) + 0.03 * noise(y.shape, 0.5, random))
        brow = splat(*_brow_hairs(face, anatomy, random), y.shape)
        lid = np.clip((anatomy.upper_lid - y) / 4, 0, 1) * np.clip((y - anatomy.crease) / 8, 0, 1)
        shadow = 1 + face.eyeshadow / face.skin * lid * np.clip(1.1 - np.abs(across) / face.half_width, 0, 1)
        colour = face.skin * light * (1 + mottling) * shadow
        for depth, fold in _resting_folds(face, anatomy, y):
            colour *= 1 - depth * fold
        rest = 0.05 + (colour - 0.05) * np.exp(-0.9 * brow)
        self._rest = np.maximum(rest, 0.012).astype(np.float32)
        self._folds = [_cut(weights, fold) for weights, fold in _moving_folds(face, across, down)]
        self._shown = np.full(len(self._folds), -1.0)
        self._texture = self._rest

    def texture(self, units: np.ndarray) -> np.ndarray:
        """Reflectance while the action units are as strong as given, (rows + 2 SKIN_MARGIN, columns) float32."""
        depths = np.array([float(fold.weights @ units) for fold in self._folds])
        # Redrawn only once a fold has changed by a 250th, which no sensor sees.
        if np.abs(depths - self._shown).max() > 0.004:
            self._shown = depths
            self._texture = self._rest.copy()
            for depth, fold in zip(depths, self._folds, strict=True):
                self._texture[fold.box] *= 1 - np.float32(min(depth, 1.9)) * fold.depth
        return self._texture


class _Fold(NamedTuple):
    weights: np.ndarray  # how deep each action unit makes it
    box: tuple[slice, slice]  # where it is in the texture
    depth: np.ndarray  # what it takes from the light there, at full depth


def _cut(weights: dict[str, float], fold: np.ndarray) -> _Fold:
    """The part of a full-sized `fold` in which there is anything."""
    rows, columns = (np.flatnonzero(np.abs(fold).max(axis=axis) > 0.004) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _Fold(np.array([weights.get(unit, 0.0) for unit in ACTION_UNITS]), box, fold[box].astype(np.float32))


def _resting_folds(face: Face, anatomy: Anatomy, y: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Folds that are there at rest, as depth and shape."""
    scale, wide = face.scale, anatomy.wide_arch
    return [
        (depth, wide * np.exp(-(((y - curve) / (width * scale)) ** 2)))
        for curve, depth, width in (
            (anatomy.crease + 2 * scale, face.crease_depth, 2.2),
            (anatomy.crease + 10 * scale, -0.16, 7.0),  # the lid bulges below its crease
            (anatomy.corner_line + 52 * scale * wide, 0.14 * face.wrinkles, 3.5),
            (anatomy.corner_line + (66 * wide + 4) * scale, 0.07 * face.wrinkles, 5.0),
        )
    ]


def _moving_folds(face: Face, across: np.ndarray, down: np.ndarray) -> list[tuple[dict[str, float], np.ndarray]]:
    """Folds that come with action units: which units, and the shape at full depth."""
    deep = face.wrinkles
    end = face.half_width
    crow = np.zeros_like(across)
    for drop, strength in ((-17, 0.28), (-1, 0.42), (14, 0.36), (30, 0.24)):  # crow's feet
        curve = -4 + drop * (0.4 + (across - end) / 60)
        crow += strength * np.exp(-(((down - curve) / 2.6) ** 2)) * _spot(across, down, end + 32, 3, 24, 60)
    pouch = np.zeros_like(across)  # below the lower lid, pushed up by the cheek
    for curve, strength, width in ((47, 0.42, 3.2), (39, -0.22, 5.0), (60, 0.20, 3.5)):
        bow = curve - 14 * (across / end) ** 2
        pouch += strength * np.exp(-(((down - bow) / width) ** 2)) * np.exp(-((across / 95) ** 4))
    nose = np.zeros_like(across)  # across the side of the nose and up into the inner corner
    for place, strength in ((-154, 0.30), (-136, 0.38), (-121, 0.26)):
        line = place + 0.45 * (down - 20) + 0.004 * (down - 20) ** 2
        nose += strength * np.exp(-(((across - line) / 4.0) ** 2)) * _spot(across, down, -138, 26, 34, 34)
    frown = np.zeros_like(across)  # upright, between brow and nose
    for place, strength in ((-158, 0.42), (-142, 0.30)):
        line = place - 0.15 * (down + 90)
        frown += strength * np.exp(-(((across - line) / 4.5) ** 2)) * _spot(across, down, -150, -92, 30, 30)
    forehead = np.zeros_like(across)
    for height, strength in ((-126, 0.22), (-139, 0.30), (-153, 0.24)):
        curve = height + 8 * np.cos((across + height) / 60)
        forehead += strength * np.exp(-(((down - curve) / 3.4) ** 2))
    inner, outer = np.exp(-(((across + 110) / 80) ** 2)), np.exp(-(((across - 60) / 100) ** 2))
    hooded = 0.35 * np.exp(-(((down + 76 - 0.10 * across) / 8) ** 2)) * np.exp(-(((across + 40) / 90) ** 2))
    return [
        ({"cheek_raiser": 1.0 * deep}, crow),
        ({"cheek_raiser": 0.9 * deep, "lid_tightener": 0.45 * deep, "nose_wrinkler": 0.5 * deep}, pouch),
        ({"nose_wrinkler": 1.1 * deep}, nose),
        ({"brow_lowerer": 1.1 * deep, "nose_wrinkler": 0.3 * deep}, frown),
        ({"inner_brow_raiser": 1.0 * deep}, forehead * inner),
        ({"outer_brow_raiser": 1.0 * deep}, forehead * outer),
        ({"brow_lowerer": 1.0, "lid_droop": 0.5}, hooded),
    ]


def eyeball(face: Face, random: np.random.Generator) -> np.ndarray:
    """Reflectance of sclera and iris (without pupil), looking straight ahead.

    (EYEBALL_TEXELS, EYEBALL_TEXELS) float32; texel centres span -1..1 of the eyeball's radius.
    """
    y, x = np.mgrid[-1 : 1 : EYEBALL_TEXELS * 1j, -1 : 1 : EYEBALL_TEXELS * 1j].astype(np.float32)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    sclera = (0.50 + 0.22 * face.skin) * (1 + 0.03 * noise(x.shape, 1.2, random)) * np.exp(-0.35 * _veins(random))
    outwards = np.clip(radius / IRIS_RADIUS, 0, 1)
    iris = face.iris * (1 + 0.25 * _fibres(angle, outwards, random))
    iris += 0.37 * face.iris * np.exp(-(((outwards - 0.55) / 0.12) ** 2))  # collarette
    iris *= 1 - 0.65 * np.exp(-(((outwards - 1) / 0.10) ** 2))  # the dark ring around the iris
    part = np.clip((IRIS_RADIUS - radius) * 30 + 0.5, 0, 1)
    part = part * part * (3 - 2 * part)
    return (sclera + (np.maximum(iris, 0.03) - sclera) * part).astype(np.float32)


def _spot(x: np.ndarray, y: np.ndarray, at_x: float, at_y: float, wide: float, high: float) -> np.ndarray:
    return np.exp(-(((x - at_x) / wide) ** 2) - ((y - at_y) / high) ** 2)


def _brow_hairs(face: Face, anatomy: Anatomy, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points x, y and weights of some hundred short hairs, upright near the nose and flat outside."""
    hairs, points = face.brow_hairs, 30
    along = random.beta(1.3, 1.5, (hairs, 1))
    root_x = -138 + 280 * along
    thickness = face.brow_thickness * np.sin(np.pi * np.clip(0.12 + 0.83 * along, 0, 1))
    root_y = np.interp(anatomy.canvas_x(root_x), np.arange(CANVAS[1]), anatomy.brow) / face.scale
    root_y = root_y + random.normal(0, 0.5, (hairs, 1)).clip(-1, 1) * thickness
    angle = np.pi / 2 * (1 - along) ** 1.5 - 0.35 * along + random.normal(0, 0.22, (hairs, 1))
    length = random.uniform(9, 20, (hairs, 1))
    step = np.linspace(0, 1, points)
    x = anatomy.canvas_x(root_x + length * step * np.cos(angle))
    y = face.scale * (root_y - length * step * np.sin(angle) + 0.12 * length * step**2) + SKIN_MARGIN
    weight = length / points * (1 - 0.7 * step)
    return x.ravel(), y.ravel(), weight.ravel()


def _fibres(angle: np.ndarray, outwards: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Radial strands of the iris, mean about 0: smooth along the radius, rough around it."""
    strands = np.zeros_like(angle)
    for frequency in (5, 9, 17, 26, 41, 58):
        phase, twist = random.uniform(0, 2 * math.pi), random.normal(0, 1.5)
        strands += np.sin(frequency * angle + phase + twist * outwards) * random.uniform(0.4, 0.9)
    return strands * np.clip(1.6 * outwards, 0, 1)


def _veins(random: np.random.Generator) -> np.ndarray:
    """Density of thin vessels that wander from the rim of the eyeball towards the iris."""
    vessels, points = 46, 300
    step = np.linspace(0, 1, points)
    start = random.uniform(0, 2 * math.pi, (vessels, 1))
    wander = random.normal(0, 0.0001, (vessels, points)).cumsum(axis=1).cumsum(axis=1)
    radius = 1.0 - step * random.uniform(0.15, 0.42, (vessels, 1))
    middle = (EYEBALL_TEXELS - 1) / 2
    x = middle * (1 + radius * np.cos(start + wander))
    y = middle * (1 + radius * np.sin(start + wander))
    weight = 0.9 * (1 - 0.8 * step) * random.uniform(0.3, 1, (vessels, 1))
    return splat(x.ravel(), y.ravel(), weight.ravel(), (EYEBALL_TEXELS, EYEBALL_TEXELS))
