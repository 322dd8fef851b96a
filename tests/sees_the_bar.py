"""A model that reads labels from the pictures of `see_folder.make_see`."""

import numpy as np

from canthus.parts import ENCODERS
from canthus_model.evaluate.ablation.models import Answers


class SeesTheBar:
    """Reads a label from the bright bar in each image of `make_see`, and lets some of the images vote."""

    def __init__(self, *images, experts=range(8)):
        self.images, self.experts, self.shown = images, list(experts), []

    def encode(self, frame, event):
        self.shown.append((frame, event))
        centres = [round((n * 8 + 4) * 100 / 64) for n in range(7)]
        bars = [images[:, moment].mean(1)[:, centres] for moment in (0, 1) for images in (frame, event)]
        return {name: np.float32(bar == bar.max(1, keepdims=True)) for name, bar in zip(ENCODERS, bars, strict=True)}

    def answer(self, features):
        label = sum(features[image] for image in self.images).argmax(1)
        asked = np.zeros((len(label), 8), bool)
        for turn in range(2):
            asked[np.arange(len(label)), [self.experts[(2 * n + turn) % len(self.experts)] for n in label]] = True
        return Answers(label, asked)
