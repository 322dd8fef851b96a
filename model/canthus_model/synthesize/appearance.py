"""What the parts of the eye look like at rest: textures, drawn once per eye from a seed."""

import math

import numpy as np

from canthus_model.synthesize import anatomy

SKIN_MARGIN = 20  # rows of skin above and below the picture that a moving brow brings into it
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


def skin(random: np.random.Generator) -> np.ndarray:
    """Reflectance of skin and brow, (260 + 2 SKIN_MARGIN, 346) float32, lids relaxed and open."""
    rows = anatomy.HEIGHT + 2 * SKIN_MARGIN
    y, x = np.mgrid[-SKIN_MARGIN : rows - SKIN_MARGIN, : anatomy.WIDTH].astype(np.float32)
    mottling = 0.05 * noise(y.shape, 1.4, random) + 0.03 * noise(y.shape, 0.5, random)
    light = (
        1
        - 0.50 * _spot(x, y, 42, 118, 58, 48)  # the hollow beside the nose
        - 0.28 * _spot(x, y, 170, 84, 130, 20)  # under the brow
        - 0.22 * _spot(x, y, 150, 206, 110, 16)  # under the lower lid
        + 0.35 * _spot(x, y, 225, 240, 110, 40)  # cheekbone
        + 0.30 * _spot(x, y, 270, 62, 90, 45)  # outer end of the brow
        + 0.25 * _spot(x, y, 0, 230, 60, 70)  # side of the nose
        - 0.30 * _spot(x, y, 346, 150, 50, 120)
    )
    folds = np.zeros_like(y)
    for curve, depth, width in (
        (anatomy.CREASE + 2, 0.45, 2.2),
        (anatomy.CREASE + 10, -0.16, 7.0),  # the lid bulges below its crease
        (anatomy.CORNER_LINE + 52 * anatomy.WIDE_ARCH, 0.16, 3.5),
        (anatomy.CORNER_LINE + 66 * anatomy.WIDE_ARCH + 4, 0.08, 5.0),
    ):
        folds += depth * anatomy.WIDE_ARCH * np.exp(-(((y - curve) / width) ** 2))
    for drop in (-14, 2, 17, 33):  # crow's feet
        curve = anatomy.OUTER_CORNER[1] + 2 + drop * (0.4 + (x - anatomy.OUTER_CORNER[0]) / 60)
        folds += 0.16 * np.exp(-(((y - curve) / 1.6) ** 2)) * _spot(x, y, 318, 155, 18, 60)
    brow = splat(*_brow_hairs(random), y.shape)
    skin_colour = 0.44 * light * (1 + mottling) * (1 - folds)
    return (0.05 + (skin_colour - 0.05) * np.exp(-0.9 * brow)).astype(np.float32)


def eyeball(random: np.random.Generator) -> np.ndarray:
    """Reflectance of sclera and iris (without pupil), looking straight ahead.

    (EYEBALL_TEXELS, EYEBALL_TEXELS) float32; texel centres span -1..1 of the eyeball's radius.
    """
    y, x = np.mgrid[-1 : 1 : EYEBALL_TEXELS * 1j, -1 : 1 : EYEBALL_TEXELS * 1j].astype(np.float32)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    sclera = 0.62 * (1 + 0.03 * noise(x.shape, 1.2, random)) * np.exp(-0.35 * _veins(random))
    outwards = np.clip(radius / anatomy.IRIS_RADIUS, 0, 1)
    iris = 0.24 + 0.06 * _fibres(angle, outwards, random)
    iris += 0.09 * np.exp(-(((outwards - 0.55) / 0.12) ** 2))  # collarette
    iris *= 1 - 0.65 * np.exp(-(((outwards - 1) / 0.10) ** 2))  # the dark ring around the iris
    part = np.clip((anatomy.IRIS_RADIUS - radius) * anatomy.EYEBALL_RADIUS / 3 + 0.5, 0, 1)
    part = part * part * (3 - 2 * part)
    return (sclera + (np.maximum(iris, 0.06) - sclera) * part).astype(np.float32)


def _spot(x: np.ndarray, y: np.ndarray, at_x: float, at_y: float, wide: float, high: float) -> np.ndarray:
    return np.exp(-(((x - at_x) / wide) ** 2) - ((y - at_y) / high) ** 2)


def _brow_hairs(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points x, y and weights of some hundred short hairs, upright near the nose and flat outside."""
    hairs, points = 900, 30
    along = random.beta(1.3, 1.5, (hairs, 1))
    root_x = 34 + 280 * along
    thickness = 11 * np.sin(np.pi * np.clip(0.12 + 0.83 * along, 0, 1))
    root_y = (
        np.interp(root_x, anatomy.COLUMNS, anatomy.BROW) + random.normal(0, 0.5, (hairs, 1)).clip(-1, 1) * thickness
    )
    angle = np.pi / 2 * (1 - along) ** 1.5 - 0.35 * along + random.normal(0, 0.22, (hairs, 1))
    length = random.uniform(9, 20, (hairs, 1))
    step = np.linspace(0, 1, points)
    x = root_x + length * step * np.cos(angle)
    y = root_y - length * step * np.sin(angle) + 0.12 * length * step**2 + SKIN_MARGIN
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
