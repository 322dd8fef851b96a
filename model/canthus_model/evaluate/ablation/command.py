"""`canthus evaluate --ablate`: from its arguments to what it prints and writes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from canthus.errors import EvaluationError
from canthus_model.checkpoint import read_epoch
from canthus_model.evaluate.ablation.encoded import encode_clips
from canthus_model.evaluate.ablation.measure import ablate
from canthus_model.evaluate.ablation.models import open_parts
from canthus_model.evaluate.ablation.picture import draw_ablation
from canthus_model.evaluate.ablation.rows import Ablation
from canthus_model.evaluate.ablation.table import tables
from canthus_model.evaluate.folder import filling
from canthus_model.evaluate.models import CHECKPOINT, check_model
from canthus_model.evaluate.origin import Origin
from canthus_model.evaluate.runs import check_labels
from canthus_model.progress import progress
from canthus_model.see.dataset import open_see
from canthus_model.see.moments import Clips

NUMBERS, PICTURE = "ablation.json", "ablation.png"


def ablate_model(arguments: argparse.Namespace) -> None:
    """Do what `arguments` ask for; all numbers are set, and an output folder is checked."""
    if arguments.runs < 2:
        raise EvaluationError("--ablate compares drawings of clips with one another: give it --runs 2 or more")
    check_model(arguments.model)
    torch.set_num_threads(arguments.threads)
    with progress("looking for the images") as report:
        see = open_see(arguments.see, "testing", report)
    check_labels(see)
    model = open_parts(arguments.model, see.labels, Clips(see).image_size, arguments.threads, arguments.weights)
    numbers = {name: getattr(arguments, name) for name in ("runs", "seed", "batch", "workers")}
    with progress(f"clips of {arguments.runs} runs") as report:
        encoded = encode_clips(model, see, **numbers, report=report)
    with progress("things taken away") as report:
        found = ablate(model, see, encoded, seed=arguments.seed, report=report)
    epoch = read_epoch(arguments.model) if arguments.model.suffix == CHECKPOINT else None
    origin = Origin(arguments.model.name, epoch, arguments.seed)
    as_json = {**origin.as_dict(), **found.as_dict()}
    print(json.dumps(as_json) if arguments.json else tables(found))
    if arguments.output:
        _write(arguments.output, found, str(origin), as_json)
        if not arguments.json:
            print(f"\n{arguments.output}: {PICTURE} and {NUMBERS}")


def _write(output: Path, found: Ablation, model: str, as_json: dict[str, object]) -> None:
    with filling(output) as folder:
        (folder / NUMBERS).write_text(json.dumps(as_json, indent=1), encoding="utf-8")
        draw_ablation(found, folder / PICTURE, model)
