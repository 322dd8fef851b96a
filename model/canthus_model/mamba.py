"""MCO-Mamba: one selective scan a modality, in both directions, joined by "peeping" at each other."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from canthus_model.config import CONVOLUTION_LENGTH, INNER_CHANNELS, STATES, TOKEN_WIDTH
from canthus_model.selective_scan import selective_scan

MODALITIES = ("rgb", "event")
"""What a checkpoint calls the two modalities; `rgb` are the (grey) frames."""


class Direction(NamedTuple):
    """How the checkpoint names the tensors of one scan direction."""

    conv1d: str
    x_proj: str
    dt_proj: str
    A_log: str
    D: str
    peep_B: str
    peep_C: str


FORWARD = Direction("conv1d_{}", "x_proj_{}", "dt_proj_{}", "A_log_{}", "D_{}", "x_proj_peep", "x_proj_Cpeep")
BACKWARD = Direction(
    "conv1d_b_{}", "x_proj_b_{}", "dt_proj_b_{}", "A_b_log_{}", "D_b_{}", "x_proj_b_peep", "x_proj_b_Cpeep"
)
PROJECTED = 1 + 2 * STATES
"""Rows of x_proj: one for delta, then B and C."""


@functools.cache
def scan_for(device: str) -> Callable[..., Tensor]:
    """The selective scan to use on a type of device: on GPUs mamba_ssm's kernel where it is installed."""
    if device == "cuda":
        try:
            from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
        except ImportError:
            return selective_scan
        return selective_scan_fn
    return selective_scan


class CrossModalMamba(nn.Module):
    """Tokens of both modalities, (B, L, 4) each, to the same shapes; the residual is not added here.

    Attribute names are those of the published checkpoints. `A_log_rgb`, `A_b_log_rgb`, `dt_proj_b_*.bias`,
    `norm_*`, `in_proj_extra` and `fusion_gate` are in them and never read.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = INNER_CHANNELS
        for modality in MODALITIES:
            self.add_module(f"in_proj_{modality}", nn.Linear(TOKEN_WIDTH, 2 * channels, bias=False))
            self.add_module(f"norm_{modality}", nn.LayerNorm(channels))
            self.add_module(f"out_proj_{modality}", nn.Linear(channels, TOKEN_WIDTH, bias=False))
            for names in (FORWARD, BACKWARD):
                self._add_scan(names, modality)
        for names in (FORWARD, BACKWARD):
            self.add_module(names.peep_B, nn.Linear(2 * PROJECTED, STATES, bias=False))
            self.add_module(names.peep_C, nn.Linear(2 * PROJECTED, STATES, bias=False))
        self.in_proj_extra = nn.Linear(TOKEN_WIDTH, 2 * channels, bias=False)
        self.fusion_gate = nn.Sequential(nn.Linear(channels, 16), nn.ReLU(), nn.Linear(16, 2))

    def _add_scan(self, names: Direction, modality: str) -> None:
        channels = INNER_CHANNELS
        convolution = nn.Conv1d(channels, channels, CONVOLUTION_LENGTH, groups=channels, padding=CONVOLUTION_LENGTH - 1)
        self.add_module(names.conv1d.format(modality), convolution)
        self.add_module(names.x_proj.format(modality), nn.Linear(channels, PROJECTED, bias=False))
        dt_proj = nn.Linear(1, channels)
        with torch.no_grad():  # softplus(bias) is uniform in the logarithm of 1e-3 .. 1e-1, as in Mamba
            delta = torch.exp(torch.empty(channels).uniform_(math.log(1e-3), math.log(1e-1)))
            dt_proj.bias.copy_(delta + torch.log(-torch.expm1(-delta)))
        self.add_module(names.dt_proj.format(modality), dt_proj)
        A_log = torch.log(torch.arange(1, STATES + 1, dtype=torch.float32)).repeat(channels, 1)
        self.register_parameter(names.A_log.format(modality), nn.Parameter(A_log))
        self.register_parameter(names.D.format(modality), nn.Parameter(torch.ones(channels)))

    def forward(self, frame: Tensor, event: Tensor) -> tuple[Tensor, Tensor]:
        tokens = (frame, event)
        projected = [getattr(self, f"in_proj_{m}")(x).transpose(1, 2) for m, x in zip(MODALITIES, tokens, strict=True)]
        x, z = zip(*(p.chunk(2, dim=1) for p in projected), strict=True)
        forward = self._scan(FORWARD, x, z)
        backward = self._scan(BACKWARD, [t.flip(2) for t in x], [t.flip(2) for t in z])
        out = [
            getattr(self, f"out_proj_{m}")(((f + b.flip(2)) / 2).transpose(1, 2))
            for m, f, b in zip(MODALITIES, forward, backward, strict=True)
        ]
        return out[0], out[1]

    def _scan(self, names: Direction, x: list[Tensor], z: list[Tensor]) -> list[Tensor]:
        """Both modalities in one direction: x, z and the result (B, channels, L) each."""
        length = x[0].shape[2]
        u = [F.silu(getattr(self, names.conv1d.format(m))(t)[..., :length]) for m, t in zip(MODALITIES, x, strict=True)]
        p = [getattr(self, names.x_proj.format(m)).weight @ t for m, t in zip(MODALITIES, u, strict=True)]
        joint = torch.cat(p, dim=1)
        peep_B = getattr(self, names.peep_B).weight @ joint
        peep_C = getattr(self, names.peep_C).weight @ joint
        # Published checkpoints were trained with the event's A in both modalities, and with the forward
        # direction's delta bias in both directions.
        A = -torch.exp(getattr(self, names.A_log.format("event")))
        scan = scan_for(x[0].device.type)
        return [
            scan(
                u[i],
                getattr(self, names.dt_proj.format(m)).weight @ p[i][:, :1],
                A,
                p[i][:, 1 : 1 + STATES] + peep_B,
                p[i][:, 1 + STATES :] + peep_C,
                getattr(self, names.D.format(m)),
                z=z[i],
                delta_bias=getattr(self, FORWARD.dt_proj.format(m)).bias,
                delta_softplus=True,
            )
            for i, m in enumerate(MODALITIES)
        ]


class MCOMamba(nn.Module):
    """The level that the checkpoint's names have around the Mamba."""

    def __init__(self) -> None:
        super().__init__()
        self.cross_matrix_mamba = CrossModalMamba()

    def forward(self, frame: Tensor, event: Tensor) -> tuple[Tensor, Tensor]:
        return self.cross_matrix_mamba(frame, event)
