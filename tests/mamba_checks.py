"""What tests of Mamba networks share: weights that aren't fresh, answers that are close, a language model's logits."""

import torch
from torch import nn


def randomised(module, by=0.2):
    """In evaluation mode, each weight moved by a random number of that spread."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by * torch.randn_like(parameter))
    return module.eval()


def close(found, expected, within=1e-5):
    return found.shape == expected.shape and (found - expected).abs().max() <= within * expected.abs().max()


class Logits(nn.Module):
    """A language model of transformers, which returns its logits alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens):
        return self.model(tokens, use_cache=False).logits
