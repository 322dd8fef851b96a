"""MCO-E Net (arXiv 2505.12007), tensor for tensor as its published checkpoints compute it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from canthus_model.config import EVENT, FRAME, LABELS, TOKEN_WIDTH, NetworkConfig
from canthus_model.encoder import Encoder
from canthus_model.experts import MixtureOfExperts
from canthus_model.fusion import CrossModalFusion
from canthus_model.mamba import MCOMamba


class MCOENet(nn.Module):
    """Two moments of one eye, each a frame and an event image, to logits over the expressions.

    Attribute names are those of the published checkpoints; `output` is in them and never read.
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config or NetworkConfig()
        self.res00 = Encoder(self.config, FRAME)
        self.res01 = Encoder(self.config, FRAME)
        self.res10 = Encoder(self.config, EVENT)
        self.res11 = Encoder(self.config, EVENT)
        self.MCO = MCOMamba()
        self.MCIB = CrossModalFusion()
        self.moe = MixtureOfExperts(self.config.moe_width, len(LABELS), self.config.dropout)
        self.fusion_proj = nn.Sequential(
            nn.Linear(self.config.tokens * TOKEN_WIDTH, self.config.moe_width),
            nn.GELU(),
            nn.Dropout(self.config.dropout),
        )
        self.output = nn.Linear(self.config.features, len(LABELS))

    def forward(self, frame: Tensor, event: Tensor) -> Tensor:
        """Logits (B, 7) of the moments first and last.

        Args:
            frame: grey frames (B, 2, H, W), 0 to 255, uint8 or float; [:, 0] is the first moment.
            event: event images, likewise.
        """
        return self.stages(frame, event)["logits"]

    def stages(self, frame: Tensor, event: Tensor) -> dict[str, Tensor]:
        """Every tensor on the way, by name; `forward` says what the arguments are."""
        return self.fuse(self.encode(frame, event))

    def encode(self, frame: Tensor, event: Tensor) -> dict[str, Tensor]:
        """The features (B, F) of the four images, by name; `forward` says what the arguments are."""
        return {
            "first_frame": self.res00(frame[:, 0]),
            "last_frame": self.res01(frame[:, 1]),
            "first_event": self.res10(event[:, 0]),
            "last_event": self.res11(event[:, 1]),
        }

    def fuse(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """What `encode` gave, and every tensor after it, by name."""
        out = dict(features)
        tokens = (len(out["first_frame"]), self.config.tokens, TOKEN_WIDTH)
        frame_tokens = torch.cat((out["first_frame"], out["last_frame"]), 1).view(tokens)
        event_tokens = torch.cat((out["first_event"], out["last_event"]), 1).view(tokens)
        out["mco_frame"], out["mco_event"] = self.MCO(frame_tokens, event_tokens)
        out["mcib"] = self.MCIB(out["mco_frame"] + frame_tokens, out["mco_event"] + event_tokens)
        out["fused"] = self.fusion_proj(out["mcib"].flatten(1))
        out["logits"], out["router_logits"] = self.moe(out["fused"])
        return out
