"""Published checkpoints, read without running anything in them and without copying them into memory."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from canthus.errors import CheckpointError
from canthus_model.config import EVENT, FRAME, NetworkConfig
from canthus_model.facts import KEY, Facts
from canthus_model.find_weights import find_weights
from canthus_model.network import MCOENet

_SIZES_FROM = {
    "encoder_width": "res00.resnet.conv1.weight",
    "features": "res00.resnet.fc.weight",
    "moe_width": "fusion_proj.0.weight",
}
_USUAL_IMAGE_SIZE = NetworkConfig().image_size
_NAMED_AT_MOST = 8


class _Ignored:
    """What stands in a checkpoint beside the weights, and isn't needed: numbers of NumPy, paths. None of it is run."""

    def __new__(cls, *_arguments: object) -> _Ignored:
        return super().__new__(cls)

    def __setstate__(self, _state: object) -> None:
        pass


_NUMPY = ("numpy.dtype", *(f"{home}.scalar" for home in ("numpy.core.multiarray", "numpy._core.multiarray")))
_PATHS = [f"{home}.{kind}Path" for home in ("pathlib", "pathlib._local") for kind in ("Posix", "Windows")]
_IGNORED = [(_Ignored, name) for name in (*_NUMPY, "_codecs.encode", *_PATHS)]


def load_network(
    path: Path | str,
    image_size: tuple[int, int] | None = None,
    weights: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> MCOENet:
    """The trained network in a checkpoint, in evaluation mode.

    The file is memory-mapped: weights are paged in as they are read, optimiser state never is.

    Args:
        path: what `torch.save` wrote of the network's state, see `find_weights`.
        image_size: (height, width) that the network is used with; None for what the checkpoint says, see `read_facts`,
            or 100x100 if it doesn't.
        weights: which network, where the checkpoint holds several.
        tell: is told what else there is to know, in words.

    Raises:
        CheckpointError: not a checkpoint; a pickle that would run code; tensors that are missing, too many,
            of another shape or type, or not finite; images normalised otherwise; facts that make no sense.
    """
    path = Path(path)
    content = read_checkpoint(path)
    facts = _facts(content, path)
    _check_normalisation(facts, path)
    image_size = image_size or facts.image_size or _USUAL_IMAGE_SIZE
    state = _in_float32(find_weights(content, path, weights), tell)
    config = _infer_config(state, path, image_size)
    with torch.device("meta"):
        network = MCOENet(config)
    _check_tensors(state, network.state_dict(), path)
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def read_epoch(path: Path | str) -> int | None:
    """The epoch that the checkpoint says it was saved in, if it says so.

    Raises:
        CheckpointError: not a checkpoint, or a pickle that would run code.
    """
    epoch = read_checkpoint(path).get("epoch")
    return epoch if type(epoch) is int and epoch >= 0 else None


def read_facts(path: Path | str) -> Facts:
    """What the checkpoint says that its network was trained on; a published one says nothing.

    Raises:
        CheckpointError: not a checkpoint, a pickle that would run code, or facts that make no sense.
    """
    return _facts(read_checkpoint(path), Path(path))


def read_checkpoint(path: Path | str, *, mmap: bool = True) -> dict[str, Any]:
    """What `torch.save` wrote: a dictionary of plain values and tensors; nothing in the file is run.

    With `mmap` tensors are paged in as they are read, and must not be used once the file is gone.

    Raises:
        CheckpointError: no such file; not a checkpoint or a damaged one; a pickle that would run code.
    """
    path = Path(path)
    # Before 2.10, a crafted file could run code although weights_only was set (CVE-2026-24747).
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if version < (2, 10):
        raise CheckpointError(f"torch {torch.__version__} can't read checkpoints safely: install torch 2.10 or newer")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        # What PyTorch wrote before 1.6 was no zip, and can't be mapped.
        mapped = mmap and zipfile.is_zipfile(path)
        with torch.serialization.safe_globals(_IGNORED):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds Python objects other than tensors, and reading them could run code; nothing was "
            "run. Save it again as torch.save({'state_dict': network.state_dict()}, path)"
        ) from error
    except Exception as error:  # a damaged pickle can make the unpickler raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: not a checkpoint, or a damaged one ({reason}). It must be what torch.save writes"
        ) from error
    return content if isinstance(content, dict) else {}


def is_state_dict(value: object) -> bool:
    """Whether it is a dictionary of named tensors."""
    return isinstance(value, dict) and all(isinstance(n, str) and isinstance(t, Tensor) for n, t in value.items())


def _facts(content: dict[str, Any], path: Path) -> Facts:
    try:
        return Facts.from_dict(content[KEY] if KEY in content else _older_facts(content))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}; it is damaged, or no checkpoint of canthus train") from error


def _older_facts(content: dict[str, Any]) -> dict[str, Any]:
    """What canthus train wrote before it wrote facts, for its own going on."""
    rest = content.get("lightning")
    settings = rest.get("hyper_parameters") if isinstance(rest, dict) else None
    if not isinstance(settings, dict) or "training sequences" not in settings:  # other programs use Lightning, too
        return {}
    return {name: settings[name] for name in ("image_size", "labels") if name in settings}


def _check_normalisation(facts: Facts, path: Path) -> None:
    own = {"frame": FRAME, "event": EVENT}
    if facts.normalisation is not None and facts.normalisation != own:
        theirs, ours = (
            ", ".join(f"{name} {image.mean:g}, {image.std:g}" for name, image in images.items())
            for images in (facts.normalisation, own)
        )
        raise CheckpointError(
            f"{path}: was trained on images normalised by {theirs}; those of this canthus are by {ours} "
            "(mean, standard deviation)"
        )


def _in_float32(state: dict[str, Tensor], tell: Callable[[str], None]) -> dict[str, Tensor]:
    short = {tensor.dtype for tensor in state.values()} & {torch.float16, torch.bfloat16}
    if short:
        names = " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in short))
        tell(f"the checkpoint's weights are {names}; they are taken as float32, with the precision that they have")
    return {name: tensor.float() if tensor.dtype in short else tensor for name, tensor in state.items()}


def _infer_config(state: dict[str, Tensor], path: Path, image_size: tuple[int, int]) -> NetworkConfig:
    sizes = {}
    for size, name in _SIZES_FROM.items():
        if name not in state or state[name].ndim < 2:
            raise CheckpointError(f"{path}: not an MCO-E Net, it has no tensor {name} with two or more axes")
        sizes[size] = state[name].shape[0]
    if sizes["features"] % 4 or sizes["moe_width"] % 4:
        raise CheckpointError(
            f"{path}: {sizes['features']} features and a MoE width of {sizes['moe_width']}: both must be multiples of 4"
        )
    return NetworkConfig(**sizes, image_size=image_size)


def _check_tensors(state: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    problems = []
    if missing := [name for name in expected if name not in state]:
        problems.append(f"missing: {_some(missing)}")
    if extra := [name for name in state if name not in expected]:
        problems.append(f"unknown: {_some(extra)}")
    common = [name for name in expected if name in state]
    if misshaped := [
        f"{name} is {tuple(state[name].shape)}, not {tuple(expected[name].shape)}"
        for name in common
        if state[name].shape != expected[name].shape
    ]:
        problems.append(f"misshaped: {_some(misshaped)}")
    if mistyped := [
        f"{name} is {state[name].dtype}, not {expected[name].dtype}"
        for name in common
        if state[name].dtype != expected[name].dtype
    ]:
        problems.append(f"of another type: {_some(mistyped)}")
    if not problems and (broken := [n for n in common if not torch.isfinite(state[n]).all()]):
        problems.append(f"NaN or infinite values in: {_some(broken)}. The training diverged; take an earlier epoch")
    if problems:
        raise CheckpointError(f"{path}: not a usable MCO-E Net checkpoint\n  " + "\n  ".join(problems))


def _some(items: list[str]) -> str:
    shown = ", ".join(items[:_NAMED_AT_MOST])
    return shown if len(items) <= _NAMED_AT_MOST else f"{shown} and {len(items) - _NAMED_AT_MOST} more"
