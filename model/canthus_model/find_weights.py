"""Finds the network's weights in what torch.save wrote, whatever a framework has put around them.

Training wraps networks: DataParallel calls their tensors `module.…`, torch.compile `_orig_mod.…`, a Lightning module
`model.…` or by another name of its own. And it saves them alone, under `state_dict`, `model`, or deeper. So they are
looked for by the name that one tensor of the network ends with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from canthus.errors import CheckpointError

_ANCHOR = "res00.resnet.conv1.weight"
_COMPILED = "_orig_mod."
_DEPTH = 4  # dictionaries in dictionaries


def find_weights(content: dict[Any, Any], path: object, chosen: str | None = None) -> dict[str, Tensor]:
    """The network's tensors, by the names that the network gives them.

    Args:
        content: what was saved.
        path: what errors call it.
        chosen: which network, where there are several (of EMA weights, say): what stands before its tensors' names.

    Raises:
        CheckpointError: there is none, there are several and none is chosen, or none of that name.
    """
    found = dict(_networks(content, "", _DEPTH))
    names = ", ".join(name or "the file's own" for name in found)
    if not found:
        raise CheckpointError(
            f"{path}: not an MCO-E Net: none of its tensors has a name that ends in {_ANCHOR}. Save it as "
            "torch.save({'state_dict': network.state_dict()}, path)"
        )
    if chosen is not None and chosen not in found:
        raise CheckpointError(f"{path}: holds no network {chosen!r}; those in it are {names}")
    if chosen is None and len(found) > 1:
        raise CheckpointError(f"{path}: holds several networks: {names}; choose one with --weights NAME")
    return found[chosen] if chosen is not None else next(iter(found.values()))


def _networks(content: dict[Any, Any], where: str, depth: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every network in a dictionary and those in it, by what stands before its tensors' names."""
    tensors = {
        name.replace(_COMPILED, ""): tensor
        for name, tensor in content.items()
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }
    before = [name.removesuffix(_ANCHOR) for name in tensors if name.endswith(_ANCHOR)]
    prefixes = [prefix for prefix in before if not prefix or prefix.endswith(".")]
    for prefix in prefixes:
        others = [other for other in prefixes if other.startswith(prefix) and other != prefix]
        own = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix) and not any(name.startswith(other) for other in others)
        }
        yield f"{where}{prefix}".removesuffix("."), own
    if depth:
        for name, inner in content.items():
            if isinstance(name, str) and isinstance(inner, dict):
                yield from _networks(inner, f"{where}{name}.", depth - 1)
