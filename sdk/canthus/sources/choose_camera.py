"""Which camera, where there are several."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from canthus.errors import SourceError

_BOTH = {"events", "frames"}


def choose_camera(cameras: Mapping[str, set[str]], wanted: str | None) -> str:
    """The camera that was asked for, or the only one that gives events and frames.

    Args:
        cameras: what each gives, of "events" and "frames", by its name.
        wanted: a name; None for whichever is the only one.

    Raises:
        SourceError: there is none such, or several. The message begins after the source's name.
    """
    if wanted is not None and wanted not in cameras:
        raise SourceError(f"no camera is called {wanted!r}; there {_are(cameras)}")
    usable = [name for name, gives in cameras.items() if gives >= _BOTH and wanted in (None, name)]
    if len(usable) == 1:
        return usable[0]
    if usable:
        raise SourceError(
            f"there {_are(cameras)}: which eye do you mean? choose one: --camera={shlex.quote(shown(usable[0]))}, or "
            f"canthus.open(..., camera={usable[0]!r})"
        )
    lacks = ", ".join(
        f"{shown(name)} has no {' and no '.join(sorted(_BOTH - gives))}"
        for name, gives in cameras.items()
        if wanted in (None, name)
    )
    raise SourceError(f"{lacks}; canthus needs a camera that gives both (a DAVIS)")


def shown(name: str) -> str:
    """A name from a file, so that a terminal only shows it."""
    return name if name.isprintable() else repr(name)


def _are(cameras: Mapping[str, set[str]]) -> str:
    return f"{'is' if len(cameras) == 1 else 'are'} {', '.join(map(shown, cameras)) or 'none'}"
