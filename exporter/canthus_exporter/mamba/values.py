"""Values that go into a network and come out of it, as lists of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from canthus.errors import ExportError


def tensors_in(values: Any) -> list[Tensor]:
    """The tensors of nested sequences and mappings, in the order in which a graph has them."""
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Tensor)]


def shapes_of(values: Any) -> str:
    """Those of the tensors, as text."""
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors_in(values))


def copied(values: Any) -> Any:
    """The same values; tensors are copies of their own, since a streaming network replaces its states in place."""
    return pytree.tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), values)


def outputs_of(returned: Any) -> list[np.ndarray]:
    """What a network returned: tensors, nested in sequences and mappings, with None among them.

    Raises:
        ExportError: it has something else in it, or none at all.
    """
    for leaf in pytree.tree_leaves(returned):
        if leaf is not None and not isinstance(leaf, Tensor):
            raise ExportError(
                f"the network returns a {type(leaf).__name__}; let it return tensors, alone or in tuples and dicts"
            )
    tensors = tensors_in(returned)
    if not tensors:
        raise ExportError("the network returns no tensor; let it return what is to be computed")
    if any(tensor.dtype == torch.bfloat16 for tensor in tensors):
        raise bfloat16_error("its outputs")
    return [tensor.detach().numpy() for tensor in tensors]


def bfloat16_error(what: str) -> ExportError:
    """Of tensors that ONNX Runtime has no kernels for on a CPU."""
    return ExportError(
        f"the network computes in bfloat16 ({what}), which ONNX Runtime can't on a CPU, so nothing could be checked; "
        "call .float() on the network and its inputs first"
    )
