"""Is the synthetic data set hard enough to mean something?

    python benchmarks/synthetic_see.py SEE CHECKPOINT

prints, for the testing subset of SEE (as `canthus synthesize --like see` writes it):

- the UAR of a logistic regression on each sequence's mean frame, mean event image, and both, which shows how far
  one gets without looking at how a face is built or moves;
- what CHECKPOINT, trained on both modalities, and the same network trained on frames alone reach in each lighting.

Training on frames alone takes as long as training did. What it writes goes to a temporary folder.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Dataset

from canthus_model.config import NO_EVENT
from canthus_model.evaluate.figures import Figures, figures
from canthus_model.evaluate.models import open_model
from canthus_model.evaluate.runs import Model, evaluate
from canthus_model.see.annotation import TESTING, TRAINING
from canthus_model.see.dataset import See, Sequence, image_path, open_see
from canthus_model.see.moments import Clips, Sample
from canthus_model.see.names import LIGHTINGS
from canthus_model.train.recipe import PRESETS
from canthus_model.train.run import train

MEAN_SIZE = (33, 25)  # width and height of a mean image, pixels


def mean_images(sequence: Sequence) -> NDArray[np.float32]:
    """The mean frame and the mean event image of a sequence, as one vector."""
    means = []
    for folder in (sequence.frame, sequence.event):
        images = []
        for number in range(*sequence.entry.segment):
            with Image.open(image_path(folder, number)) as image:
                images.append(np.asarray(image.resize(MEAN_SIZE, Image.Resampling.BOX), np.float32))
        means.append(np.mean(images, axis=0).ravel())
    return np.concatenate(means)


def logistic_regressions(training: See, testing: See) -> dict[str, float]:
    """UAR on `testing`, in percent, of what is regressed on."""
    with ProcessPoolExecutor() as pool:
        known, unseen = (
            np.stack(list(pool.map(mean_images, see.sequences, chunksize=16))) for see in (training, testing)
        )
    pixels = MEAN_SIZE[0] * MEAN_SIZE[1]
    parts = {"mean frames": np.s_[:, :pixels], "mean event images": np.s_[:, pixels:], "both": np.s_[:, :]}
    return {name: regress(training, testing, known[part], unseen[part]) for name, part in parts.items()}


def regress(training: See, testing: See, known: NDArray[np.float32], unseen: NDArray[np.float32]) -> float:
    """UAR in percent; the regularisation is chosen by cross-validation over training volunteers."""
    volunteers = [sequence.entry.parts.volunteer for sequence in training.sequences]
    folds = list(GroupKFold(4).split(known, groups=volunteers))
    regression = LogisticRegressionCV(
        Cs=np.logspace(-5, -1, 5),
        cv=folds,
        scoring="balanced_accuracy",
        max_iter=500,
        l1_ratios=(0,),
        use_legacy_attributes=False,
    )
    model = make_pipeline(StandardScaler(), regression)
    model.fit(known, [sequence.label for sequence in training.sequences])
    true = [sequence.label for sequence in testing.sequences]
    return 100 * recall_score(true, model.predict(unseen), average="macro")


class FramesAlone(Dataset[Sample]):
    """Clips whose event images show nothing."""

    def __init__(self, clips: Clips) -> None:
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        sample = self._clips[key]
        sample.event.fill_(NO_EVENT)
        return sample


class BlindToEvents:
    """A model that is shown frames and, for event images, nothing."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def probabilities(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> NDArray[np.floating]:
        return self._model.probabilities(frame, np.full_like(event, NO_EVENT))


def train_on_frames(training: See, testing: See, folder: Path) -> Path:
    """The small network, trained as `canthus train --preset small` does but without events."""
    config, recipe = PRESETS["small"]
    clips = Clips(training, keep=True)
    shown, looked_at = FramesAlone(clips), FramesAlone(Clips(testing, middle=True, keep=True))
    config = replace(config, image_size=clips.image_size)
    return train(shown, looked_at, training.labels, folder / "frames", config, recipe)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("see", type=Path)
    parser.add_argument("checkpoint", type=Path)
    arguments = parser.parse_args()
    training, testing = open_see(arguments.see, TRAINING), open_see(arguments.see, TESTING)
    for name, uar in logistic_regressions(training, testing).items():
        print(f"logistic regression on {name}: UAR {uar:.1f} %", flush=True)

    def figures_of(checkpoint: Path, *, frames_alone: bool) -> Figures:
        model = open_model(checkpoint, testing.labels, Clips(testing).image_size)
        return figures(evaluate(BlindToEvents(model) if frames_alone else model, testing))

    both = figures_of(arguments.checkpoint, frames_alone=False)
    with tempfile.TemporaryDirectory() as folder:
        frames = figures_of(train_on_frames(training, testing, Path(folder)), frames_alone=True)
    print(f"{'UAR, %':<14}{'both':>12}{'frames alone':>16}{'difference':>12}")
    rows = [("all", both.uar, frames.uar)]
    rows += [(name, both.lighting_uar[name], frames.lighting_uar[name]) for name in LIGHTINGS]
    for name, one, other in rows:
        print(f"{name:<14}{one!s:>12}{other!s:>16}{one.mean - other.mean:>12.1f}")


if __name__ == "__main__":
    main()
