"""What has threads doesn't survive a fork: they stay behind, and to end it would be to wait for them for ever."""

from __future__ import annotations

import ctypes
import os
import weakref

_with_threads: weakref.WeakSet[object] = weakref.WeakSet()


def has_threads(thing: object) -> None:
    """In a process that is forked from this one, `thing` will never be ended, not even with the process."""
    _with_threads.add(thing)


def _never_end() -> None:
    for thing in _with_threads:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_never_end)
