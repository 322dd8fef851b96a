"""`import mamba_ssm` where it isn't installed, or can't be loaded for want of a GPU."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from canthus_exporter.mamba.stand_ins import MODULES, missing

_PACKAGES = tuple(dict.fromkeys(name.partition(".")[0] for name in MODULES))
_IN_TRITON = "mamba_ssm.ops"
"""The part of `mamba_ssm` that needs a GPU's compilers to be loaded; the rest is Python."""
_ON_TRANSFORMERS = "mamba_ssm.utils"
"""The part that generates texts, which needs another package, of a certain age."""


@contextmanager
def standing_in() -> Iterator[list[ModuleType]]:
    """While this lasts, every module of `stand_ins.MODULES` can be imported: itself, or canthus's in its place.

    Where `mamba_ssm` is there but can't be loaded, its Python is used as it is, over canthus's functions in the place
    of what needs a GPU. In the end, nothing is left of what came only by that.

    Yields:
        the modules that are their makers' own, all loaded.
    """
    before = _loaded(_PACKAGES)
    broken = [package for package in _PACKAGES if _import(package) is None]
    _remove(_loaded(broken))  # what was loaded before the rest couldn't be
    own = [module for name in MODULES if not _is_in(name, broken) and (module := _import(name)) is not None]
    whole = _loaded(_PACKAGES)
    first, last = _Finder(broken), _Finder(_PACKAGES)
    sys.meta_path.insert(0, first)
    try:
        if "mamba_ssm" in broken:
            _load_what_can_be(first)
        sys.meta_path.append(last)
        yield own
    finally:
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not first and finder is not last]
        _remove(_loaded(_PACKAGES).keys() - whole.keys())
        sys.modules.update({name: before[name] for name in before.keys() - whole.keys()})


def _load_what_can_be(finder: _Finder) -> None:
    """Let `finder` have as little in the place of `mamba_ssm` as is needed to load the rest."""
    others = [package for package in finder.packages if package != "mamba_ssm"]
    for needed in ([_IN_TRITON], [_IN_TRITON, _ON_TRANSFORMERS]):
        finder.packages = [*others, *needed]
        if _import("mamba_ssm") is not None:
            return
        _remove(_loaded(["mamba_ssm"]))
    finder.packages = [*others, "mamba_ssm"]
    there = importlib.machinery.PathFinder.find_spec("mamba_ssm")
    if there is not None:
        warnings.warn(
            f"{there.origin} can't be loaded, so canthus's own Mamba takes its place; if yours is a fork that computes "
            "something else, see why `import mamba_ssm` fails",
            stacklevel=6,
        )


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules below some packages, and makes them of what canthus has in their place.

    Those that a GPU's compilers are needed for have whatever is asked of them, `missing` where canthus has nothing.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = packages

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not _is_in(name, self.packages) or not (name in MODULES or _is_in(name, [_IN_TRITON])):
            return None
        return importlib.machinery.ModuleSpec(name, self, origin="canthus", is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        vars(module).update(MODULES.get(name, {}))
        if _is_in(name, [_IN_TRITON]):

            def other(member: str) -> Any:
                if member.startswith("__"):
                    raise AttributeError(member)
                return missing(f"{name}.{member}")

            vars(module)["__getattr__"] = other


def _import(name: str) -> ModuleType | None:
    """The module; None where it isn't installed, or can't be loaded here for want of a GPU."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError, AttributeError):
        return None


def _is_in(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _loaded(packages: Iterable[str]) -> dict[str, ModuleType]:
    return {name: module for name, module in list(sys.modules.items()) if _is_in(name, packages)}


def _remove(names: Iterable[str]) -> None:
    for name in list(names):
        module = sys.modules.pop(name)
        package, _, leaf = name.rpartition(".")
        if vars(sys.modules.get(package, object)).get(leaf) is module:
            delattr(sys.modules[package], leaf)
