"""The sensor's noise, drawn anew: a network must not learn by heart how it fell."""

from __future__ import annotations

import torch
from torch import Tensor

# The largest standard deviations, in grey levels of images whose shorter side is 100: resizing averages noise.
FRAME_NOISE, EVENT_NOISE = 1.5, 8.0


def add_noise(frame: Tensor, event: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Images (B, 2, H, W), 0 to 255, with noise on each pixel, as strong as each clip draws.

    Args:
        strength: what is drawn is up to so many times FRAME_NOISE and EVENT_NOISE.

    Returns:
        float32 of the same shapes, 0 to 255. PyTorch's generator decides.
    """
    return _noisy(frame, strength * FRAME_NOISE), _noisy(event, strength * EVENT_NOISE)


def _noisy(images: Tensor, most: float) -> Tensor:
    deviation = most * torch.rand((len(images), 1, 1, 1), device=images.device)
    return (images + deviation * torch.randn(images.shape, device=images.device)).clamp(0, 255)
