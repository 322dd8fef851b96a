"""Learns how an eye looks to this camera, so that a bundle can tell where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from canthus.eye import Eye, EyeCheck, Thresholds
from canthus.eye_inputs import small_inputs, smaller
from canthus.visible import has_events
from canthus_calibration.no_eye import Picture, in_turning_light, moved_a_little, no_eyes
from canthus_calibration.shut_eye import shut_eyes
from canthus_calibration.subsets import decode
from canthus_model.see.annotation import TRAINING
from canthus_model.see.dataset import See, open_see
from canthus_model.steps import Step, Steps
from canthus_model.train.volunteers import hold_back

HIDDEN = 128
EPOCHS = 20
REFUSED = 0.02  # of eyes that it was not shown, as none, if one picture decided; the median of half a second does
STRANGE = 0.002  # of them, as unlike those that it was shown
SHUT = 0.02  # of them, as shut; among them are some that blink, which no data set names
COMPONENTS = 128
_CLIPS = 2000  # of which both moments are learned from
_HELD = 5  # every fifth volunteer sets the threshold
_FEWEST_VOLUNTEERS = 10
_FEWEST_CLIPS = 200
_BATCH, _LEARNING_RATE, _WEIGHT_DECAY, _DROPOUT = 64, 2e-3, 0.1, 0.5


class Learned(NamedTuple):
    """A check, and what the manifest tells of it."""

    check: EyeCheck
    eye: Eye


def look_at_eyes(root: Path, steps: Steps) -> Learned | None:
    """Learn from the training subset of the data set in `root`, as a step that is told; None where it is too small."""
    with steps.step("see eyes") as step:
        see = open_see(root, TRAINING, ends=False)
        volunteers = sorted({sequence.entry.parts.volunteer for sequence in see.sequences})
        if len(volunteers) < _FEWEST_VOLUNTEERS or len(see.sequences) < _FEWEST_CLIPS:
            step.result("not learned: where there is no eye in view, answers can't say so")
        else:
            learned = learn(see, set(volunteers[::_HELD]), step)
            eye = learned.eye
            step.result(
                f"{eye.volunteers} volunteers' eyes, and as many pictures of none and of shut ones; of {eye.held} "
                f"others' eyes {100 * eye.refused:.1f} % are denied, of pictures of none {100 * eye.told:.1f} % told, "
                f"of shut ones {100 * eye.closed_told:.1f} %"
            )
            return learned
    steps.note(
        f"to learn how an eye looks takes {_FEWEST_CLIPS} sequences of {_FEWEST_VOLUNTEERS} training volunteers; "
        f"{root} has {len(see.sequences)} of {len(volunteers)}"
    )
    return None


def learn(see: See, held: set[str], step: Step) -> Learned:
    """A check that has seen all volunteers but those `held`, who set its threshold.

    It has nothing to do with the network that is exported: a network that tells expressions apart makes of a room what
    it makes of a face. Sums are of 64 bits, so that all machines come to the same.
    """
    random = np.random.default_rng(0)
    seen, kept_apart = hold_back(see, held)
    frame, events = _small(seen, step)
    others = _small(kept_apart, step)
    check = made_check(frame, events, random, step)
    eyes, none, shut = (
        check.scores(small_inputs(*one)) for one in (others, no_eyes(*others, random), shut_eyes(*others, random))
    )
    thresholds = Thresholds(
        no_eye=_above(eyes.no_eye, REFUSED),
        unfamiliar=_above(eyes.unfamiliar, STRANGE),
        closed=_above(eyes.closed, SHUT),
    )
    refused = (eyes.no_eye > thresholds.no_eye) | (eyes.unfamiliar > thresholds.unfamiliar)
    eye = Eye(
        thresholds=thresholds,
        volunteers=len({one.entry.parts.volunteer for one in see.sequences} - held),
        held=len(held),
        refused=float(refused.mean()),
        told=float((none.no_eye > thresholds.no_eye).mean()),
        closed_told=float((shut.closed > thresholds.closed).mean()),
    )
    return Learned(check, eye)


def made_check(frame: Picture, events: Picture, random: np.random.Generator, step: Step) -> EyeCheck:
    """Of the small pictures of some eyes (N, rows, columns)."""
    net = _trained(frame, events, random, step)
    first, second = (module for module in net if isinstance(module, nn.Linear))
    mean, components = _components(frame, events)
    return EyeCheck(
        first=_float32(first.weight.T),
        first_bias=_float32(first.bias),
        second=_float32(second.weight.T),
        second_bias=_float32(second.bias),
        mean=mean,
        components=components,
    )


def _above(scores: NDArray[np.float32], part: float) -> float:
    """The threshold that so many are above."""
    return round(float(np.quantile(scores, 1 - part)), 4)


def _float32(values: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.detach().numpy(), np.float32)


def _components(frame: Picture, events: Picture) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean of small frames as `small_inputs` gives them, and what they differ in most, (places, components)."""
    structure = small_inputs(frame, events)[:, : frame[0].size].astype(np.float64)
    mean = structure.mean(0)
    _, vectors = np.linalg.eigh((structure - mean).T @ (structure - mean))
    count = min(COMPONENTS, len(structure) // 4, structure.shape[1] // 2)
    return mean.astype(np.float32), np.ascontiguousarray(vectors[:, : -count - 1 : -1], np.float32)


def _small(see: See, step: Step) -> tuple[Picture, Picture]:
    """Both moments of clips of it, small."""
    rounds = max(1, min(3, _CLIPS // len(see.sequences)))
    keys = [(turn, place) for turn in range(rounds) for place in range(len(see.sequences))][:_CLIPS]
    clips = decode(see, keys, seed=2, report=step.report)
    frame, event = (images.reshape(-1, *images.shape[2:]) for images in (clips.frame, clips.event))
    return smaller(frame.astype(np.float32)), smaller(has_events(event).astype(np.float32))


def _trained(frame: Picture, events: Picture, random: np.random.Generator, step: Step) -> nn.Sequential:
    """A net of two answers: how likely there is no eye, and, where there is one, how likely it is shut."""
    count, beside = len(frame), len(frame) // 3
    wanted = torch.zeros(3 * count + beside, 2).double()
    wanted[count : 2 * count, 0] = 1
    wanted[2 * count : 3 * count, 1] = 1
    asked = torch.ones_like(wanted)
    asked[count : 2 * count, 1] = 0
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inputs = small_inputs(frame[:1], events[:1]).shape[1]
        net = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Dropout(_DROPOUT), nn.Linear(HIDDEN, 2)).double()
        optimizer = torch.optim.AdamW(net.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
        for epoch in range(EPOCHS):
            some = random.permutation(count)[:beside]
            kinds = (
                moved_a_little(frame, events, random),
                no_eyes(frame, events, random),
                shut_eyes(frame, events, random),
                shut_eyes(frame[some], events[some], random, beside=True),
            )
            seen = [small_inputs(*in_turning_light(*one, random)) for one in kinds]
            shown = torch.from_numpy(np.concatenate(seen)).double()
            order = torch.randperm(len(shown))
            for begin in range(0, len(order), _BATCH):
                batch = order[begin : begin + _BATCH]
                optimizer.zero_grad()
                loss = F.binary_cross_entropy_with_logits(net(shown[batch]), wanted[batch], weight=asked[batch])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            schedule.step()
            step.report(epoch + 1, EPOCHS)
    return net.eval()
