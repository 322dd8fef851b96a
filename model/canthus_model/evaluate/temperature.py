"""The temperature that makes a model's probabilities honest."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from canthus.confidence import COOLEST, HOTTEST, Temperature

_CALM = 1e-4


def fit_temperature(
    logits: NDArray[np.floating], contrast: NDArray[np.float32], label: NDArray[np.int64]
) -> Temperature:
    """The temperature with the least log loss (Guo et al. 2017), and how it goes with the contrast of the frames.

    Args:
        logits: (N, labels).
        contrast: (N,), of the last moment's frames.
        label: (N,).
    """
    frames = torch.from_numpy(np.stack([np.ones_like(contrast), contrast], 1).astype(np.float64))
    given, wanted = torch.from_numpy(logits.astype(np.float64)), torch.from_numpy(label)
    fitted = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([fitted], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        scaled = given / torch.exp(frames @ fitted).clamp(COOLEST, HOTTEST)[:, None]
        # Nearly nothing, so that clips of one contrast alone have one answer.
        found = F.cross_entropy(scaled, wanted) + _CALM * fitted.square().sum()
        found.backward()
        return found

    optimizer.step(loss)
    offset, slope = (round(value, 4) for value in fitted.tolist())
    return Temperature(offset, slope)
