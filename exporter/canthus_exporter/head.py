"""`canthus::McoMamba`, `Mcib` and `RoutedExperts` as PyTorch operators: what they compute, in PyTorch's own operations.

torch.onnx.export writes each as one node; the functions here become the node's portable body. A matrix is float32 or
int8, times a scale for each of its outputs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from canthus_model.config import CONVOLUTION_LENGTH, INNER_CHANNELS, STATES, TOKEN_WIDTH
from canthus_model.experts import mix_experts, top_experts
from canthus_model.selective_scan import selective_scan

PAIR = 2 * INNER_CHANNELS
"""Channels of both modalities in one direction."""
HEADS = 2
"""Of each modality's attention."""
ATTENTION_EXPERTS, FOCAL_EXPERTS, DEEP_EXPERTS = 3, 3, 2
EXPERT_ORDER = (3, 0, 6, 4, 1, 7, 5, 2)
"""Where expert i is when attention, focal and deep experts are in a row: expert i is of kind i mod 3."""


def _mco_mamba(
    x: Tensor,
    in_proj: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    projection: Tensor,
    A: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    out_proj: Tensor,
) -> Tensor:
    """Both modalities and both directions in one depthwise convolution, one projection and one scan.

    Args:
        x: tokens (B, L, 8), the frame's four features before the event's.
        in_proj: (8, 32), of the channels, then of their gates.
        conv_weight, conv_bias: (2, 4, 16) and (2, 16), of both directions.
        projection: (2, 16, 80), of the channels to each one's delta, then B and C of both modalities.
        A, D, delta_bias: (2, 16, 16), (2, 16), (2, 16).
        out_proj: (16, 8).

    Returns:
        Tokens (B, L, 8), `x` added.
    """
    channels, gate = (x @ in_proj).transpose(1, 2).split(PAIR, dim=1)
    channels = F.pad(torch.cat((channels, channels.flip(2)), 1), (CONVOLUTION_LENGTH - 1, 0))
    taps = conv_weight.transpose(1, 2).flatten(0, 1).unsqueeze(1)
    u = F.silu(F.conv1d(channels, taps, conv_bias.flatten(), groups=2 * PAIR))
    projected = projection.transpose(1, 2) @ u.unflatten(1, (2, PAIR))
    delta, B, C = projected.split([PAIR, 2 * STATES, 2 * STATES], dim=2)
    y = selective_scan(
        u,
        delta.flatten(1, 2),
        A.flatten(0, 1),
        B.flatten(1, 2).unflatten(1, (4, STATES)),
        C.flatten(1, 2).unflatten(1, (4, STATES)),
        D.flatten(),
        z=torch.cat((gate, gate.flip(2)), 1),
        delta_bias=delta_bias.flatten(),
        delta_softplus=True,
    )
    forward, backward = y.split(PAIR, dim=1)  # type: ignore[union-attr]
    return (forward + backward.flip(2)).transpose(1, 2) @ out_proj + x


def _mcib(
    x: Tensor,
    projection: Tensor,
    projection_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    fusion_weight: Tensor,
    fusion_scale: Tensor,
    fusion_bias: Tensor,
) -> Tensor:
    """Each modality attends to the other, a gate joins what they heard, and a dense layer with GELU follows.

    Args:
        x: tokens (B, L, 8).
        projection, projection_bias: (8, 32) and (32,): the modalities themselves, query, key, value; the keys and
            values are those of the other modality.
        out_weight, out_bias: (4, 4) and (4,), of what an asker's two heads heard.
        fusion_weight, fusion_scale, fusion_bias: (width, 4 L), (width,), (width,).

    Returns:
        The fused vector (B, width).
    """
    pair = 2 * TOKEN_WIDTH
    itself, query, key, value = (x @ projection + projection_bias).split(pair, dim=2)
    frame, event = itself.split(TOKEN_WIDTH, dim=2)
    query, key, value = (part.unflatten(2, (2 * HEADS, -1)).transpose(1, 2) for part in (query, key, value))
    heard = (query @ key.transpose(2, 3)).softmax(-1) @ value
    # (B, 2 askers x heads, L, 2) to (B, L, 2 askers, 4)
    heard = F.linear(heard.transpose(1, 2).flatten(2).unflatten(2, (2, TOKEN_WIDTH)), out_weight, out_bias)
    from_event, from_frame = heard[:, :, 0], heard[:, :, 1]
    gate = torch.sigmoid((frame * event).sum(-1, keepdim=True))
    fused = from_frame + gate * (from_event - from_frame) + 0.5 * (frame + event)
    return F.gelu(_dense(fused.flatten(1), fusion_weight, fusion_scale, fusion_bias))


def _routed_experts(
    x: Tensor,
    linear_weight: Tensor,
    linear_scale: Tensor,
    linear_bias: Tensor,
    norm_scale: Tensor,
    norm_shift: Tensor,
    router_weight: Tensor,
    router_scale: Tensor,
    router_bias: Tensor,
    choice_weight: Tensor,
    choice_bias: Tensor,
    attention_weight: Tensor,
    attention_bias: Tensor,
    focal_weight: Tensor,
    focal_bias: Tensor,
) -> tuple[Tensor, Tensor]:
    """A router and the two experts that it chooses. The kernel runs no others; this runs all.

    Args:
        x: the fused vector (B, width).
        linear_weight, linear_scale, linear_bias: (rows, width), (rows,), (rows,): all that is linear in `x`. First
            the router's attention (width rows), then the experts': attention (3 width), focal (3 width / 2), deep
            (2 labels).
        norm_scale, norm_shift: (width,), of the router's LayerNorm.
        router_weight, router_scale, router_bias: (width / 2, width), (width / 2,), (width / 2,).
        choice_weight, choice_bias: (8, width / 2) and (8,).
        attention_weight, attention_bias: (3, labels, width) and (3, labels).
        focal_weight, focal_bias: (3, labels, width / 2) and (3, labels).

    Returns:
        logits (B, labels) and weights (B, 8), 0 of the experts that weren't chosen.
    """
    width, labels = x.shape[1], attention_bias.shape[1]
    sizes = [width, ATTENTION_EXPERTS * width, FOCAL_EXPERTS * width // 2, DEEP_EXPERTS * labels]
    router, attended, focused, answered = _dense(x, linear_weight, linear_scale, linear_bias).split(sizes, dim=1)
    router = F.layer_norm(router, (width,), norm_scale, norm_shift)
    hidden = F.gelu(_dense(router, router_weight, router_scale, router_bias))
    weights = top_experts(F.linear(hidden, choice_weight, choice_bias))
    attended = F.layer_norm(attended.unflatten(1, (ATTENTION_EXPERTS, width)), (width,))
    focused = F.gelu(focused.unflatten(1, (FOCAL_EXPERTS, width // 2)))
    answers = torch.cat(
        (
            (attention_weight @ attended.unsqueeze(3)).squeeze(3) + attention_bias,
            (focal_weight @ focused.unsqueeze(3)).squeeze(3) + focal_bias,
            answered.unflatten(1, (DEEP_EXPERTS, labels)),
        ),
        1,
    )
    return mix_experts(weights, answers[:, EXPERT_ORDER]), weights


def _dense(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return (x @ weight.float().T) * scale + bias


COMPUTE: dict[str, Callable[..., Tensor | tuple[Tensor, Tensor]]] = {
    "McoMamba": _mco_mamba,
    "Mcib": _mcib,
    "RoutedExperts": _routed_experts,
}
"""What each operator computes, by its name in ONNX."""

mco_mamba = torch.library.custom_op("canthus::mco_mamba", _mco_mamba, mutates_args=())
mcib = torch.library.custom_op("canthus::mcib", _mcib, mutates_args=())
routed_experts = torch.library.custom_op("canthus::routed_experts", _routed_experts, mutates_args=())


@mco_mamba.register_fake
def _(x: Tensor, *_weights: Tensor) -> Tensor:
    return torch.empty_like(x)


@mcib.register_fake
def _(x: Tensor, *weights: Tensor) -> Tensor:
    return x.new_empty((x.shape[0], weights[-1].shape[0]))


@routed_experts.register_fake
def _(x: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
    labels, experts = weights[-1].shape[1], len(EXPERT_ORDER)
    return x.new_empty((x.shape[0], labels)), x.new_empty((x.shape[0], experts))
