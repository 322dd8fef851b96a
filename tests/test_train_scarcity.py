"""That cores are scarce is told once, from what Linux counts."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
from canthus_model.train.scarcity import Scarcity, Spent, spent


def told_of(epochs, first=True):
    """What is said of epochs that took so long: pairs (computing, waiting), in seconds."""
    times, said = [Spent(5, 7)], []
    for seconds in epochs:
        computing, waiting = (second * 1_000_000_000 for second in seconds)
        times += [Spent(times[-1].computing + computing, times[-1].waiting + waiting)] * 2
    callback = Scarcity(said.append, iter(times).__next__)
    for epoch in range(len(epochs)):
        trainer = SimpleNamespace(current_epoch=epoch, is_global_zero=first)
        callback.on_train_epoch_start(trainer, None)
        callback.on_train_epoch_end(trainer, None)
    return said


def test_it_is_told_once():
    (said,) = told_of([(100, 0), (100, 10), (100, 100), (100, 200)])
    assert said.startswith("epoch 3 was slow for want of cores: threads of this training waited for one for 50%")
    assert "--threads 1" in said


@pytest.mark.parametrize("epochs", [[(100, 300)], [(100, 300), (100, 40), (100, 0)], [(4, 4), (4, 4)]])
def test_what_isnt_told(epochs):
    assert told_of(epochs) == []


def test_one_of_several_processes_tells():
    assert told_of([(100, 300)] * 3, first=False) == []


def test_where_the_system_does_not_tell():
    said = []
    callback = Scarcity(said.append, lambda: None)
    for epoch in range(3):
        trainer = SimpleNamespace(current_epoch=epoch, is_global_zero=True)
        callback.on_train_epoch_start(trainer, None)
        callback.on_train_epoch_end(trainer, None)
    assert said == []


def test_computing_counts():
    before = spent()
    if before is None:
        pytest.skip("this system doesn't count it")
    sum(range(3_000_000))
    assert spent().computing > before.computing + 10_000_000
