"""Golden vectors: inputs made for the purpose, and what the unfolded network answers to them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from canthus.verify import Golden
from canthus_model.network import MCOENet

WINDOWS = 8


def make_golden(network: MCOENet) -> Golden:
    """Golden vectors of a network, the same each time; no wearer's eye is in them."""
    rng = np.random.default_rng(0)
    size = network.config.image_size
    frame = np.stack([_frames(rng, size, brightness) for brightness in np.geomspace(4, 250, WINDOWS)])
    event = np.stack([_events(rng, size, density) for density in np.geomspace(0.001, 0.3, WINDOWS)])
    with torch.inference_mode():
        logits = torch.cat(
            [network(torch.from_numpy(frame[i : i + 1]), torch.from_numpy(event[i : i + 1])) for i in range(WINDOWS)]
        )
    return Golden(frame, event, logits.numpy())


def _frames(rng: np.random.Generator, size: tuple[int, int], brightness: float) -> NDArray[np.uint8]:
    """Two frames, from nearly black to overexposed: a gradient, a moving disc, noise."""
    y, x = np.mgrid[: size[0], : size[1]]
    images = []
    for _ in range(2):
        centre = rng.uniform(0.3, 0.7, 2) * size
        disc = np.hypot(y - centre[0], x - centre[1]) < 0.2 * min(size)
        image = brightness * (0.4 + 0.6 * x / size[1] - 0.3 * disc) + rng.normal(0, 3, size)
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return np.stack(images)


def _events(rng: np.random.Generator, size: tuple[int, int], density: float) -> NDArray[np.uint8]:
    """Two event images: a share of the pixels at 0 or 255, the others at 127."""
    return rng.choice(np.array([0, 127, 255], np.uint8), (2, *size), p=[density / 2, 1 - density, density / 2])
