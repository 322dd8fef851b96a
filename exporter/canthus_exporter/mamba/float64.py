"""A network computed in float64, as what rounding is judged by."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

_NARROWER = (torch.float32, torch.float16, torch.bfloat16)


def in_float64(module: nn.Module, args: Any) -> Any:
    """What a copy of the module returns in float64, where it can be computed so; None where it can't.

    Where its code says float32, float64 is meant.
    """
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        twin = copy.deepcopy(module).double()
        with torch.no_grad(), _Widened():
            return twin(*pytree.tree_map_only(Tensor, _wide, args))
    except Exception:  # whatever stops it, there is no such answer
        return None
    finally:
        torch.set_default_dtype(default)


def _wide(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor.clone()


class _Widened(TorchFunctionMode):
    """While it lasts, whoever asks for a narrower type gets float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.float, Tensor.half, Tensor.bfloat16):
            func, args = Tensor.double, args[:1]
        args, kwargs = pytree.tree_map(lambda x: torch.float64 if x in _NARROWER else x, (args, kwargs or {}))
        return func(*args, **kwargs)
