"""An encoder's graph with another one's weights is the graph that the other one is traced to."""

import pytest
import torch
from torch import nn

from canthus.parts import signature
from canthus_exporter.fold import fold
from canthus_exporter.trace import trace, with_weights

SIZE = (40, 48)


def traced(encoder, part):
    batch, example = torch.export.Dim("batch", min=1), torch.zeros(2, *SIZE, dtype=torch.uint8)
    return trace(encoder, [example], *signature(part), dynamic_shapes=[{0: batch}])


@pytest.fixture(scope="module")
def parts(small_network):
    return fold(small_network)


@pytest.fixture(scope="module")
def frame_graph(parts):
    return traced(parts["first_frame"], "first_frame")


def test_it_is_what_tracing_gives(parts, frame_graph):
    """Frames and events are normalised otherwise, so this is about the images' mean, too."""
    before = frame_graph.SerializeToString(deterministic=True)
    given = with_weights(frame_graph, parts["first_event"])
    assert given.SerializeToString() == traced(parts["first_event"], "first_event").SerializeToString()
    assert frame_graph.SerializeToString(deterministic=True) == before != given.SerializeToString(deterministic=True)


def test_weights_that_the_graph_does_not_name_have_to_be_traced(parts, frame_graph):
    assert with_weights(frame_graph, nn.Sequential(parts["first_event"])) is None
