"""A data set of SEE's layout, made in a moment: pictures of nothing, for tests of all that isn't about pictures."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from canthus_model.config import LABELS
from canthus_model.see.names import LIGHTINGS


def make_see(root: Path, sequences: int = 8, frames: int = 24, size: tuple[int, int] = (64, 48)) -> Path:
    """Write `sequences` for each of the two subsets into `root`; labels and lightings take turns.

    The frames of one label share a bright bar, so that a network can tell the labels apart.
    """
    random = np.random.default_rng(0)
    database = {}
    for number in range(2 * sequences):
        label, lighting = LABELS[number % 7], LIGHTINGS[number % 4]
        name = f"{number + 1}_{number:03}_man_24_Master_{lighting}_{label}_{frames}_take000"
        subset = "training" if number < sequences else "testing"
        database[name] = {"subset": subset, "annotations": {"label": label, "segment": [0, frames]}}
        for kind in ("frame", "event"):
            folder = root / kind / label / name
            folder.mkdir(parents=True)
            for place in range(frames):
                image = random.integers(100, 150, (size[1], size[0]), np.uint8)
                image[:, number % 7 * 8 : number % 7 * 8 + 8] = 240
                Image.fromarray(image).save(folder / f"{place:05}.jpg", quality=90)
    (root / "emotion.json").write_text(json.dumps({"labels": list(LABELS), "database": database}))
    return root
