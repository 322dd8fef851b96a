"""Which process is given which clip."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
from canthus_model.train.sampler import InOrderSampler, TrainingSampler


def batches(sampler, share):
    keys = list(sampler)
    assert len(keys) == len(sampler)
    return [set(keys[i : i + share]) for i in range(0, len(keys), share)]


def test_every_sequence_once_an_epoch_in_another_order_each_time():
    sampler, orders = TrainingSampler(60, 12, seed=1), []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert {e for e, _ in keys} == {epoch}
        orders.append([index for _, index in keys])
        assert sorted(orders[-1]) == list(range(60))
    assert orders[0] != orders[1] != orders[2]
    assert [index for _, index in TrainingSampler(60, 12, seed=1)] == orders[0]
    assert [index for _, index in TrainingSampler(60, 12, seed=2)] != orders[0]


@pytest.mark.parametrize("count, batch", [(60, 12), (15, 8), (9, 8), (1638, 64)])
@pytest.mark.parametrize("world", [2, 4])
def test_batches_are_the_same_sets_on_any_number_of_processes(count, batch, world):
    alone = batches(TrainingSampler(count, batch, seed=0), batch)
    shares = [batches(TrainingSampler(count, batch, 0, rank, world), batch // world) for rank in range(world)]
    assert len(alone) == count // batch
    assert [set.union(*parts) for parts in zip(*shares, strict=True)] == alone
    assert all(len(part) == batch // world for share in shares for part in share)


@pytest.mark.parametrize("count, world", [(10, 1), (10, 4), (1, 2), (8, 2)])
def test_testing_counts_every_sequence_once_on_any_number_of_processes(count, world):
    counted, lengths = [], set()
    for rank in range(world):
        sampler = InOrderSampler(count, rank, world)
        keys = list(sampler)
        lengths.add(len(keys))
        real = [*sampler.is_real(0, 1), *sampler.is_real(1, len(keys) - 1)]
        counted += [index for (_, index), counts in zip(keys, real, strict=True) if counts]
    assert sorted(counted) == list(range(count))
    assert len(lengths) == 1
