"""What `fold` makes of everything behind the encoders.

Frame and event travel together: tokens are (B, L, 8), the frame's four features before the event's, and
channels are ordered forward frame, forward event, backward frame, backward event, eight each.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from canthus_model.config import CONVOLUTION_LENGTH, EXPERTS, INNER_CHANNELS, STATES, TOKEN_WIDTH
from canthus_model.experts import (
    AttentionExpert,
    DeepExpert,
    FocalExpert,
    MixtureOfExperts,
    SingleTokenAttention,
    mix_experts,
    top_experts,
)
from canthus_model.fusion import CrossModalFusion
from canthus_model.mamba import BACKWARD, FORWARD, MODALITIES, CrossModalMamba, Direction
from canthus_model.selective_scan import selective_scan

PAIR = len(MODALITIES) * INNER_CHANNELS
"""Channels of both modalities in one direction."""


def _constant(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.float().contiguous(), requires_grad=False)


class FoldedMamba(nn.Module):
    """Both modalities and both directions in one depthwise convolution, one projection and one scan.

    Tokens (B, L, 8) to the same shape, residual included.
    """

    def __init__(self, mamba: CrossModalMamba) -> None:
        super().__init__()
        tensors = {name: tensor.double() for name, tensor in mamba.state_dict().items()}

        def of_all(template: str) -> list[Tensor]:
            return [tensors[template.format(m)] for m in MODALITIES]

        def over_directions(field: str, leaf: str = "") -> Tensor:
            names = [getattr(direction, field) for direction in (FORWARD, BACKWARD)]
            return torch.cat([t for name in names for t in of_all(name + leaf)])

        in_proj = of_all("in_proj_{}.weight")
        x = torch.block_diag(*(w[:INNER_CHANNELS] for w in in_proj))
        z = torch.block_diag(*(w[INNER_CHANNELS:] for w in in_proj))
        self.in_proj = _constant(torch.cat((x, z)))
        self.conv_weight = _constant(over_directions("conv1d", ".weight"))
        self.conv_bias = _constant(over_directions("conv1d", ".bias"))
        projections = [self._fold_projections(tensors, direction) for direction in (FORWARD, BACKWARD)]
        self.projection = _constant(torch.stack(projections))
        A_log = [tensors[direction.A_log.format("event")] for direction in (FORWARD, BACKWARD)]
        self.A = _constant(-torch.exp(torch.cat([a for a in A_log for _ in MODALITIES])))
        self.D = _constant(over_directions("D"))
        delta_bias = torch.cat(of_all(FORWARD.dt_proj + ".bias"))
        self.delta_bias = _constant(torch.cat((delta_bias, delta_bias)))
        self.out_proj = _constant(0.5 * torch.block_diag(*of_all("out_proj_{}.weight")).T)

    @staticmethod
    def _fold_projections(tensors: dict[str, Tensor], direction: Direction) -> Tensor:
        """x_proj, dt_proj and both peeps as one matrix from both modalities' channels: [delta | B | C]."""
        x_proj = torch.block_diag(*(tensors[direction.x_proj.format(m) + ".weight"] for m in MODALITIES))
        rows = x_proj.split([1, STATES, STATES] * len(MODALITIES))
        delta = [
            tensors[direction.dt_proj.format(m) + ".weight"] @ row for m, row in zip(MODALITIES, rows[::3], strict=True)
        ]
        B = [row + tensors[direction.peep_B + ".weight"] @ x_proj for row in rows[1::3]]
        C = [row + tensors[direction.peep_C + ".weight"] @ x_proj for row in rows[2::3]]
        return torch.cat((*delta, *B, *C))

    def forward(self, tokens: Tensor) -> Tensor:
        x, z = (self.in_proj @ tokens.transpose(1, 2)).split(PAIR, dim=1)
        x = torch.cat((x, x.flip(2)), 1)
        z = torch.cat((z, z.flip(2)), 1)
        x = F.pad(x, (CONVOLUTION_LENGTH - 1, 0))
        u = F.silu(F.conv1d(x, self.conv_weight, self.conv_bias, groups=2 * PAIR))
        projected = self.projection @ u.unflatten(1, (2, PAIR))
        delta, B, C = projected.split([PAIR, 2 * STATES, 2 * STATES], dim=2)
        y = selective_scan(
            u,
            delta.flatten(1, 2),
            self.A,
            B.flatten(1, 2).unflatten(1, (4, STATES)),
            C.flatten(1, 2).unflatten(1, (4, STATES)),
            self.D,
            z=z,
            delta_bias=self.delta_bias,
            delta_softplus=True,
        )
        forward, backward = y.split(PAIR, dim=1)
        return (forward + backward.flip(2)).transpose(1, 2) @ self.out_proj + tokens


class FoldedFusion(nn.Module):
    """Tokens (B, L, 8) to fused tokens (B, L, 4), with all eight projections of the tokens as one."""

    def __init__(self, fusion: CrossModalFusion) -> None:
        super().__init__()
        attention = fusion.attn
        self.heads = attention.num_heads
        zeros = torch.zeros(TOKEN_WIDTH, TOKEN_WIDTH, dtype=torch.float64)
        frame = torch.cat((fusion.proj_rgb.weight.double(), zeros), 1)
        event = torch.cat((zeros, fusion.proj_event.weight.double()), 1)
        sources = ((frame, fusion.proj_rgb.bias.double()), (event, fusion.proj_event.bias.double()))
        q, k, v = zip(attention.in_proj_weight.double().chunk(3), attention.in_proj_bias.double().chunk(3), strict=True)
        scale = math.sqrt(TOKEN_WIDTH / self.heads)
        q = (q[0] / scale, q[1] / scale)
        weights, biases = [frame, event], [source[1] for source in sources]
        # The frame asks the event (query of one, key and value of the other), then the other way round.
        for (weight, bias), sources_of in ((q, sources), (k, sources[::-1]), (v, sources[::-1])):
            for source_weight, source_bias in sources_of:
                weights.append(weight @ source_weight)
                biases.append(weight @ source_bias + bias)
        self.weight = _constant(torch.cat(weights).T)
        self.bias = _constant(torch.cat(biases))
        self.out_proj = attention.out_proj

    def forward(self, tokens: Tensor) -> Tensor:
        pair = 2 * TOKEN_WIDTH
        both, query, key, value = (tokens @ self.weight + self.bias).split(pair, dim=2)
        frame, event = both.split(TOKEN_WIDTH, dim=2)
        query, key, value = (x.unflatten(2, (2 * self.heads, -1)).transpose(1, 2) for x in (query, key, value))
        attended = (query @ key.transpose(2, 3)).softmax(-1) @ value
        # (B, 2 askers x heads, L, 2) to (B, L, 2 askers, 4)
        attended = self.out_proj(attended.transpose(1, 2).flatten(2).unflatten(2, (2, TOKEN_WIDTH)))
        from_event, from_frame = attended[:, :, 0], attended[:, :, 1]
        gate = torch.sigmoid((frame * event).sum(-1, keepdim=True))
        return from_frame + gate * (from_event - from_frame) + 0.5 * (frame + event)


def _fold_single_token_attention(attention: SingleTokenAttention) -> tuple[Tensor, Tensor]:
    """Attention over one token, residual added, as a matrix and a bias: its softmax is always 1."""
    value_weight = attention.in_proj_weight.double().chunk(3)[2]
    value_bias = attention.in_proj_bias.double().chunk(3)[2]
    out_weight, out_bias = attention.out_proj.weight.double(), attention.out_proj.bias.double()
    identity = torch.eye(len(out_bias), dtype=torch.float64)
    return out_weight @ value_weight + identity, out_weight @ value_bias + out_bias


def _fold_deep_expert(expert: DeepExpert) -> tuple[Tensor, Tensor]:
    """Five linear residual blocks and the last layer as one matrix and a bias."""
    weight, bias = expert.final_fc.weight.double(), expert.final_fc.bias.double()
    for up, _, down in reversed(expert.layers):  # from the answer back, so that the product stays 7 rows
        bias = weight @ (down.weight.double() @ up.bias.double() + down.bias.double()) + bias
        weight = (weight @ down.weight.double()) @ up.weight.double() + expert.res_coef.double() * weight
    return weight, bias


class FoldedExperts(nn.Module):
    """The fused vector (B, width) to logits (B, labels) and expert weights (B, 8).

    Everything that is linear in the fused vector is one matrix: router, attention, focal and deep experts.
    """

    def __init__(self, moe: MixtureOfExperts) -> None:
        super().__init__()
        experts = list(moe.experts.values())
        focal = [e for e in experts if isinstance(e, FocalExpert)]
        attention = [e for e in experts if isinstance(e, AttentionExpert)]
        deep = [e for e in experts if isinstance(e, DeepExpert)]
        parts = [
            *(_fold_single_token_attention(m) for m in (moe.router.self_attn, *(e.attn for e in attention))),
            *((e[0].weight[:, :, 1].double(), e[0].bias.double()) for e in focal),
            *(_fold_deep_expert(e) for e in deep),
        ]
        self.counts = (len(attention), len(focal), len(deep))
        self.width = moe.router.norm.weight.shape[0]
        self.labels = deep[0].final_fc.out_features
        self.weight = _constant(torch.cat([weight for weight, _ in parts]))
        self.bias = _constant(torch.cat([bias for _, bias in parts]))
        self.router_norm, self.router_mlp = moe.router.norm, moe.router.mlp
        # Each expert's own LayerNorm scale and shift go into its last layer.
        fc = [e.fc.weight.double() for e in attention]
        shift = [w @ e.norm.bias.double() + e.fc.bias.double() for w, e in zip(fc, attention, strict=True)]
        scaled = [w * e.norm.weight.double() for w, e in zip(fc, attention, strict=True)]
        self.attention_weight = _constant(torch.stack([w.T for w in scaled]))
        self.attention_bias = _constant(torch.stack(shift))
        self.focal_weight = _constant(torch.stack([e[2].weight[:, :, 0].T for e in focal]))
        self.focal_bias = _constant(torch.stack([e[2].bias for e in focal]))
        by_kind = [i for kind in (AttentionExpert, FocalExpert, DeepExpert) for i in range(EXPERTS)
                   if isinstance(experts[i], kind)]  # fmt: skip
        self.order = [by_kind.index(i) for i in range(EXPERTS)]

    def forward(self, fused: Tensor) -> tuple[Tensor, Tensor]:
        attention, focal, deep = self.counts
        sizes = [self.width, attention * self.width, focal * self.width // 2, deep * self.labels]
        router, attended, focused, answered = F.linear(fused, self.weight, self.bias).split(sizes, dim=1)
        weights = top_experts(self.router_mlp(self.router_norm(router)))
        attended = F.layer_norm(attended.unflatten(1, (attention, self.width)), (self.width,))
        focused = F.gelu(focused.unflatten(1, (focal, self.width // 2)))
        answers = torch.cat(
            (
                (attended.unsqueeze(2) @ self.attention_weight).squeeze(2) + self.attention_bias,
                (focused.unsqueeze(2) @ self.focal_weight).squeeze(2) + self.focal_bias,
                answered.unflatten(1, (deep, self.labels)),
            ),
            1,
        )
        return mix_experts(weights, answers[:, self.order]), weights
