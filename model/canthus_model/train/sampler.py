"""Which clips each process is given, and in what order; batches don't depend on the number of processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch


class TrainingSampler(torch.utils.data.Sampler[tuple[int, int]]):
    """Keys (epoch, index) of one process, in an order drawn from seed and epoch.

    Batch k of all processes together is the same set of clips however many processes there are. Every batch
    is whole: the few sequences left over are others in each epoch.
    """

    def __init__(self, count: int, batch: int, seed: int, rank: int = 0, world: int = 1) -> None:
        """`count` sequences in batches of `batch`, over `world` processes of which this is number `rank`.

        `batch` must be a multiple of `world`.
        """
        self._count, self._used, self._seed, self._rank, self._world = count, count // batch * batch, seed, rank, world
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes next; Lightning calls it before each."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._used // self._world

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._count)
        for index in order[self._rank : self._used : self._world]:
            yield self._epoch, int(index)


class InOrderSampler(torch.utils.data.Sampler[tuple[int, int]]):
    """Keys (0, index) of one process, in order. Every process is given equally many; `is_real` tells repeats."""

    def __init__(self, count: int, rank: int = 0, world: int = 1) -> None:
        self._count, self._rank, self._world = count, rank, world

    def __len__(self) -> int:
        return -(-self._count // self._world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for place in range(self._rank, len(self) * self._world, self._world):
            yield 0, place % self._count

    def is_real(self, first: int, number: int) -> torch.Tensor:
        """Which of `number` keys from the process's `first` on aren't repeats that fill up: bool (number,)."""
        return (torch.arange(first, first + number) * self._world + self._rank) < self._count
