"""What `fold` makes of everything behind the encoders: the weights of the three operators in `head`.

Frame and event travel together: tokens are (B, L, 8), the frame's four features before the event's, and
channels are ordered forward frame, forward event, backward frame, backward event, eight each.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from canthus_exporter.head import HEADS, mcib, mco_mamba, routed_experts
from canthus_model.config import INNER_CHANNELS, STATES, TOKEN_WIDTH
from canthus_model.experts import (
    AttentionExpert,
    DeepExpert,
    FocalExpert,
    MixtureOfExperts,
    SingleTokenAttention,
)
from canthus_model.fusion import CrossModalFusion
from canthus_model.mamba import BACKWARD, FORWARD, MODALITIES, CrossModalMamba, Direction


def _constant(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.float().contiguous(), requires_grad=False)


class FoldedMamba(nn.Module):
    """Tokens (B, L, 8) to the same shape, residual included."""

    def __init__(self, mamba: CrossModalMamba) -> None:
        super().__init__()
        tensors = {name: tensor.double() for name, tensor in mamba.state_dict().items()}

        def of_all(template: str) -> list[Tensor]:
            return [tensors[template.format(m)] for m in MODALITIES]

        def over_directions(field: str, leaf: str = "") -> Tensor:
            """(2, 16, ...)"""
            directions = (getattr(direction, field) + leaf for direction in (FORWARD, BACKWARD))
            return torch.stack([torch.cat(of_all(name)) for name in directions])

        in_proj = of_all("in_proj_{}.weight")
        x = torch.block_diag(*(w[:INNER_CHANNELS] for w in in_proj))
        z = torch.block_diag(*(w[INNER_CHANNELS:] for w in in_proj))
        self.in_proj = _constant(torch.cat((x, z)).T)
        self.conv_weight = _constant(over_directions("conv1d", ".weight").squeeze(2).transpose(1, 2))
        self.conv_bias = _constant(over_directions("conv1d", ".bias"))
        projections = [self._fold_projections(tensors, direction) for direction in (FORWARD, BACKWARD)]
        self.projection = _constant(torch.stack(projections).transpose(1, 2))
        A_log = [tensors[direction.A_log.format("event")] for direction in (FORWARD, BACKWARD)]
        self.A = _constant(-torch.exp(torch.stack([torch.cat([a] * len(MODALITIES)) for a in A_log])))
        self.D = _constant(over_directions("D"))
        delta_bias = torch.cat(of_all(FORWARD.dt_proj + ".bias"))
        self.delta_bias = _constant(torch.stack((delta_bias, delta_bias)))
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
        return mco_mamba(
            tokens,
            self.in_proj,
            self.conv_weight,
            self.conv_bias,
            self.projection,
            self.A,
            self.D,
            self.delta_bias,
            self.out_proj,
        )


class FoldedFusion(nn.Module):
    """Tokens (B, L, 8) to the fused vector (B, width), with all eight projections of the tokens as one."""

    def __init__(self, fusion: CrossModalFusion, dense: nn.Linear) -> None:
        """`dense` is the layer that follows."""
        super().__init__()
        attention = fusion.attn
        zeros = torch.zeros(TOKEN_WIDTH, TOKEN_WIDTH, dtype=torch.float64)
        frame = torch.cat((fusion.proj_rgb.weight.double(), zeros), 1)
        event = torch.cat((zeros, fusion.proj_event.weight.double()), 1)
        sources = ((frame, fusion.proj_rgb.bias.double()), (event, fusion.proj_event.bias.double()))
        q, k, v = zip(attention.in_proj_weight.double().chunk(3), attention.in_proj_bias.double().chunk(3), strict=True)
        scale = math.sqrt(TOKEN_WIDTH / HEADS)
        q = (q[0] / scale, q[1] / scale)
        weights, biases = [frame, event], [source[1] for source in sources]
        # The frame asks the event (query of one, key and value of the other), then the other way round.
        for (weight, bias), sources_of in ((q, sources), (k, sources[::-1]), (v, sources[::-1])):
            for source_weight, source_bias in sources_of:
                weights.append(weight @ source_weight)
                biases.append(weight @ source_bias + bias)
        self.projection = _constant(torch.cat(weights).T)
        self.projection_bias = _constant(torch.cat(biases))
        self.out_proj = attention.out_proj
        self.dense = dense
        self.register_buffer("dense_scale", torch.ones(dense.out_features))

    def forward(self, tokens: Tensor) -> Tensor:
        return mcib(
            tokens,
            self.projection,
            self.projection_bias,
            self.out_proj.weight,
            self.out_proj.bias,
            self.dense.weight,
            self.dense_scale,
            self.dense.bias,
        )


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
        self.weight = _constant(torch.cat([weight for weight, _ in parts]))
        self.bias = _constant(torch.cat([bias for _, bias in parts]))
        self.register_buffer("scale", torch.ones(len(self.bias)))
        self.router_norm = moe.router.norm
        self.router, _, self.choice = moe.router.mlp
        self.register_buffer("router_scale", torch.ones(self.router.out_features))
        # Each expert's own LayerNorm scale and shift go into its last layer.
        fc = [e.fc.weight.double() for e in attention]
        shift = [w @ e.norm.bias.double() + e.fc.bias.double() for w, e in zip(fc, attention, strict=True)]
        scaled = [w * e.norm.weight.double() for w, e in zip(fc, attention, strict=True)]
        self.attention_weight = _constant(torch.stack(scaled))
        self.attention_bias = _constant(torch.stack(shift))
        self.focal_weight = _constant(torch.stack([e[2].weight[:, :, 0] for e in focal]))
        self.focal_bias = _constant(torch.stack([e[2].bias for e in focal]))

    def forward(self, fused: Tensor) -> tuple[Tensor, Tensor]:
        return routed_experts(
            fused,
            self.weight,
            self.scale,
            self.bias,
            self.router_norm.weight,
            self.router_norm.bias,
            self.router.weight,
            self.router_scale,
            self.router.bias,
            self.choice.weight,
            self.choice.bias,
            self.attention_weight,
            self.attention_bias,
            self.focal_weight,
            self.focal_bias,
        )
