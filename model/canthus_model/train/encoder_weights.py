"""Encoders that start from a trained ResNet-18, as the published ones started from ImageNet's."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from canthus.errors import CheckpointError, TrainingError
from canthus_model.checkpoint import is_state_dict, read_checkpoint
from canthus_model.config import FRAME, NetworkConfig
from canthus_model.encoder import Encoder
from canthus_model.network import MCOENet


def start_encoders(network: MCOENet, path: Path | str) -> None:
    """Give all four encoders the weights in `path`; raises as `read_encoder_weights`."""
    state = read_encoder_weights(network.config, path)
    for encoder in (network.res00, network.res01, network.res10, network.res11):
        encoder.resnet.load_state_dict(state)


def read_encoder_weights(config: NetworkConfig, path: Path | str) -> dict[str, Tensor]:
    """The weights in `path`: torchvision's ResNet-18, saved as a state dict.

    Raises:
        TrainingError: the network isn't of the paper's size.
        CheckpointError: not a state dict, or one of another network.
    """
    if config.encoder_width != 64 or config.features != 1000:
        raise TrainingError("--encoder-weights are a ResNet-18's, which only the encoders of --preset paper are")
    with torch.device("meta"):
        expected = Encoder(config, FRAME).resnet.state_dict()
    state = read_checkpoint(path)
    if not is_state_dict(state) or {n: t.shape for n, t in state.items()} != {n: t.shape for n, t in expected.items()}:
        raise CheckpointError(f"{path}: not a ResNet-18; give the state dict of torchvision's resnet18, with its fc")
    return state
