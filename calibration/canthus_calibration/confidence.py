"""How sure a network is against how often it is right, and the temperature that brings the two together."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from canthus.confidence import Confidence, Honesty, Temperature, shown
from canthus.engine import Engine
from canthus.visible import Visible, contrast, events_share
from canthus_calibration.subsets import Drawn, decode
from canthus_model.evaluate.honesty import honesty
from canthus_model.evaluate.temperature import fit_temperature
from canthus_model.see.annotation import TESTING, TRAINING
from canthus_model.see.dataset import See, open_see
from canthus_model.see.names import LIGHTINGS
from canthus_model.steps import Step, Steps
from canthus_model.train.volunteers import hold_back

_CLIPS = 2000  # to fit on, and to test on: more would hardly tell more of so few people
_ROUNDS = 1, 6  # in which those are drawn: clips of one sequence resemble one another
_FEWEST_VOLUNTEERS, _FEWEST_SEQUENCES = 3, 56
_BATCH = 32


def look_at_confidence(engine: Engine, root: Path, held_back: Collection[str], steps: Steps) -> Confidence | None:
    """As `measure_confidence`, as a step that is told; None where there are too few volunteers to fit on."""
    with steps.step("confide") as step:
        _, theirs = hold_back(open_see(root, TRAINING, ends=False), held_back)
        missing = _missing(held_back, theirs)
        if missing:
            step.result("uncalibrated: probabilities are as the network gives them")
        else:
            found = measure_confidence(engine, theirs, open_see(root, TESTING, ends=False), step)
            step.result(_told(found))
            return found
    steps.note(f"no temperature could be fitted: {missing}")
    return None


def measure_confidence(engine: Engine, held_back: See, testing: See, step: Step) -> Confidence:
    """The temperature with the least log loss on some volunteers, and what it does for others.

    A temperature for each lighting does no better for unseen volunteers than one that goes with the contrast, and
    would have to be told the lighting; one for all of them leaves twice the error in the dark.

    Args:
        engine: answers without a temperature.
        held_back: sequences of volunteers whom the network was not trained on.
        testing: of yet others.
    """
    fitted, tested = (_drawn(see, step) for see in (held_back, testing))
    temperature = fit_temperature(_logits(engine, fitted), contrast(fitted.frame[:, 1]), fitted.label)
    logits, seen = _logits(engine, tested), contrast(tested.frame[:, 1])
    return Confidence(
        temperature=temperature,
        visible=_least_visible(fitted),
        clips=len(fitted),
        volunteers=_volunteers(fitted),
        tested=_volunteers(tested),
        before=_by_lighting(Temperature().softened(logits, seen), tested),
        after=_by_lighting(temperature.softened(logits, seen), tested),
    )


def _least_visible(clips: Drawn) -> Visible:
    """By the contrast that all clips but one in a thousand have, and the events that there always are where there are
    most of these: noise."""
    frames, events = contrast(clips.frame[:, 1]), events_share(clips.event[:, 1])
    floors = [float(np.quantile(events[clips.lighting == place], 0.01)) for place in np.unique(clips.lighting)]
    return Visible(round(float(np.quantile(frames, 0.001)), 6), round(1.2 * max(floors), 6))


def _missing(held_back: Collection[str], see: See) -> str:
    """What there is too little of; nothing if there is enough."""
    if not held_back:
        return (
            "the checkpoint doesn't say which volunteers were held back from its training, and on those whom it was "
            "trained on every network is too sure; canthus train --validation N holds some back, and says so"
        )
    there = {sequence.entry.parts.volunteer for sequence in see.sequences}
    labels = [label for label in see.labels if label not in {sequence.label for sequence in see.sequences}]
    if len(there) < _FEWEST_VOLUNTEERS or len(see.sequences) < _FEWEST_SEQUENCES:
        return (
            f"it takes {_FEWEST_SEQUENCES} sequences of {_FEWEST_VOLUNTEERS} volunteers who were held back from the "
            f"training; {see.root} has {len(see.sequences)} of {len(there)}"
        )
    if labels:
        return f"no sequence of those who were held back from the training shows {', '.join(labels)}"
    return ""


def _told(found: Confidence) -> str:
    before, after = found.before[found.worst], found.after[found.worst]
    return (
        f"temperature {shown(found.temperature)}, by {found.clips} clips of {found.volunteers} volunteers; on "
        f"{found.tested} others the calibration error is at most {after.error:.1f} %, in {found.worst} "
        f"({before.error:.1f} without)"
    )


def _drawn(see: See, step: Step) -> Drawn:
    rounds = int(np.clip(_CLIPS // len(see.sequences), *_ROUNDS))
    keys = [(turn, place) for turn in range(rounds) for place in range(len(see.sequences))]
    return decode(see, keys, report=step.report)


def _logits(engine: Engine, clips: Drawn) -> NDArray[np.float32]:
    found = []
    for begin in range(0, len(clips), _BATCH):
        frame, event = (images[begin : begin + _BATCH] for images in (clips.frame, clips.event))
        found.append(engine.react(frame[:, 1], event[:, 1], engine.prime(frame[:, 0], event[:, 0])).logits)
    logits: NDArray[np.float32] = np.concatenate(found)
    return logits


def _by_lighting(probabilities: NDArray[np.floating], clips: Drawn) -> dict[str, Honesty]:
    """Lightings without clips are left out."""
    places = [(place, name) for place, name in enumerate(LIGHTINGS) if (clips.lighting == place).any()]
    return {
        name: honesty(probabilities[clips.lighting == place], clips.label[clips.lighting == place])
        for place, name in places
    }


def _volunteers(clips: Drawn) -> int:
    return len({name.volunteer for name in clips.names})
