"""What a moment takes on each of some networks, and on the fastest encoders of all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from canthus.network import PartsNetwork
from canthus.parts import ENCODERS
from canthus.runtimes import Network
from canthus.verify import Golden

_ROUNDS = 15
"""In which networks take turns; half a second for two of the paper's size."""
_ENCODER_ROUNDS = 5
"""Fewer: what they lead to is measured again, as a whole."""


def milliseconds(networks: Sequence[Network], golden: Golden) -> list[float]:
    """What `prime` and `react` take together, the median."""
    frame, event = golden.frame[:1], golden.event[:1]

    def moment(network: Network) -> None:
        network.react(frame[:, 1], event[:, 1], *network.prime(frame[:, 0], event[:, 0]))

    return _medians([partial(moment, network) for network in networks], _ROUNDS)


def of_the_fastest_encoders(networks: Collection[Network], golden: Golden) -> PartsNetwork | None:
    """The network of the encoders that are the fastest; None if all are of one network."""
    whole = [network for network in networks if isinstance(network, PartsNetwork)]
    if len(whole) < 2:
        return None
    fastest = {}
    for part in ENCODERS:
        images = golden.images(part)[:1]
        takes = _medians([partial(network.encoders[part].encode, images) for network in whole], _ENCODER_ROUNDS)
        fastest[part] = whole[takes.index(min(takes))]
    of = list(dict.fromkeys(fastest.values()))
    if len(of) == 1:
        return None
    encoders = {part: network.encoders[part] for part, network in fastest.items()}
    return PartsNetwork("+".join(network.name for network in of), encoders, of[0].head, at_once=of[0].at_once)


def _medians(ways: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """In milliseconds. They take turns, so that what else the machine does hits all alike."""
    spent: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, times in zip(ways, spent, strict=True):
            start = time.perf_counter()
            way()
            times.append(1000 * (time.perf_counter() - start))
    return [statistics.median(times) for times in spent]
