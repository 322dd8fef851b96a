"""The operators that are scans, and how their inputs are laid out."""

from __future__ import annotations

from typing import NamedTuple

from canthus_exporter.selective_scan_body import INPUTS
from canthus_exporter.ssd_body import SSD_INPUTS


class Scan(NamedTuple):
    """Of an operator.

    Attributes:
        inputs: their names, in order.
        with_tokens: those that always have an axis of tokens.
        tokens_axis: which axis that is.
        axes: what the axes of the first input are.
    """

    inputs: tuple[str, ...]
    with_tokens: tuple[str, ...]
    tokens_axis: int
    axes: str


SCANS = {
    # B and C have tokens, too, where they have more than two axes.
    "SelectiveScan": Scan(INPUTS, ("u", "delta", "z"), -1, "(batch, channels, tokens)"),
    "Ssd": Scan(SSD_INPUTS, ("x", "dt", "B", "C"), 1, "(batch, tokens, heads, head size)"),
}
