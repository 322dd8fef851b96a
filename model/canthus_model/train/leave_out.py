"""Clips without frames, and clips without events, as a stream shows them where one is missing."""

from __future__ import annotations

import torch
from torch import Tensor

from canthus_model.config import NO_EVENT


def leave_out(frame: Tensor, event: Tensor, part: float) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Some clips of a batch with black frames, and as many others without events.

    Args:
        frame, event: images (B, 2, H, W), 0 to 255.
        part: of the clips that lose their frames, and of those that lose their events; a half at most.

    Returns:
        The images, and which clips still have them: bool (B,) for "frame" and "event". PyTorch's generator decides;
        where there is nothing to decide, it isn't asked.
    """
    if not part:
        return frame, event, dict.fromkeys(("frame", "event"), frame.new_ones(len(frame), dtype=torch.bool))
    chance = torch.rand(len(frame), device=frame.device)
    shown = {"frame": chance >= part, "event": chance < 1 - part}
    frame = frame.where(_each(shown["frame"]), 0)
    event = event.where(_each(shown["event"]), NO_EVENT)
    return frame, event, shown


def _each(clips: Tensor) -> Tensor:
    return clips.view(-1, 1, 1, 1)
