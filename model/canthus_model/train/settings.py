"""What a run of training was begun with, as its checkpoints keep it: going on takes all of it from there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from canthus.errors import TrainingError
from canthus_model.config import NetworkConfig
from canthus_model.train.recipe import EACH_MODALITY, PRESETS, Recipe

_SEQUENCES, _WEIGHTS, VOLUNTEERS = "training sequences", "encoder weights", "validation volunteers"


@dataclass(frozen=True)
class Settings:
    """All that must be the same to go on, but for the number of epochs.

    Attributes:
        config: of the network, with the size of the images.
        recipe: how it is trained.
        seed: of everything random.
        labels: in the order of the network's outputs.
        sequences: of the training subset, without those of `volunteers`.
        encoder_weights: sha256 of the file that the encoders started from; None for random weights.
        volunteers: held back from training for validation, as sequence names have them.
    """

    config: NetworkConfig
    recipe: Recipe
    seed: int
    labels: tuple[str, ...]
    sequences: int
    encoder_weights: str | None = None
    volunteers: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, which checkpoints hold."""
        return {
            **asdict(replace(self.config, image_size=list(self.config.image_size))),
            **asdict(self.recipe),
            "labels": list(self.labels),
            "seed": self.seed,
            _SEQUENCES: self.sequences,
            _WEIGHTS: self.encoder_weights,
            VOLUNTEERS: list(self.volunteers),
        }

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Settings:
        """What `as_dict` gave, or gave before it held epochs, encoder weights, volunteers and `EACH_MODALITY`.

        Raises:
            ValueError: something is missing or of another type.
        """
        without = dict.fromkeys(EACH_MODALITY, 0.0)
        plain = {"epochs": _usual_epochs(plain), _WEIGHTS: None, VOLUNTEERS: [], **without, **plain}
        config = _read(NetworkConfig, plain, {"image_size": _pair(plain.get("image_size"))})
        labels, volunteers, weights = _names(plain, "labels"), _names(plain, VOLUNTEERS), plain[_WEIGHTS]
        if weights is not None and not isinstance(weights, str):
            raise ValueError(f"{_WEIGHTS} is {weights!r}")
        seed, sequences = _whole(plain, "seed"), _whole(plain, _SEQUENCES)
        return Settings(config, _read(Recipe, plain, {}), seed, labels, sequences, weights, volunteers)

    @property
    def preset(self) -> str | None:
        """The preset whose network this is, if it is one's."""
        sizes = {name: replace(preset.config, image_size=self.config.image_size) for name, preset in PRESETS.items()}
        return next((name for name, config in sizes.items() if config == self.config), None)


def sha256_of(path: Path) -> str:
    """Of the file's bytes, in hexadecimal. Raises TrainingError if it can't be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise TrainingError(f"{path}: can't be read ({error.strerror}); give --encoder-weights a file") from error
    return digest.hexdigest()


def _usual_epochs(plain: Mapping[str, Any]) -> int:
    """Of the preset with this network's width: checkpoints didn't always say."""
    recipes = {preset.config.encoder_width: preset.recipe for preset in PRESETS.values()}
    return recipes.get(plain.get("encoder_width"), Recipe()).epochs


def _read(kind: type, plain: Mapping[str, Any], given: dict[str, Any]) -> Any:
    """A dataclass of numbers and truth values, from values of the types that its defaults have."""
    usual = asdict(kind())
    for field in fields(kind):
        if field.name not in given:
            value = plain.get(field.name)
            if type(value) is not type(usual[field.name]):
                raise ValueError(f"{field.name} is {value!r}")
            given[field.name] = value
    return kind(**given)


def _whole(plain: Mapping[str, Any], name: str) -> int:
    if type(plain.get(name)) is not int:
        raise ValueError(f"{name} is {plain.get(name)!r}")
    return plain[name]


def _names(plain: Mapping[str, Any], name: str) -> tuple[str, ...]:
    names = plain.get(name)
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise ValueError(f"no list of {name}")
    return tuple(names)


def _pair(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or not all(type(side) is int for side in value):
        raise ValueError(f"image_size is {value!r}")
    return value[0], value[1]
