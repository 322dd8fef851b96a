"""Is the synthetic data set hard enough to mean something?

    python benchmarks/synthetic_see.py SEE CHECKPOINT [CHECKPOINT ...] --alone FOLDER

prints, for the testing subset of SEE (as `canthus synthesize --like see` writes it):

- the UAR of a logistic regression on each sequence's mean frame, mean event image, and both, which shows how far
  one gets without looking at how a face is built or moves;
- what each CHECKPOINT, trained on both modalities, and the same network trained on frames alone and on events alone
  reach in each lighting, with half of the interval that holds 95 % of what comes out if the volunteers are drawn anew;
  and what each CHECKPOINT reaches if it is shown frames alone or events alone;
- of several checkpoints, which other seeds gave, mean and standard deviation.

The two trainings are as `make checkpoint` trains, with the same volunteers held back to choose an epoch by, and take as
long; they run side by side, by one thread each. Their checkpoints are kept in FOLDER, and are taken from there if it
has them.
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Dataset

from canthus_model.config import NO_EVENT
from canthus_model.evaluate.ablation.panel import Estimate, Panel, estimate
from canthus_model.evaluate.models import open_model
from canthus_model.evaluate.runs import Model, evaluate
from canthus_model.see.annotation import TESTING, TRAINING
from canthus_model.see.dataset import See, Sequence, image_path, open_see
from canthus_model.see.moments import Clips, Sample
from canthus_model.see.names import LIGHTINGS
from canthus_model.train.best import BEST
from canthus_model.train.recipe import PRESETS
from canthus_model.train.run import train
from canthus_model.train.volunteers import draw_volunteers, hold_back

MEAN_SIZE = (33, 25)  # width and height of a mean image, pixels
MODALITIES = ("frame", "event")
RUNS = 5  # clips of each testing sequence
HELD_BACK = 12  # training volunteers, as `make checkpoint` does


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


class Alone(Dataset[Sample]):
    """Clips of which one modality shows nothing."""

    def __init__(self, clips: Clips, modality: str) -> None:
        self._clips, self._modality = clips, modality

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        sample = self._clips[key]
        if self._modality == "frame":
            sample.event.fill_(NO_EVENT)
        else:
            sample.frame.fill_(0)
        return sample


class Shown:
    """A model that is shown one modality, and of the other nothing."""

    def __init__(self, model: Model, modality: str) -> None:
        self._model, self._modality = model, modality

    def probabilities(self, frame: NDArray[np.uint8], event: NDArray[np.uint8]) -> NDArray[np.floating]:
        if self._modality == "frame":
            return self._model.probabilities(frame, np.full_like(event, NO_EVENT))
        return self._model.probabilities(np.zeros_like(frame), event)


def checkpoint(folder: Path, modality: str) -> Path:
    return folder / modality / BEST


def train_alone(root: Path, folder: Path, modality: str) -> None:
    """The small network, trained as `canthus train --preset small` does but without the other modality."""
    torch.set_num_threads(1)
    see = open_see(root, TRAINING)
    volunteers = draw_volunteers([sequence.entry for sequence in see.sequences], HELD_BACK, seed=0)
    training, held_back = hold_back(see, volunteers)
    config, recipe = PRESETS["small"]
    clips = Clips(training, keep=True)
    shown, looked_at = Alone(clips, modality), Alone(Clips(held_back, middle=True, keep=True), modality)
    config, recipe = replace(config, image_size=clips.image_size), replace(recipe, left_out=0.0)
    train(shown, looked_at, see.labels, folder / modality, config, recipe, volunteers=volunteers)


def row(model: Model, testing: See) -> tuple[list[Estimate], float]:
    """UAR over all and in each lighting; and the expected calibration error in percent (Guo et al. 2017, ten bins)."""
    panel = Panel([sequence.entry.parts for sequence in testing.sequences])
    runs = evaluate(model, testing, runs=RUNS)
    best = [[next(iter(run[sequence.name].items())) for sequence in testing.sequences] for run in runs]
    right = np.array([[label == s.label for (label, _), s in zip(run, testing.sequences, strict=True)] for run in best])
    confidence = np.array([[probability for _, probability in run] for run in best])
    bins = np.minimum((10 * confidence).astype(int), 9)
    errors = [abs((right - confidence)[bins == one].sum()) for one in range(10)]
    return [estimate(panel.uar(right, lighting)) for lighting in (None, *LIGHTINGS)], 100 * sum(errors) / right.size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("see", type=Path)
    parser.add_argument("checkpoints", nargs="+", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--alone", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    training, testing = open_see(arguments.see, TRAINING), open_see(arguments.see, TESTING)
    for name, uar in logistic_regressions(training, testing).items():
        print(f"logistic regression on {name}: UAR {uar:.1f} %", flush=True)
    missing = [modality for modality in MODALITIES if not checkpoint(arguments.alone, modality).exists()]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for training_run in [pool.submit(train_alone, arguments.see, arguments.alone, one) for one in missing]:
            training_run.result()
    size = Clips(testing).image_size
    both = [open_model(path, testing.labels, size) for path in arguments.checkpoints]
    models: dict[str, list[Model]] = {"both": both}
    models |= {f"both, shown {one}s alone": [Shown(model, one) for model in both] for one in MODALITIES}
    for one in MODALITIES:
        models[f"{one}s alone"] = [Shown(open_model(checkpoint(arguments.alone, one), testing.labels, size), one)]
    volunteers = len({sequence.entry.parts.volunteer for sequence in testing.sequences})
    print(f"UAR, % ± over {volunteers} volunteers; calibration error, %")
    print(f"{'':<26}" + "".join(f"{name:>16}" for name in ("all", *LIGHTINGS, "calibration")))
    for name, trained in models.items():
        rows = [row(model, testing) for model in trained]
        for uars, error in rows:
            print(f"{name:<26}" + "".join(f"{uar!s:>16}" for uar in uars) + f"{error:>16.1f}", flush=True)
        if len(rows) > 1:
            values = np.array([[uar.value for uar in uars] + [error] for uars, error in rows])
            spread = zip(values.mean(0), values.std(0, ddof=1), strict=True)
            print(f"{'  mean, spread':<26}" + "".join(f"{f'{mean:.1f}, {one:.1f}':>16}" for mean, one in spread))


if __name__ == "__main__":
    main()
