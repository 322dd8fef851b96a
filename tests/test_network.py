"""The network against tensors that the published one computed."""

import numpy as np
import pytest
import torch
import weights

from canthus_model.config import SMALL
from canthus_model.experts import top_experts
from canthus_model.network import MCOENet

STAGES = (
    *("first_frame", "last_frame", "first_event", "last_event", "mco_frame", "mco_event"),
    *("mcib", "fused", "router_logits", "logits"),
)


@pytest.fixture(scope="module", params=["square", "batch", "wide"])
def case(request, cases):
    """One parity case, and every stage as we compute it with the same weights."""
    expected = {name.partition("/")[2]: a for name, a in cases.items() if name.startswith(request.param)}
    with torch.device("meta"):
        network = MCOENet()
    state = weights.state_dict(int(expected["seed"]))
    network.load_state_dict({name: torch.as_tensor(array) for name, array in state.items()}, assign=True)
    network.eval()
    with torch.inference_mode():
        computed = network.stages(torch.from_numpy(expected["frame"]), torch.from_numpy(expected["event"]))
    return expected, computed


def test_every_stage_equals_the_published_network(case):
    expected, computed = case
    for stage in STAGES:
        difference = np.abs(computed[stage].numpy() - expected[stage]).max()
        assert difference <= 1e-4 * np.abs(expected[stage]).max(), stage


def test_keys_are_the_published_ones():
    with torch.device("meta"):
        state = MCOENet().state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == dict(weights.names_and_shapes())


def test_small_preset_is_small():
    with torch.device("meta"):
        network = MCOENet(SMALL)
    assert sum(p.numel() for p in network.parameters()) * 4 <= 4e6


def test_small_network_trains():
    """One step down the gradient lowers the loss: the scan's gradient reaches every encoder."""
    torch.manual_seed(0)
    network = MCOENet(SMALL).train()
    frame, event = torch.randint(0, 256, (2, 4, 2, 64, 64), dtype=torch.uint8)
    wanted = torch.tensor([0, 1, 2, 3])

    def loss():
        torch.manual_seed(1)  # the same dropout both times
        return torch.nn.functional.cross_entropy(network(frame, event), wanted)

    before = loss()
    before.backward()
    for encoder in (network.res00, network.res01, network.res10, network.res11):
        assert encoder.resnet.conv1.weight.grad.abs().sum() > 0
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 1e-3 * parameter.grad
    assert loss() < before


def test_top_experts_are_kept_as_they_are():
    logits = torch.tensor([[0.0, 3.0, 1.0, 2.0, -1.0, 0.5, 0.2, 0.1]])
    kept = top_experts(logits)
    everything = logits.softmax(-1)
    assert kept.nonzero()[:, 1].tolist() == [1, 3]
    assert torch.equal(kept[0, [1, 3]], everything[0, [1, 3]])
