"""A network without one of its parts, by hooks that are gone afterwards; its own arithmetic isn't touched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from canthus_model.network import MCOENet


@contextlib.contextmanager
def without_mamba(network: MCOENet) -> Iterator[None]:
    """MCO-Mamba gives zero. It stands beside a residual, so MCIB gets the encoders' tokens as they are."""
    with _answering(network.MCO, lambda _module, given, _out: tuple(torch.zeros_like(tokens) for tokens in given)):
        yield


@contextlib.contextmanager
def deaf_mamba(network: MCOENet) -> Iterator[None]:
    """Each modality goes through MCO-Mamba beside tokens of zero in place of the other one's.

    What it peeps at is then the same for every clip: the projections of a convolution's bias. Its own B, C and delta
    stay, and so does all of MCIB, where the modalities meet again.
    """

    def alone(module: nn.Module, given: tuple[Tensor, Tensor], _out: object) -> tuple[Tensor, Tensor]:
        frame, event = given
        # `forward`, since calling the module would call this hook again
        return module.forward(frame, torch.zeros_like(event))[0], module.forward(torch.zeros_like(frame), event)[1]

    with _answering(network.MCO, alone):
        yield


@contextlib.contextmanager
def without_attention(network: MCOENet) -> Iterator[None]:
    """MCIB's attention gives zero, both times it is used; what is left of MCIB is the mean of its two projections."""

    def nothing(_module: nn.Module, given: tuple[Tensor, ...], _out: object) -> tuple[Tensor, None]:
        return torch.zeros_like(given[0]), None

    with _answering(network.MCIB.attn, nothing):
        yield


class Part(NamedTuple):
    """A part of the network that can be done without.

    Attributes:
        row: what a table calls the network without it.
        name: what it is called.
        taken_from: the network is without it inside a `with` of this.
    """

    row: str
    name: str
    taken_from: Callable[[MCOENet], contextlib.AbstractContextManager[None]]


PARTS = (
    Part("without MCO-Mamba", "MCO-Mamba", without_mamba),
    Part("MCO-Mamba, modalities apart", "what MCO-Mamba sees of the other modality", deaf_mamba),
    Part("without MCIB's attention", "MCIB's attention", without_attention),
)


@contextlib.contextmanager
def _answering(module: nn.Module, hook: Callable[..., object]) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
