"""A small network with random weights, drawn as those of the parity cases are."""

import torch
import weights

from canthus_model.config import SMALL
from canthus_model.network import MCOENet


def make_small_network(seed: int = 0) -> MCOENet:
    network = MCOENet(SMALL)
    network.load_state_dict(
        {
            name: torch.as_tensor(weights.draw(name, tuple(tensor.shape), seed))
            for name, tensor in network.state_dict().items()
        }
    )
    return network.eval().requires_grad_(False)
