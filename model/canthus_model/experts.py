"""HCE-MoE: a router and eight experts of three kinds, of which the best two answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from canthus_model.config import EXPERTS, EXPERTS_USED


class SingleTokenAttention(nn.MultiheadAttention):
    """Self-attention of vectors (B, width), each a sequence of one token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        token = x.unsqueeze(1)
        return super().forward(token, token, token, need_weights=False)[0].squeeze(1)


class FocalExpert(nn.Sequential):
    """Two convolutions over a sequence of one token."""

    def __init__(self, width: int, labels: int, _dropout: float) -> None:
        super().__init__(nn.Conv1d(width, width // 2, 3, padding=1), nn.GELU(), nn.Conv1d(width // 2, labels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.unsqueeze(2)).squeeze(2)


class AttentionExpert(nn.Module):
    def __init__(self, width: int, labels: int, _dropout: float) -> None:
        super().__init__()
        self.attn = SingleTokenAttention(width, heads=2)
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, labels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.attn(x) + x))


class DeepExpert(nn.Module):
    """Five linear residual blocks; the dropout between them is all that is not linear."""

    def __init__(self, width: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.res_coef = nn.Parameter(torch.tensor(0.3))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 4 * width), nn.Dropout(dropout), nn.Linear(4 * width, width))
            for _ in range(5)
        )
        self.final_fc = nn.Linear(width, labels)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x) + self.res_coef * x
        return self.final_fc(x)


EXPERT_KINDS = (FocalExpert, AttentionExpert, DeepExpert)
"""Expert i is of kind i mod 3."""


class Router(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_attn = SingleTokenAttention(width, heads=4)
        self.mlp = nn.Sequential(nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, EXPERTS))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.norm(x + self.self_attn(x)))


def top_experts(router_logits: Tensor) -> Tensor:
    """(B, 8) logits to (B, 8) weights: softmax over all, the best two kept as they are, the others zero."""
    weights = router_logits.softmax(-1)
    best, chosen = weights.topk(EXPERTS_USED, dim=-1)
    return torch.zeros_like(weights).scatter(-1, chosen, best)


def mix_experts(weights: Tensor, answers: Tensor) -> Tensor:
    """Experts' answers (B, 8, labels), weighted by `top_experts`, to logits (B, labels)."""
    return (weights.unsqueeze(-1) * answers).sum(1) / (weights.sum(1, keepdim=True) + 1e-8)


class MixtureOfExperts(nn.Module):
    """A fused vector (B, width) to logits (B, labels) and router logits (B, 8)."""

    def __init__(self, width: int, labels: int, dropout: float) -> None:
        super().__init__()
        kinds = (EXPERT_KINDS[i % 3] for i in range(EXPERTS))
        self.experts = nn.ModuleDict({f"expert_{i}": kind(width, labels, dropout) for i, kind in enumerate(kinds)})
        self.router = Router(width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        router_logits = self.router(x)
        answers = torch.stack([expert(x) for expert in self.experts.values()], dim=1)
        return mix_experts(top_experts(router_logits), answers), router_logits
