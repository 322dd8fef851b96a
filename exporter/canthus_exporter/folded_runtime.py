"""The folded network in PyTorch, behind the face of a runtime, so that it is verified as the others are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from canthus.network import PartsNetwork
from canthus.parts import ENCODERS, HEAD
from canthus.runtimes import Floats, Images


def folded_runtime(parts: nn.ModuleDict) -> PartsNetwork:
    """The network of parts as `fold` gives them."""
    encoders = {part: _Part(parts[part]) for part in ENCODERS}
    return PartsNetwork("pytorch", encoders, _Part(parts[HEAD]), at_once=False)


class _Part:
    def __init__(self, module: nn.Module) -> None:
        self._module = module

    @torch.inference_mode()
    def encode(self, images: Images) -> Floats:
        features: Floats = self._module(torch.from_numpy(images)).numpy()
        return features

    @torch.inference_mode()
    def answer(self, features: Sequence[Floats]) -> list[Floats]:
        return [output.numpy() for output in self._module(*map(torch.from_numpy, features))]
