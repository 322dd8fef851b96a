"""Three designs of Mamba networks, as people publish them; `mamba_ssm` must be there, or what stands in for it."""

import torch
import torch.nn.functional as F
from mamba_ssm import Mamba
from mamba_ssm.ops.selective_scan_interface import mamba_inner_fn_no_out_proj, selective_scan_fn
from torch import nn


def scan_in_blocks(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, return_last_state=False):
    """A function of a network's own, called as mamba_ssm's is; only its CUDA kernel is missing."""
    raise RuntimeError("CUDA only")


class Plain(nn.Module):
    """Blocks of Mamba behind RMS norms, one direction: (B, L, 24) to the same."""

    def __init__(self, width=24, blocks=2):
        super().__init__()
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(blocks))
        self.mixers = nn.ModuleList(Mamba(width) for _ in range(blocks))

    def forward(self, tokens):
        for norm, mixer in zip(self.norms, self.mixers, strict=True):
            tokens = tokens + mixer(norm(tokens))
        return tokens


class Vision(nn.Module):
    """Patches with a class token in the middle, both directions behind one projection: (B, 3, 32, 32) to (B, 10)."""

    def __init__(self, width=16, states=8, rank=2):
        super().__init__()
        channels = 2 * width
        self.patch = nn.Conv2d(3, width, 8, 8)
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 17, width))
        self.norm = nn.LayerNorm(width)
        self.in_proj = nn.Linear(width, 2 * channels, bias=False)
        self.conv1d, self.conv1d_b = (nn.Conv1d(channels, channels, 4, groups=channels) for _ in range(2))
        self.x_proj, self.x_proj_b = (nn.Linear(channels, rank + 2 * states, bias=False) for _ in range(2))
        self.dt_proj, self.dt_proj_b = (nn.Linear(rank, channels) for _ in range(2))
        self.A_log, self.A_b_log = (nn.Parameter(torch.rand(channels, states)) for _ in range(2))
        self.D, self.D_b = (nn.Parameter(torch.randn(channels)) for _ in range(2))
        self.out_proj, self.head = nn.Linear(channels, width, bias=False), nn.Linear(width, 10)

    def forward(self, images):
        tokens = self.patch(images).flatten(2).transpose(1, 2)
        middle = tokens.shape[1] // 2
        class_token = self.class_token.expand(len(images), -1, -1)
        tokens = torch.cat((tokens[:, :middle], class_token, tokens[:, middle:]), 1) + self.position
        xz = self.in_proj(self.norm(tokens)).transpose(1, 2)
        y = mamba_inner_fn_no_out_proj(
            xz, self.conv1d.weight, self.conv1d.bias, self.x_proj.weight, self.dt_proj.weight,
            -torch.exp(self.A_log), None, None, self.D, delta_bias=self.dt_proj.bias, delta_softplus=True,
        )  # fmt: skip
        y_b = mamba_inner_fn_no_out_proj(
            xz.flip([-1]), self.conv1d_b.weight, self.conv1d_b.bias, self.x_proj_b.weight, self.dt_proj_b.weight,
            -torch.exp(self.A_b_log), None, None, self.D_b, delta_bias=self.dt_proj_b.bias, delta_softplus=True,
        )  # fmt: skip
        tokens = tokens + F.linear((y + y_b.flip([-1])).transpose(1, 2), self.out_proj.weight)
        return self.head(tokens[:, middle])


class FourDirections(nn.Module):
    """An image scanned along rows and columns, there and back: (B, H, W, 12) to the same."""

    def __init__(self, width=12, states=4, rank=2, own_scan=False):
        super().__init__()
        channels = 2 * width
        self.states, self.rank, self.own_scan = states, rank, own_scan
        self.in_proj = nn.Linear(width, 2 * channels, bias=False)
        self.conv2d = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.x_proj_weight = nn.Parameter(0.2 * torch.randn(4, rank + 2 * states, channels))
        self.dt_projs_weight = nn.Parameter(torch.randn(4, channels, rank))
        self.dt_projs_bias = nn.Parameter(torch.randn(4, channels) - 2)
        self.A_logs = nn.Parameter(torch.rand(4 * channels, states))
        self.Ds = nn.Parameter(torch.randn(4 * channels))
        self.out_norm, self.out_proj = nn.LayerNorm(channels), nn.Linear(channels, width, bias=False)

    def forward(self, image):
        x, z = self.in_proj(image).chunk(2, dim=-1)
        x = F.silu(self.conv2d(x.permute(0, 3, 1, 2)))
        batch, channels, height, width = x.shape
        rows, columns = x.flatten(2), x.transpose(2, 3).flatten(2)
        there = torch.stack((rows, columns), 1)
        every = torch.cat((there, there.flip([-1])), 1)
        projected = torch.einsum("b k d l, k c d -> b k c l", every, self.x_proj_weight)
        dt, B, C = projected.split([self.rank, self.states, self.states], dim=2)
        dt = torch.einsum("b k r l, k d r -> b k d l", dt, self.dt_projs_weight)
        scan = scan_in_blocks if self.own_scan else selective_scan_fn
        y = scan(
            every.reshape(batch, 4 * channels, -1),
            dt.reshape(batch, 4 * channels, -1),
            -torch.exp(self.A_logs),
            B,
            C,
            self.Ds,
            z=None,
            delta_bias=self.dt_projs_bias.flatten(),
            delta_softplus=True,
        ).unflatten(1, (4, channels))
        there = y[:, :2] + y[:, 2:].flip([-1])
        y = there[:, 0] + there[:, 1].unflatten(2, (width, height)).transpose(2, 3).flatten(2)
        y = self.out_norm(y.transpose(1, 2)).unflatten(1, (height, width))
        return self.out_proj(y * F.silu(z))


class Streaming(nn.Module):
    """One token at a time, its states in and out."""

    def __init__(self, mamba):
        super().__init__()
        self.mamba = mamba

    def forward(self, token, conv_state, ssm_state):
        return self.mamba.step(token, conv_state, ssm_state)
