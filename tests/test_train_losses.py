"""What training adds to the published loss, so that a network uses both modalities and all of its experts."""

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402

from canthus_model.config import EXPERTS, NO_EVENT, SMALL  # noqa: E402
from canthus_model.network import MCOENet  # noqa: E402
from canthus_model.train import noise  # noqa: E402
from canthus_model.train.leave_out import leave_out  # noqa: E402
from canthus_model.train.losses import Readouts, unbalance  # noqa: E402
from canthus_model.train.noise import add_noise  # noqa: E402

CLIPS = 6
ALL = {kind: torch.ones(CLIPS, dtype=torch.bool) for kind in ("frame", "event")}


@pytest.fixture
def learning():
    """A network, read-outs, what it makes of a batch, and the labels."""
    torch.manual_seed(1)
    network, readouts = MCOENet(SMALL), Readouts(SMALL, 7)
    frame, event = (torch.randint(0, 256, (CLIPS, 2, 32, 32)).float() for _ in range(2))
    return network, readouts, network.encode(frame, event), torch.arange(CLIPS)


def learns(module):
    return any(tensor.grad is not None and tensor.grad.abs().max() > 0 for tensor in module.parameters())


def test_each_modalitys_encoders_learn_from_it_alone(learning):
    network, readouts, features, label = learning
    readouts.loss(features, label, ALL | {"event": ~ALL["event"]}).backward()
    assert learns(network.res00) and learns(network.res01)
    assert not learns(network.res10) and not learns(network.res11)
    assert not learns(network.fusion_proj)


def test_the_losses_of_both_add_up(learning):
    _, readouts, features, label = learning
    nobody = {kind: ~shown for kind, shown in ALL.items()}
    frame, event = (readouts.loss(features, label, nobody | {kind: ALL[kind]}) for kind in ALL)
    torch.testing.assert_close(readouts.loss(features, label, ALL), frame + event)
    assert readouts.loss(features, label, nobody) == 0


def test_a_readout_that_is_certain_and_right_loses_nothing(learning):
    _, readouts, features, label = learning
    told = {name: 100 * F.one_hot(label, SMALL.features).float() for name in features}
    for layer in readouts._layers.values():
        torch.nn.init.zeros_(layer.bias)
        layer.weight.data = torch.eye(7, 2 * SMALL.features)
    assert readouts.loss(told, label, ALL) < 1e-3
    assert readouts.loss(told, label.roll(1), ALL) > 100


def test_some_clips_lose_their_frames_and_as_many_others_their_events():
    torch.manual_seed(0)
    images = torch.full((4000, 2, 2, 2), 50.0)
    frame, event, shown = leave_out(images, images, 0.2)
    for kind, shows, nothing in (("frame", frame, 0), ("event", event, NO_EVENT)):
        assert abs(shown[kind].float().mean() - 0.8) < 0.03
        assert (shows[shown[kind]] == 50).all() and (shows[~shown[kind]] == nothing).all()
    assert (shown["frame"] | shown["event"]).all()


def test_where_none_is_left_out_chance_is_not_asked():
    images = torch.randint(0, 256, (CLIPS, 2, 4, 4), dtype=torch.uint8)
    before = torch.get_rng_state()
    frame, event, shown = leave_out(images, images, 0.0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(frame, images) and torch.equal(event, images) and all(kept.all() for kept in shown.values())


def test_unbalance_is_1_where_all_experts_are_asked_alike_and_more_where_few_are():
    alike = torch.eye(EXPERTS) + torch.eye(EXPERTS).roll(1, 1)  # each expert is among the best two of two clips
    torch.testing.assert_close(unbalance(5 * alike), torch.tensor(1.0))
    few = torch.zeros(16, EXPERTS)
    few[:, :2] = 20
    torch.testing.assert_close(unbalance(few), torch.tensor(EXPERTS / 2), atol=1e-3, rtol=0)


def test_unbalance_pushes_the_router_away_from_those_it_asks_most():
    logits = torch.tensor([[2.0, 1, 0, 0, 0, 0, 0, 0]] * 4, requires_grad=True)
    unbalance(logits).backward()
    assert (logits.grad[:, :2] > 0).all() and (logits.grad[:, 2:] < 0).all()


def test_noise_is_of_the_strength_it_says_and_of_its_own_for_each_clip():
    torch.manual_seed(0)
    images = torch.full((200, 2, 20, 20), NO_EVENT, dtype=torch.uint8)
    for noisy, most in zip(add_noise(images, images, 0.5), (noise.FRAME_NOISE / 2, noise.EVENT_NOISE / 2), strict=True):
        deviation = noisy.std((1, 2, 3))
        assert abs(noisy.mean() - NO_EVENT) < 0.1
        assert deviation.max() <= 1.1 * most and abs(deviation.mean() - most / 2) < 0.1 * most
        assert (noisy[:, 0] != noisy[:, 1]).float().mean() > 0.99


def test_noise_stays_within_grey_levels():
    frame, event = add_noise(torch.zeros(20, 2, 8, 8), torch.full((20, 2, 8, 8), 255.0), 1.0)
    assert frame.min() == 0 and frame.max() > 0.5
    assert event.max() == 255 and event.min() < 250
