"""UAR, the unweighted average recall: each label counts alike, however many clips show it."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix


def unweighted_recall(confusion: Tensor) -> Tensor:
    """The mean of the recalls of the labels that there are, from counts (L, L) by true and predicted label."""
    clips = confusion.sum(1)
    return (confusion.diag() / clips)[clips > 0].mean()


class UnweightedRecall(MulticlassConfusionMatrix):
    """UAR of all that it was given, in all processes together."""

    def compute(self) -> Tensor:
        return unweighted_recall(super().compute())
