"""Folding changes no answer, and leaves out every weight that it can."""

import pytest
import torch

from canthus_exporter.fold import fold
from canthus_exporter.fold_head import FoldedExperts, FoldedFusion, FoldedMamba


@pytest.fixture(scope="module")
def images():
    torch.manual_seed(0)
    return torch.randint(0, 256, (2, 3, 2, 100, 100), dtype=torch.uint8)


def close(computed, expected):
    return (computed - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_folded_network_answers_as_the_unfolded(small_network, images):
    frame, event = images
    expected = small_network.stages(frame, event)
    parts = fold(small_network)
    features = {
        "first_frame": parts["first_frame"](frame[:, 0]),
        "first_event": parts["first_event"](event[:, 0]),
        "last_frame": parts["last_frame"](frame[:, 1]),
        "last_event": parts["last_event"](event[:, 1]),
    }
    for part, own in features.items():
        assert close(own, expected[part])
    logits, probabilities, experts = parts["head"](**features)
    assert close(logits, expected["logits"])
    assert close(probabilities, expected["logits"].softmax(-1))
    weights = expected["router_logits"].softmax(-1)
    chosen = experts > 0
    assert chosen.sum(1).tolist() == [2, 2, 2]
    assert close(experts[chosen], weights[chosen])


def test_folded_mamba(small_network):
    torch.manual_seed(1)
    frame, event = torch.randn(2, 3, 100, 4)
    expected = torch.cat(small_network.MCO(frame, event), 2) + torch.cat((frame, event), 2)
    folded = FoldedMamba(small_network.MCO.cross_matrix_mamba)
    assert close(folded(torch.cat((frame, event), 2)), expected)


def test_folded_fusion(small_network):
    torch.manual_seed(2)
    frame, event = torch.randn(2, 3, 100, 4)
    folded = FoldedFusion(small_network.MCIB, small_network.fusion_proj[0])
    expected = small_network.fusion_proj(small_network.MCIB(frame, event).flatten(1))
    assert close(folded(torch.cat((frame, event), 2)), expected)


def test_folded_experts_each_by_itself(small_network):
    """Every expert's answer and the router, so that an error in a seldom chosen one can't hide."""
    torch.manual_seed(3)
    fused = torch.randn(64, small_network.config.moe_width)
    logits, weights = FoldedExperts(small_network.moe)(fused)
    expected, _ = small_network.moe(fused)
    assert (weights > 0).any(0).all(), "some expert is never chosen: this test would miss it"
    assert close(logits, expected)


def test_padding_is_the_mean_in_raw_space(small_network):
    """A black image is not what the convolution's padding is: its border must not look like its middle."""
    black = torch.zeros(1, 100, 100, dtype=torch.uint8)
    parts = fold(small_network)
    assert close(parts["first_frame"](black), small_network.res00(black))
    assert close(parts["first_event"](black), small_network.res10(black))
