"""Where canthus's functions take someone's place: `mamba_ssm`'s, `transformers`', and those that a user names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

import torch

from canthus.errors import ExportError
from canthus_exporter.mamba import functions, heads
from canthus_exporter.mamba.binding import called_as
from canthus_exporter.mamba.stand_ins import MODULES
from canthus_exporter.mamba.substitution import substituted

Also = Sequence[str] | Mapping[str, Callable[..., Any]]

_TRANSFORMERS = [f"transformers.models.{model}.modeling_{model}" for model in ("mamba", "falcon_mamba", "jamba")]
_TRANSFORMERS_WITH_HEADS = [
    f"transformers.models.{model}.modeling_{model}"
    for model in ("mamba2", "bamba", "falcon_h1", "granitemoehybrid", "nemotron_h", "zamba2")
]
_SCANS: dict[str, Callable[..., Any]] = {
    **{f"{module}.mamba_selective_scan": functions.selective_scan_fn for module in _TRANSFORMERS},
    **{f"{module}.mamba2_chunk_scan": heads.mamba_chunk_scan_combined for module in _TRANSFORMERS_WITH_HEADS},
    "mambapy.mamba.MambaBlock.selective_scan": functions.selective_scan_tokens_first,
    "mambapy.mamba.MambaBlock.selective_scan_seq": functions.selective_scan_tokens_first,
}
"""Scans that nobody needs to name. Those of modules that aren't loaded are left."""
_IN_PYTORCH = [
    f"{module}.{name}"
    for module in (*_TRANSFORMERS, *_TRANSFORMERS_WITH_HEADS)
    for name in (
        "mamba_selective_state_update",
        "mamba2_selective_state_update",
        "causal_conv1d_fn",
        "causal_conv1d_update",
    )
]
"""Functions that call a GPU's kernel where there is one, around one in PyTorch."""


def take_places(stack: ExitStack, own: Sequence[ModuleType], also: Also) -> None:
    """Put canthus's functions in the place of others, until `stack` is closed.

    Args:
        own: modules of `stand_ins.MODULES` that are their makers' own.
        also: names of functions or methods that are called as `selective_scan_fn` is, by whatever names of arguments;
            or by such names what is to be called instead, with the same arguments.

    Raises:
        ExportError: there is no such function.
    """
    for module in own:
        for member, ours in MODULES[module.__name__].items():
            original = vars(module).get(member)
            if callable(original) and not isinstance(original, type):
                place = _Place(f"{module.__name__}.{member}", module, member, original)
                stack.enter_context(place.taken_by(ours))
    for name, ours in _SCANS.items():
        if place := _look_up(name):
            stack.enter_context(place.taken_by(ours))
    for name in _IN_PYTORCH:
        if (place := _look_up(name)) and hasattr(place.original, "__wrapped__"):
            stack.enter_context(place.replaced_by(place.original.__wrapped__))
    for name in also:
        place = _look_up(name) or _look_up(name, load=True)
        if place is None:
            raise ExportError(
                f"{name}: no such function; give it as package.module.function or package.module.Class.method, of a "
                "module that is imported"
            )
        stack.enter_context(
            place.replaced_by(also[name]) if isinstance(also, Mapping) else place.taken_by(functions.selective_scan_fn)
        )


@dataclass(frozen=True)
class _Place:
    """Where a function is: its name, the module or class that has it, as what, and itself."""

    name: str
    owner: Any
    member: str
    original: Callable[..., Any]

    def taken_by(self, ours: Callable[..., Any]) -> AbstractContextManager[None]:
        """By a function of canthus's, whose arguments may have other names."""
        is_apply = isinstance(self.owner, type) and issubclass(self.owner, torch.autograd.Function)
        # `apply` takes what `forward` does behind its context.
        signed = partial(self.owner.forward, None) if is_apply and self.member == "apply" else self.original
        return self.replaced_by(called_as(signed, self.name, ours))

    def replaced_by(self, ours: Callable[..., Any]) -> AbstractContextManager[None]:
        """By one that takes the same arguments."""
        function = getattr(self.original, "__func__", self.original)
        if isinstance(function, FunctionType) and self.member in vars(self.owner):
            return substituted(function, ours)
        return _set(self.owner, self.member, staticmethod(ours) if isinstance(self.owner, type) else ours)


@contextmanager
def _set(owner: Any, member: str, ours: Any) -> Iterator[None]:
    inherited, before = member not in vars(owner), vars(owner).get(member)
    setattr(owner, member, ours)
    try:
        yield
    finally:
        if inherited:
            delattr(owner, member)
        else:
            setattr(owner, member, before)


def _look_up(name: str, load: bool = False) -> _Place | None:
    """A function of a module that is imported, or that `load` imports; None where there is none."""
    parts = name.split(".")
    for size in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:size])
        owner: Any = sys.modules.get(module_name)
        if owner is None and load:
            owner = _import(module_name)
        if owner is None:
            continue
        for part in parts[size:-1]:
            owner = getattr(owner, part, None)
        original = getattr(owner, parts[-1], None)
        return _Place(name, owner, parts[-1], original) if callable(original) else None
    return None


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
