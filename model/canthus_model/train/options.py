"""What the command line asks for; where a run goes on, what that run was begun with, which options must agree with."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from canthus.errors import TrainingError
from canthus_model.config import NetworkConfig
from canthus_model.train.recipe import EACH_MODALITY, PRESETS, Recipe
from canthus_model.train.settings import Settings, sha256_of

_RECIPE = ("epochs", "batch", "learning_rate")
USUAL_PRESET, USUAL_SEED = "paper", 0


@dataclass(frozen=True)
class Chosen:
    """The network but for its image size, the recipe, and the seed."""

    config: NetworkConfig
    recipe: Recipe
    seed: int


def begin(arguments: argparse.Namespace) -> Chosen:
    """What a new run is to be. An option that wasn't given is None, and means what its help says."""
    preset = PRESETS[arguments.preset or USUAL_PRESET]
    given = {name: value for name in _RECIPE if (value := getattr(arguments, name)) is not None}
    if arguments.each_modality is not None:
        given |= EACH_MODALITY if arguments.each_modality else dict.fromkeys(EACH_MODALITY, 0.0)
    seed = USUAL_SEED if arguments.seed is None else arguments.seed
    return Chosen(preset.config, replace(preset.recipe, **given), seed)


def go_on(arguments: argparse.Namespace, begun: Settings) -> Chosen:
    """What the run that goes on was begun with; the number of epochs may be another one.

    Raises:
        TrainingError: an option that was given doesn't agree; it is named as it was typed.
    """
    folder = arguments.output
    if arguments.preset and arguments.preset != begun.preset:
        theirs = f"--preset {begun.preset}" if begun.preset else "a network of other sizes than any preset's"
        raise _disagrees(f"--preset {arguments.preset}", folder, f"was begun with {theirs}")
    for name, held in (("batch", begun.recipe.batch), ("learning_rate", begun.recipe.learning_rate)):
        _check(f"--{name.replace('_', '-')}", getattr(arguments, name), held, folder)
    _check("--seed", arguments.seed, begun.seed, folder)
    if arguments.each_modality not in (None, bool(begun.recipe.each_alone)):
        option, other = ("--each-modality", "without") if arguments.each_modality else ("--no-each-modality", "with")
        raise _disagrees(option, folder, f"was begun {other} --each-modality")
    if begun.volunteers:
        _check("--validation", arguments.validation, len(begun.volunteers), folder)
    elif arguments.validation:
        raise _disagrees(f"--validation {arguments.validation}", folder, "was begun without --validation")
    if arguments.encoder_weights and sha256_of(arguments.encoder_weights) != begun.encoder_weights:
        theirs = "from another file" if begun.encoder_weights else "from random weights, or doesn't say from which"
        raise _disagrees(f"--encoder-weights {arguments.encoder_weights}", folder, f"began {theirs}")
    recipe = begun.recipe if arguments.epochs is None else replace(begun.recipe, epochs=arguments.epochs)
    return Chosen(begun.config, recipe, begun.seed)


def _check(option: str, given: object, held: object, folder: Path) -> None:
    if given is not None and given != held:
        raise _disagrees(f"{option} {given}", folder, f"was begun with {option} {held}")


def _disagrees(option: str, folder: Path, fact: str) -> TrainingError:
    return TrainingError(
        f"{option}: the run in {folder} {fact}, and goes on as it was begun: leave the option out, or begin another "
        "run with another -o"
    )
