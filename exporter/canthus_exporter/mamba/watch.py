"""Watches a network run: its selective scans, and loops over tokens, which tracing would write down step by step."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from canthus_exporter.cause import is_users, line_of
from canthus_exporter.selective_scan_body import BLOCK as SCAN_BLOCK
from canthus_exporter.selective_scan_body import WHOLE
from canthus_exporter.ssd_body import BLOCK as SSD_BLOCK

_FEWEST = 8
"""Steps that make a loop over tokens; over directions or heads there are fewer."""


class Watch(TorchDispatchMode):
    """While it lasts, counts selective scans, Mamba-2's too, and sees whether tokens are taken one by one.

    Tokens are along any axis but the first, which is the batch's, or that of layers' weights and states.

    Attributes:
        scans: how many there were.
        most_states: numbers that the body of the largest one has to keep at a time, for all states of all tokens that
            it takes at once.
        loop: where the longest loop is, and how many steps it has; None without one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scans = self.most_states = 0
        self.loop: tuple[str, int] | None = None
        self._next: dict[tuple[str, int], int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.canthus.selective_scan.default:
            self.scans += 1
            u, states = args[0], args[2].shape[1]
            at_once = u.shape[2] if u.shape[2] <= WHOLE else SCAN_BLOCK
            self.most_states = max(self.most_states, u.shape[0] * u.shape[1] * at_once * states + u.numel())
        elif func is torch.ops.canthus.ssd.default:
            self.scans += 1
            x, dt, B = args[0], args[1], args[3]
            of_blocks = x.numel() * -(-B.shape[3] // SSD_BLOCK)
            self.most_states = max(self.most_states, of_blocks + dt.numel() * SSD_BLOCK)
        elif func is torch.ops.aten.select.int and args[1] % args[0].dim():
            self._select(args[0].shape[args[1]], args[2])
        elif func is torch.ops.aten.unbind.int and len(args) > 1 and args[1] % args[0].dim():
            self._found(args[0].shape[args[1]])
        return func(*args, **(kwargs or {}))

    def _select(self, size: int, index: int) -> None:
        """All of an axis, one after another, by the same line."""
        place = _place(), size
        if index in (0, self._next.get(place)):
            self._next[place] = index + 1
            if index + 1 == size:
                self._found(size)

    def _found(self, steps: int) -> None:
        if steps >= _FEWEST and steps > (self.loop[1] if self.loop else 0):
            self.loop = _place(), steps


def _place() -> str:
    """The line of the user's that is running."""
    frame = sys._getframe(1)
    while frame.f_back and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return line_of(frame.f_code.co_filename, frame.f_lineno)
