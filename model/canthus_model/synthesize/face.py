"""Who wears the camera: what makes one volunteer's eye differ from another's, drawn from a seed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from canthus_model.synthesize.expressions import ACTION_UNITS


@dataclasses.dataclass(frozen=True)
class Face:
    """One volunteer. Lengths are in pixels of an eye seen head-on at the usual distance."""

    texture_seed: int  # of skin, iris and hairs
    woman: bool
    age: int  # years

    # How the camera sits on the head.
    centre: tuple[float, float]  # of the eyeball in the picture
    scale: float  # 1 at the usual distance
    tilt: float  # radians, the picture's right side downwards

    # Shape.
    slant: float  # how much higher the outer corner is than the inner one
    half_width: float  # between the corners
    upper_lid: float  # height of the open lid's arch above the corners
    upper_peak: float  # where it is highest, 0 at the inner corner and 1 at the outer one
    lower_lid: float  # depth of the lower lid's arch
    lower_peak: float
    crease: float  # height of the crease above the open lid
    brow_height: float  # above the corners
    brow_arch: float
    brow_peak: float
    brow_thickness: float  # half of it

    # Appearance.
    skin: float  # reflectance
    iris: float  # reflectance
    mottling: float  # contrast of the skin's texture
    crease_depth: float
    wrinkles: float  # how deep folds become, and how much of them stays at rest
    brow_hairs: int
    lashes: int
    lash_length: float
    eyeliner: float  # 0 none
    eyeshadow: float  # reflectance added to the upper lid; 0 none
    glasses: float  # half-width of the rim; 0 none

    # Habits.
    opening: float  # of the relaxed upper lid
    gains: np.ndarray  # (len(ACTION_UNITS),): how strongly this face shows each action unit


def draw_face(seed: int, volunteer: int) -> Face:
    """Volunteer number `volunteer` of this seed."""
    random = np.random.default_rng([seed, volunteer])
    woman = bool(random.random() < 0.42)
    made_up = woman and random.random() < 0.4
    uniform, normal = random.uniform, random.normal
    return Face(
        texture_seed=int(random.integers(2**31)),
        woman=woman,
        age=int(np.clip(random.gamma(4, 2.5) + 18, 18, 60)),
        centre=(173 + _clipped(normal(0, 9), 18), 165 + _clipped(normal(0, 9), 16)),
        scale=uniform(0.82, 1.02),
        tilt=_clipped(normal(0, math.radians(4)), math.radians(8)),
        slant=normal(16, 4),
        half_width=uniform(100, 116),
        upper_lid=uniform(43, 50),
        upper_peak=uniform(0.38, 0.50),
        lower_lid=uniform(28, 38),
        lower_peak=uniform(0.50, 0.62),
        crease=uniform(16, 32),
        brow_height=uniform(106, 118),
        brow_arch=uniform(18, 28),
        brow_peak=uniform(0.52, 0.68),
        brow_thickness=uniform(6, 9) if woman else uniform(8, 13),
        skin=float(np.exp(uniform(np.log(0.20), np.log(0.58)))),
        iris=float(np.exp(uniform(np.log(0.08), np.log(0.34)))),
        mottling=uniform(0.6, 1.5),
        crease_depth=uniform(0.12, 0.50),
        wrinkles=uniform(1.0, 1.6),
        brow_hairs=int(uniform(500, 800) if woman else uniform(650, 1300)),
        lashes=int(uniform(70, 105)),
        lash_length=uniform(1.1, 1.35) if made_up else uniform(0.7, 1.15),
        eyeliner=uniform(0.4, 0.9) if made_up else 0.0,
        eyeshadow=uniform(-0.12, 0.10) if made_up else 0.0,
        glasses=uniform(2.5, 6.0) if random.random() < 0.15 else 0.0,
        opening=_clipped(normal(0.97, 0.03), 1.05),
        gains=np.clip(normal(1.0, 0.10, len(ACTION_UNITS)), 0.75, 1.25),
    )


def worn_again(face: Face, random: np.random.Generator) -> Face:
    """The same volunteer with the camera put on anew, which sits a little differently each time."""
    x, y = face.centre
    return dataclasses.replace(
        face,
        centre=(x + _clipped(random.normal(0, 13), 22), y + _clipped(random.normal(0, 11), 18)),
        scale=face.scale * (1 + _clipped(random.normal(0, 0.035), 0.07)),
        tilt=face.tilt + _clipped(random.normal(0, math.radians(3.5)), math.radians(7)),
    )


def _clipped(value: float, limit: float) -> float:
    return float(min(max(value, -limit), limit))
