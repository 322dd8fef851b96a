"""Clips varied as if the camera sat a little differently on the head."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from canthus_model.config import NO_EVENT

# The largest change of size, of angle (radians), and of place (in half pictures).
SCALE, TURN, SHIFT = 0.04, math.radians(2), 0.03


def reseat(frame: Tensor, event: Tensor) -> tuple[Tensor, Tensor]:
    """Each clip scaled, turned and shifted at random, all of its images alike.

    Args:
        frame, event: uint8 or float (B, 2, H, W), 0 to 255. What comes in at the edges continues the frame, and
            is without events.

    Returns:
        float32 of the same shapes. PyTorch's generator decides.
    """
    clips, _, height, width = frame.shape
    scale = 1 + SCALE * _draw(clips, frame)
    turn, right, down = TURN * _draw(clips, frame), SHIFT * _draw(clips, frame), SHIFT * _draw(clips, frame)
    across, along = scale * turn.cos(), scale * turn.sin()
    rows = (across, -along * height / width, right, along * width / height, across, down)
    places = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(frame.shape), align_corners=False)
    moved_frame = F.grid_sample(frame.float(), places, padding_mode="border", align_corners=False)
    moved_event = F.grid_sample(event.float() - NO_EVENT, places, align_corners=False)
    return moved_frame, moved_event + NO_EVENT


def _draw(clips: int, like: Tensor) -> Tensor:
    return 2 * torch.rand(clips, device=like.device) - 1
