"""The norms that Mamba networks call, in the place of `mamba_ssm`'s of Triton, as PyTorch operations.

`layer_norm_fn` and `rms_norm_fn` add the residual first; the gated ones, `layernorm_fn` and `rmsnorm_fn`, multiply by a
gate. Arithmetic is float32, or float64 where that comes in.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from canthus.errors import ExportError


def rms_norm(x: Tensor, weight: Tensor, eps: float, bias: Tensor | None = None) -> Tensor:
    """x (..., width) over the root of its mean square, times weight (width,), plus bias; of x's dtype."""
    y = _over_root_mean_square(wide(x), eps) * weight
    return (y if bias is None else y + bias).to(x.dtype)


def layer_norm_fn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None = None,
    x1: None = None,
    weight1: None = None,
    bias1: None = None,
    eps: float = 1e-6,
    dropout_p: float = 0.0,
    rowscale: None = None,
    prenorm: bool = False,
    residual_in_fp32: bool = False,
    is_rms_norm: bool = False,
    return_dropout_mask: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The norm of x plus residual, each (..., width); of x's dtype.

    Args:
        prenorm: whether to return the sum too, in the dtype of `residual`.
        residual_in_fp32: whether the sum is float32 where there is no residual yet.
        is_rms_norm: whether it is an RMS norm, without a mean.

    Raises:
        ExportError: dropout, a second norm or a scale for each row is asked for.
    """
    refused = {"x1": x1, "weight1": weight1, "bias1": bias1, "rowscale": rowscale}
    others = [name for name, value in refused.items() if value is not None]
    if dropout_p or return_dropout_mask:
        others.append("dropout")
    if others:
        raise ExportError(f"layer_norm_fn: {', '.join(others)} isn't supported; export without")
    total = x if residual is None else (wide(x) + residual).to(residual.dtype)
    if residual is None and residual_in_fp32:
        total = wide(x)
    if is_rms_norm:
        y = rms_norm(total, weight, eps, bias)
    else:
        y = F.layer_norm(wide(total), total.shape[-1:], weight, bias, eps)
    return (y.to(x.dtype), total) if prenorm else y.to(x.dtype)


def rms_norm_fn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None = None,
    x1: None = None,
    weight1: None = None,
    bias1: None = None,
    eps: float = 1e-6,
    dropout_p: float = 0.0,
    rowscale: None = None,
    prenorm: bool = False,
    residual_in_fp32: bool = False,
    return_dropout_mask: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """As `layer_norm_fn`, of an RMS norm."""
    return layer_norm_fn(
        *(x, weight, bias, residual, x1, weight1, bias1, eps, dropout_p, rowscale, prenorm, residual_in_fp32, True),
        return_dropout_mask,
    )


def layer_norm_linear_fn(
    x: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor | None,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    residual: Tensor | None = None,
    eps: float = 1e-6,
    prenorm: bool = False,
    residual_in_fp32: bool = False,
    is_rms_norm: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """As `layer_norm_fn`, with a projection behind it."""
    y, total = layer_norm_fn(
        *(x, norm_weight, norm_bias, residual),
        eps=eps,
        prenorm=True,
        residual_in_fp32=residual_in_fp32,
        is_rms_norm=is_rms_norm,
    )
    y = F.linear(y, linear_weight, linear_bias)
    return (y, total) if prenorm else y


def layernorm_fn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    z: Tensor | None = None,
    eps: float = 1e-6,
    group_size: int | None = None,
    norm_before_gate: bool = True,
    is_rms_norm: bool = False,
) -> Tensor:
    """The norm of x (..., width), in groups of `group_size` neighbours, times SiLU of z before or behind it."""
    y = wide(x)
    if z is not None and not norm_before_gate:
        y = y * F.silu(wide(z))
    y = y.unflatten(-1, (-1, group_size or x.shape[-1]))
    if not is_rms_norm:
        y = y - y.mean(-1, keepdim=True)
    y = _over_root_mean_square(y, eps).flatten(-2) * weight
    y = y if bias is None else y + bias
    if z is not None and norm_before_gate:
        y = y * F.silu(wide(z))
    return y.to(x.dtype)


def rmsnorm_fn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    z: Tensor | None = None,
    eps: float = 1e-6,
    group_size: int | None = None,
    norm_before_gate: bool = True,
) -> Tensor:
    """As `layernorm_fn`, of an RMS norm."""
    return layernorm_fn(x, weight, bias, z, eps, group_size, norm_before_gate, True)


class RMSNorm(nn.Module):
    """`mamba_ssm.ops.triton.layer_norm.RMSNorm`: x (..., width) and its residual as `rms_norm_fn` takes them."""

    def __init__(
        self, hidden_size: int, eps: float = 1e-5, dropout_p: float = 0.0, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(hidden_size, device=device, dtype=dtype))
        self.register_parameter("bias", None)

    def forward(
        self, x: Tensor, residual: Tensor | None = None, prenorm: bool = False, residual_in_fp32: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        return rms_norm_fn(
            x, self.weight, None, residual, eps=self.eps, prenorm=prenorm, residual_in_fp32=residual_in_fp32
        )


class GatedLayerNorm(nn.Module):
    """`mamba_ssm.ops.triton.layernorm_gated.LayerNorm`: x and the gate z, both (..., width)."""

    is_rms_norm = False

    def __init__(
        self,
        hidden_size: int,
        eps: float = 1e-5,
        group_size: int | None = None,
        norm_before_gate: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.eps, self.group_size, self.norm_before_gate = eps, group_size, norm_before_gate
        self.weight = nn.Parameter(torch.ones(hidden_size, device=device, dtype=dtype))
        bias = None if self.is_rms_norm else nn.Parameter(torch.zeros(hidden_size, device=device, dtype=dtype))
        self.register_parameter("bias", bias)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        return layernorm_fn(
            *(x, self.weight, self.bias, z, self.eps, self.group_size, self.norm_before_gate, self.is_rms_norm)
        )


class GatedRMSNorm(GatedLayerNorm):
    """`mamba_ssm.ops.triton.layernorm_gated.RMSNorm`."""

    is_rms_norm = True


def _over_root_mean_square(x: Tensor, eps: float) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


def wide(x: Tensor) -> Tensor:
    """In float32, or as it is in float64."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()
