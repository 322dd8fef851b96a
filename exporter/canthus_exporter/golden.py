"""Golden vectors: inputs made for the purpose, and what the unfolded network makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from canthus._native import Resize
from canthus.parts import ENCODERS
from canthus.verify import Golden
from canthus.view import centred
from canthus_model.network import MCOENet
from canthus_model.see.names import LIGHTINGS

EYES = Path(__file__).with_name("golden_eyes.npz")
"""Rendered eyes of nobody, four in each of SEE's lightings: uint8 (16, 2, 100, 133) each of `frame` and `event`.

tests/data/golden_eyes.py drew them. They reach where processors differ, which glare does more than twilight.
"""
EYES_EACH, PATTERNS = 4, 4

Images = NDArray[np.uint8]


def make_golden(network: MCOENet) -> Golden:
    """Golden vectors of a network, the same each time; no wearer's eye is in them."""
    frame, event = (np.concatenate(parts) for parts in zip(_eyes(network), _patterns(network), strict=True))
    with torch.inference_mode():
        stages = [network.stages(*(torch.from_numpy(x[i : i + 1]) for x in (frame, event))) for i in range(len(frame))]
    features = np.stack([np.stack([stage[part][0].numpy() for part in ENCODERS]) for stage in stages])
    logits = np.stack([stage["logits"][0].numpy() for stage in stages])
    light = np.concatenate([np.repeat(np.arange(len(LIGHTINGS)), EYES_EACH), np.full(PATTERNS, len(LIGHTINGS))])
    return Golden(frame, event, features, logits, light.astype(np.uint8))


def _eyes(network: MCOENet) -> tuple[Images, Images]:
    """In the network's size, which shows as much of them as its aspect allows."""
    height, width = network.config.image_size
    with np.load(EYES, allow_pickle=False) as arrays:
        frame, event = arrays["frame"], arrays["event"]
    source = frame.shape[3], frame.shape[2]
    left, top, box_width, box_height = centred(source, (width, height))
    resize = Resize(*source, (left, top, left + box_width, top + box_height), width, height)
    frame, event = (np.stack([[resize(image) for image in window] for window in images]) for images in (frame, event))
    return frame, event


def _patterns(network: MCOENet) -> tuple[Images, Images]:
    """What no eye looks like: from nearly black with few events to overexposed with many."""
    rng = np.random.default_rng(0)
    size = network.config.image_size
    frame = np.stack([_frames(rng, size, brightness) for brightness in np.geomspace(4, 250, PATTERNS)])
    event = np.stack([_events(rng, size, density) for density in np.geomspace(0.001, 0.3, PATTERNS)])
    return frame, event


def _frames(rng: np.random.Generator, size: tuple[int, int], brightness: float) -> Images:
    """Two frames: a gradient, a moving disc, noise."""
    y, x = np.mgrid[: size[0], : size[1]]
    images = []
    for _ in range(2):
        centre = rng.uniform(0.3, 0.7, 2) * size
        disc = np.hypot(y - centre[0], x - centre[1]) < 0.2 * min(size)
        image = brightness * (0.4 + 0.6 * x / size[1] - 0.3 * disc) + rng.normal(0, 3, size)
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return np.stack(images)


def _events(rng: np.random.Generator, size: tuple[int, int], density: float) -> Images:
    """Two event images: a share of the pixels at 0 or 255, the others at 127."""
    return rng.choice(np.array([0, 127, 255], np.uint8), (2, *size), p=[density / 2, 1 - density, density / 2])
