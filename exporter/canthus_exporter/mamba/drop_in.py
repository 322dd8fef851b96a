"""canthus's functions in the place of `mamba_ssm`'s, installed or not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

from canthus.errors import ExportError
from canthus_exporter.mamba import functions
from canthus_exporter.mamba.block import Mamba

_SCAN = {
    "selective_scan_fn": functions.selective_scan_fn,
    "selective_scan_ref": functions.selective_scan_fn,
    "mamba_inner_fn": functions.mamba_inner_fn,
    "mamba_inner_ref": functions.mamba_inner_fn,
    "mamba_inner_fn_no_out_proj": functions.mamba_inner_fn_no_out_proj,
}
_CONVOLUTION = {
    "causal_conv1d_fn": functions.causal_conv1d_fn,
    "causal_conv1d_update": functions.causal_conv1d_update,
}
_UPDATE = {"selective_state_update": functions.selective_state_update}
_MODULES: dict[str, dict[str, Any]] = {
    "mamba_ssm": {**_SCAN, "Mamba": Mamba},
    "mamba_ssm.ops": {},
    "mamba_ssm.ops.selective_scan_interface": _SCAN,
    "mamba_ssm.ops.triton": {},
    "mamba_ssm.ops.triton.selective_state_update": _UPDATE,
    "mamba_ssm.modules": {},
    "mamba_ssm.modules.mamba_simple": {**_SCAN, **_CONVOLUTION, **_UPDATE, "Mamba": Mamba},
    "causal_conv1d": _CONVOLUTION,
    "causal_conv1d.causal_conv1d_interface": _CONVOLUTION,
}


@contextmanager
def drop_in(also: Sequence[str] = ()) -> Iterator[None]:
    """While this lasts, whoever calls `mamba_ssm` or `causal_conv1d` calls what can be exported.

    Where they are installed, their functions are replaced in every module that has imported them. Where they aren't,
    `import mamba_ssm` works, and gives just what networks need: so import your network's code in here.

    Args:
        also: functions of your own that are called as `selective_scan_fn` is, as "package.module.function".

    Raises:
        ExportError: there is no such function.
    """
    with ExitStack() as stack:
        for name, members in _MODULES.items():
            found = _import(name)
            if found is None:
                stack.enter_context(_standing_in(name, members))
            else:
                for member in members.keys() & vars(found).keys() - {"Mamba"}:
                    stack.enter_context(_replaced(getattr(found, member), members[member]))
        for name in also:
            stack.enter_context(_replaced(_find(name), functions.selective_scan_fn))
        yield


def _import(name: str) -> ModuleType | None:
    """The module; None where it isn't installed, or can't be loaded here for want of a GPU."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError):
        return None


@contextmanager
def _standing_in(name: str, members: dict[str, Any]) -> Iterator[None]:
    module, before = ModuleType(name), sys.modules.get(name)
    module.__path__ = []  # a package, so that its own can be imported
    vars(module).update(members)
    sys.modules[name] = module
    parent, _, leaf = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], leaf, module)
    try:
        yield
    finally:
        if parent:
            delattr(sys.modules[parent], leaf)
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before


@contextmanager
def _replaced(original: Callable[..., Any], ours: Callable[..., Any]) -> Iterator[None]:
    places = [
        (module, name)
        for module in list(sys.modules.values())
        if isinstance(module, ModuleType)
        for name, value in list(vars(module).items())
        if value is original
    ]
    for module, name in places:
        setattr(module, name, ours)
    try:
        yield
    finally:
        for module, name in places:
            setattr(module, name, original)


def _find(name: str) -> Callable[..., Any]:
    module_name, _, function = name.rpartition(".")
    module = sys.modules.get(module_name) or _import(module_name) if module_name else None
    if module is None or not callable(getattr(module, function, None)):
        raise ExportError(f"{name}: no such function; give it as package.module.function, of a module that is imported")
    found: Callable[..., Any] = getattr(module, function)
    return found
