"""Does a network's answer hold still while nothing changes?

    python benchmarks/steadiness.py NETWORK [NETWORK ...] --films FOLDER

NETWORK is a checkpoint or a bundle. What it is shown was filmed of volunteers that are in no data set of seed 0, in
normal light, and is kept in FOLDER, since filming takes some ten minutes on two cores. It prints, each with half of
the interval that holds 95 % of what comes out if recordings or volunteers are drawn anew:

- the share of frames at which the label is another than one frame before, though the same expression is shown, in six
  recordings of 20 s; and how often the label is the one that is shown;
- the share of frames that have the same label when the same scene is seen by a sensor whose noise fell otherwise;
- how often an expression is read from an eye that has held it for 3 s without any movement, and sees no events but
  noise.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from canthus import _native
from canthus_model.config import LABELS, SPAN_US, WINDOW_US
from canthus_model.evaluate.models import open_model
from canthus_model.progress import progress
from canthus_model.synthesize.anatomy import HEIGHT, WIDTH
from canthus_model.synthesize.expressions import draw_apex
from canthus_model.synthesize.eye import Eye
from canthus_model.synthesize.face import draw_face, worn_again
from canthus_model.synthesize.lighting import LIGHTING, Light, draw_illumination, event_camera
from canthus_model.synthesize.motion import Pose
from canthus_model.synthesize.simulation import FIRST_TIME, FRAMES_PER_SECOND, Moment, simulate
from canthus_model.synthesize.take import parade

SIZE = (133, 100)  # width and height in pixels that training takes a DAVIS346's images to
SPAN = round(SPAN_US * FRAMES_PER_SECOND / 1e6)  # frames from a clip's first moment to its last
RECORDINGS, SECONDS = 6, 20
VOLUNTEERS, HELD = 12, 3  # eyes at rest, and for how many seconds
SEED = 9000  # of all of it


class Job(NamedTuple):
    """What to film: a parade of expressions, or an eye at rest that shows `label`."""

    kind: str
    seed: int
    noise: int = 0
    label: str = ""

    @property
    def name(self) -> str:
        return "_".join(str(part) for part in self if part != "")


class Film(NamedTuple):
    """uint8 (frames, height, width), and what is shown, int64 (frames,)."""

    frame: NDArray[np.uint8]
    event: NDArray[np.uint8]
    label: NDArray[np.int64]


class AtRest:
    """An eye that looks ahead and holds an expression, without the least movement."""

    def __init__(self, units: NDArray[np.float64], pupil: float) -> None:
        self._pose = Pose(0.0, 0.0, 0.0, pupil, units, 0.0, 0.0)

    def pose(self, _time: float) -> Pose:
        return self._pose


def rest(seed: int, label: str) -> Iterator[Moment]:
    random = np.random.default_rng([SEED, seed, LABELS.index(label)])
    face, lighting = worn_again(draw_face(SEED, seed), random), LIGHTING["normal"]
    held = AtRest(draw_apex(label, random) * face.gains, random.uniform(*lighting.pupil))
    eye = Eye(face, held, Light(draw_illumination(lighting, random)))  # type: ignore[arg-type]
    return simulate(eye, range(HELD * FRAMES_PER_SECOND), event_camera(lighting), random, before=0)


def film(job: Job) -> Film:
    if job.kind == "rest":
        moments, shown = rest(job.seed, job.label), lambda second: LABELS.index(job.label)
    else:
        take = parade(job.seed, SECONDS)
        ends, moments = np.array(take.ends()), take.moments(noise=job.noise)

        def shown(second: float) -> int:
            return LABELS.index(take.labels[min(int(np.searchsorted(ends, second, "right")), len(ends) - 1)])

    window, frames, events, labels = _native.EventWindow(WIDTH, HEIGHT), [], [], []
    for moment in moments:
        x, y = (np.ascontiguousarray(moment.events[axis]).view(np.uint16) for axis in ("x", "y"))
        polarity = np.ascontiguousarray(moment.events["p"]).view(np.uint8)
        window.push(np.ascontiguousarray(moment.events["t"]), x, y, polarity)
        for images, image in ((frames, moment.frame), (events, window.image(moment.time, WINDOW_US))):
            images.append(np.asarray(Image.fromarray(image).resize(SIZE, Image.Resampling.BILINEAR)))
        labels.append(shown((moment.time - FIRST_TIME) * 1e-6))
    return Film(np.stack(frames), np.stack(events), np.array(labels))


def film_once(job: Job, folder: Path) -> None:
    path = folder / f"{job.name}.npz"
    if not path.exists():
        np.savez(partial := folder / f"{job.name}.partial.npz", **film(job)._asdict())
        partial.rename(path)


def read(job: Job, folder: Path) -> Film:
    with np.load(folder / f"{job.name}.npz") as arrays:
        return Film(arrays["frame"], arrays["event"], arrays["label"])


def jobs() -> list[Job]:
    parades = [Job("parade", SEED + number, noise) for number in range(RECORDINGS) for noise in (0, 1)]
    return parades + [Job("rest", volunteer, label=label) for volunteer in range(VOLUNTEERS) for label in LABELS]


def interval(values: list[float]) -> str:
    """The mean of independent ones, ± half of the interval that holds 95 % of the means of as many drawn anew."""
    drawn = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(1)
    return f"{100 * np.mean(values):5.1f} ± {50 * np.ptp(np.quantile(drawn, (0.025, 0.975))):.1f} %"


def measure(answer: Callable[[Film], NDArray[np.int64]], folder: Path) -> dict[str, str]:
    """`answer` gives labels (frames - SPAN,) of a film's frames from SPAN on."""
    changes, right, same, held = [], [], [], []
    for number in range(RECORDINGS):
        here, again = (read(Job("parade", SEED + number, noise), folder) for noise in (0, 1))
        said, true = answer(here), here.label[SPAN:]
        steady = true[1:] == true[:-1]
        changes.append((said[1:] != said[:-1])[steady].mean())
        right.append((said == true).mean())
        same.append((said == answer(again)).mean())
    for volunteer in range(VOLUNTEERS):
        films = [read(Job("rest", volunteer, label=label), folder) for label in LABELS]
        held.append(np.mean([(answer(one) == one.label[SPAN:]).mean() for one in films]))
    return {
        "the label changes, though what is shown doesn't": interval(changes),
        "the label is what is shown": interval(right),
        "the same label with other noise": interval(same),
        "right, of an eye at rest": interval(held),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", type=Path, metavar="NETWORK")
    parser.add_argument("--films", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    arguments.films.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool, progress("filming") as report:
        filming = [pool.submit(film_once, job, arguments.films) for job in jobs()]
        for done, future in enumerate(filming, 1):
            future.result()
            report(done, len(filming))
    for path in arguments.networks:
        model = open_model(path, LABELS, SIZE[::-1])

        def answer(film: Film, model=model) -> NDArray[np.int64]:
            pairs = (np.stack([images[:-SPAN], images[SPAN:]], 1) for images in (film.frame, film.event))
            return model.probabilities(*pairs).argmax(1)

        print(f"{path}:")
        for what, figure in measure(answer, arguments.films).items():
            print(f"  {what:<50}{figure}", flush=True)


if __name__ == "__main__":
    main()
