"""MCIB: the modalities attend to each other and are joined by a gate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from canthus_model.config import TOKEN_WIDTH


class CrossModalFusion(nn.Module):
    """Tokens of frame and event, (B, L, 4) each, to fused tokens (B, L, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.proj_rgb = nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH)
        self.proj_event = nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH)
        self.attn = nn.MultiheadAttention(TOKEN_WIDTH, num_heads=2, batch_first=True)

    def forward(self, frame: Tensor, event: Tensor) -> Tensor:
        frame, event = self.proj_rgb(frame), self.proj_event(event)
        from_event = self.attn(frame, event, event, need_weights=False)[0]
        from_frame = self.attn(event, frame, frame, need_weights=False)[0]
        gate = torch.sigmoid((frame * event).sum(-1, keepdim=True))
        return gate * from_event + (1 - gate) * from_frame + (frame + event) / 2
