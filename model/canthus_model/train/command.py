"""`canthus train`. Nothing heavy is imported until it runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from canthus.errors import TrainingError
from canthus.imports import importing
from canthus.threads import most_threads
from canthus_model.train.options import USUAL_PRESET, USUAL_SEED
from canthus_model.train.recipe import PRESETS
from canthus_model.workers import wait_without_spinning

_MOST_DIGITS = 18  # which 64 bits hold, as PyTorch's seeds must be held

DESCRIPTION = """\
Train MCO-E Net on SEE, or on a data set of its layout, by the published recipe: AdamW, cross-entropy, one clip
of each training sequence an epoch, the learning rate lowered after each. The result is a checkpoint as published
ones are, for `canthus export` and `canthus evaluate`."""

EXAMPLES = """\
what is in DIR:
  last.pth         after every epoch; complete whenever training is killed. --resume goes on from it
  weights.pth      after every epoch: the weights alone, with what they were trained on (image size, order of labels,
                   normalisation, times). A third of the size; the file to keep, to export and to evaluate
  save_{epochs}.pth   after the last epoch, in the published format
  best.pth         with --validation: as weights.pth, of the epoch with the highest UAR on volunteers held back
  curves.png       losses, UAR and learning rate of each epoch
  tensorboard/     the same and more: tensorboard --logdir DIR

Before the first epoch every image is decoded once: one that can't be, or is of another size, is told then. What was
found in order is remembered in ~/.cache/canthus (hashes alone), and not decoded again unless it changed.

Every fifth epoch, and the last, is looked at with the testing subset, the middle clip of each sequence. That is
for you to see; nothing is chosen by it. With --validation N it isn't opened at all: N training volunteers, drawn by
the seed, are held back and looked at instead, and the best epoch by their UAR is kept. Having been chosen by it, that
UAR flatters; `canthus evaluate` on the testing subset tells what the network is worth.

examples:
  canthus train SEE -o run --encoder-weights resnet18.pth           as published; the file is torchvision's
  canthus train SEE -o small --preset small                         a million parameters, for a laptop
  canthus train SEE -o run --validation 5                           choose the best epoch by five volunteers held back
  canthus train SEE -o run --resume                                 go on after a kill or Ctrl-C, as it was begun
  canthus train SEE -o run --devices 8                              eight GPUs of one machine
  MASTER_ADDR=10.0.0.1 MASTER_PORT=29500 NODE_RANK=0 canthus train SEE -o run --devices 8 --nodes 2
                                                                    on each of two, with its own NODE_RANK

The batch is shared by all devices, so their number changes the time and not the recipe. Checkpoints are read as
data; nothing in one is ever run. Nothing is downloaded."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("see", type=Path, metavar="SEE", help="folder with emotion.json, frame/ and event/")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--preset", choices=PRESETS, help=f"size of the network, and its recipe (default: {USUAL_PRESET})"
    )
    parser.add_argument("--epochs", type=_positive, metavar="N", help=_default("epochs"))
    parser.add_argument(
        "--batch", type=_positive, metavar="N", help=f"clips of a step, over all devices; {_default('batch')}"
    )
    parser.add_argument(
        "--learning-rate", type=_rate, metavar="RATE", help=f"of the first epoch; {_default('learning_rate')}"
    )
    parser.add_argument("--seed", type=_whole, metavar="N", help=f"of everything random (default: {USUAL_SEED})")
    parser.add_argument(
        "--each-modality",
        action=argparse.BooleanOptionalAction,
        help="also teach each modality alone, with the other one left out of some clips and the sensor's noise drawn "
        "anew, and ask all experts: for a network that would otherwise look at frames or at events only (see "
        "docs/ablation.md). Not part of the published recipe, but of --preset small",
    )
    parser.add_argument(
        "--validation",
        type=_positive,
        metavar="N",
        help="hold N training volunteers back, and keep the best epoch by them; the testing subset isn't opened "
        "(default: train on all)",
    )
    parser.add_argument(
        "--encoder-weights",
        type=Path,
        metavar="FILE",
        help="state dict of torchvision's resnet18, which all four encoders start from; only with --preset paper "
        "(default: random weights)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from DIR/last.pth, as it was begun: only SEE and DIR are needed; --epochs may be more",
    )
    parser.add_argument(
        "--accelerator", choices=("auto", "cpu", "gpu"), default="auto", help="(default: GPUs if there are any)"
    )
    parser.add_argument("--devices", type=_positive, default=1, metavar="N", help="of each machine (default: 1)")
    parser.add_argument("--nodes", type=_positive, default=1, metavar="N", help="machines (default: 1)")
    parser.add_argument(
        "--workers",
        type=_up_to(0, most_threads()),
        metavar="N",
        help="decoding processes of each device (default: to suit the cores)",
    )
    parser.add_argument(
        "--threads",
        type=_up_to(1, most_threads()),
        metavar="N",
        help="that each device's process may use on the CPU (default: a core each; where other programs use the cores, "
        "1 is often faster)",
    )


def run(arguments: argparse.Namespace) -> int:
    wait_without_spinning()
    with importing("lightning", "pip install 'canthus[train]'", TrainingError, "can't train: "):
        from canthus_model.train.start import start
    start(arguments)
    return 0


def _default(name: str) -> str:
    paper, small = (getattr(PRESETS[preset].recipe, name) for preset in ("paper", "small"))
    return f"(default: {paper})" if paper == small else f"(default: {paper}, small {small})"


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is not a whole number, 0 or more, of {_MOST_DIGITS} digits at most"
        )
    return int(text)


def _positive(text: str) -> int:
    if (number := _whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return number


def _up_to(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if len(text) > 9 or not least <= _whole(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return number


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a learning rate, above 0 and below 1")
    return number
