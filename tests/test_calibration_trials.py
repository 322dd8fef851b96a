"""Trials of which layers stay in float: encoders that are as in an earlier trial aren't run again."""

import numpy as np
import onnx
import pytest

import canthus
from canthus_calibration import network as network_module
from canthus_calibration.network import Network, answers_of
from canthus_calibration.subsets import Drawn
from canthus_calibration.targets import TARGETS
from canthus_calibration.trials import Trials

torch = pytest.importorskip("torch")


def test_an_encoder_is_run_again_only_if_its_layers_changed(small_bundle, monkeypatch):
    graphs = {part: onnx.load_from_string(graph) for part, graph in canthus.read_bundle(small_bundle).graphs().items()}
    network = Network(graphs, TARGETS["x86"])
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 2, 100, 100), np.uint8)
    clips = Drawn(*images, np.arange(8) % 4, np.zeros(8, np.int64), (), "")
    ranges = network.observe(clips, "minmax", lambda done, total: None)
    ran = []
    encoded = network_module._encoded
    monkeypatch.setattr(network_module, "_encoded", lambda part, *rest: ran.append(part) or encoded(part, *rest))
    trials = Trials(network, ranges, clips)
    first = [layer for layer in network.layers if layer.part == "first_frame"]
    last = [layer for layer in network.layers if layer.part == "last_event"]
    for in_float, runs in (([], 4), (first, 1), ([*first, *last], 1), (first, 0), (last, 0), (last[:1], 1)):
        ran.clear()
        answers = trials.answers(in_float)
        assert len(ran) == runs, in_float
        np.testing.assert_array_equal(answers, answers_of(network.quantised(ranges, in_float), clips))
