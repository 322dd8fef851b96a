"""An engine answers as the network does, and says what is wrong with what it is given."""

import subprocess
import sys

import numpy as np
import onnx
import pytest

import canthus
from bundles import engine_of
from canthus.network import open_network
from canthus.operators import library_path
from canthus.runtimes.onnxruntime import OnnxRuntime, open_session


@pytest.fixture(scope="module", params=["operators", "portable"])
def engine(request, small_bundle):
    """The same bundle, with canthus's kernels and with the function bodies alone."""
    operators = library_path() if request.param == "operators" else None
    return engine_of(canthus.read_bundle(small_bundle), OnnxRuntime(operators))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 3, 2, 100, 100), dtype=np.uint8)


def test_answers_as_the_network(engine, request, images):
    torch = pytest.importorskip("torch")
    small_network = request.getfixturevalue("small_network")
    frame, event = images
    expected = small_network(torch.from_numpy(frame), torch.from_numpy(event)).numpy()
    answer = engine.react(frame[:, 1], event[:, 1], engine.prime(frame[:, 0], event[:, 0]))
    assert np.abs(answer.logits - expected).max() <= 1e-3
    assert answer.logits.dtype == answer.probabilities.dtype == answer.experts.dtype == np.float32
    np.testing.assert_allclose(answer.probabilities.sum(1), 1, rtol=1e-5)
    assert answer.experts.shape == (3, 8)
    assert ((answer.experts > 0).sum(1) == 2).all()
    last = small_network.stages(torch.from_numpy(frame), torch.from_numpy(event))
    assert np.abs(answer.last.frame - last["last_frame"].numpy()).max() <= 1e-4
    assert np.abs(answer.last.event - last["last_event"].numpy()).max() <= 1e-4


def test_single_images_and_batches_agree(engine, images):
    frame, event = images
    batch = engine.react(frame[:, 1], event[:, 1], engine.prime(frame[:, 0], event[:, 0]))
    for i in range(3):
        single = engine.react(frame[i, 1], event[i, 1], engine.prime(frame[i, 0], event[i, 0]))
        np.testing.assert_allclose(single.logits[0], batch.logits[i], atol=1e-4)


def test_images_that_are_not_contiguous(engine, images):
    frame, event = images[0, 0, 0], images[1, 0, 0]
    wide = np.repeat(frame, 2, axis=1)[:, ::2]
    assert not wide.flags.c_contiguous
    np.testing.assert_array_equal(engine.prime(wide, event).frame, engine.prime(frame, event).frame)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((100, 100), np.float32), "float32, not a numpy array of uint8"),
        (np.zeros((99, 100), np.uint8), r"shape \(99, 100\), not .*\(100, 100\)"),
        (np.zeros((100, 100, 3), np.uint8), r"shape \(100, 100, 3\)"),
        ([[0]], "list, not a numpy array"),
    ],
)
def test_wrong_images(engine, image, message):
    good = np.zeros((100, 100), np.uint8)
    with pytest.raises(canthus.FrameError, match=f"the frame is .*{message}"):
        engine.prime(image, good)
    with pytest.raises(canthus.FrameError, match=f"the event image is .*{message}"):
        engine.prime(good, image)


def test_counts_that_differ(engine, images):
    frame, event = images
    with pytest.raises(canthus.FrameError, match="3 frames but 2 event images"):
        engine.prime(frame[:, 0], event[:2, 0])
    with pytest.raises(canthus.FrameError, match="a batch of no images"):
        engine.prime(frame[:0, 0], event[:0, 0])
    first = engine.prime(frame[:2, 0], event[:2, 0])
    with pytest.raises(canthus.EngineError, match="3 images and the features of 2 first moments"):
        engine.react(frame[:, 1], event[:, 1], first)


def test_unknown_backend_and_no_threads(small_bundle):
    with pytest.raises(canthus.EngineError, match="'hal9000'; there are auto, onnxruntime"):
        canthus.load(small_bundle, backend="hal9000")
    with pytest.raises(canthus.EngineError, match="threads is 0"):
        canthus.load(small_bundle, threads=0)
    with pytest.raises(canthus.EngineError, match=r"threads is 100000; this machine has \d+ cores, and more than \d+"):
        canthus.load(small_bundle, threads=100_000)


def test_graph_that_is_none(small_bundle):
    graphs = canthus.read_bundle(small_bundle).graphs()
    unknown = onnx.load_from_string(graphs["head"])
    unknown.graph.node[0].op_type = "Conf"
    for part, graph, says in (
        ("first_frame", b"junk", "ONNX Runtime .* can't run it"),
        ("last_event", graphs["head"], "takes first_frame, .* and gives logits, .*, not image and features; export"),
        ("head", graphs["last_event"], "takes image and gives features, not first_frame, .* and logits, .*; export"),
        ("head", unknown.SerializeToString(), "ONNX Runtime .* can't run it"),
    ):
        with pytest.raises(canthus.EngineError, match=rf"{part}\.onnx: {says}"):
            open_network(OnnxRuntime(library_path()), {**graphs, part: graph}, 1)


def test_graph_can_not_read_files(tmp_path, monkeypatch):
    """Weights kept in another file would let a bundle read this machine's files."""
    monkeypatch.chdir(tmp_path)
    np.arange(4, dtype=np.float32).tofile("secret.bin")
    weight = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4])
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "secret.bin"), ("offset", "0"), ("length", "16")):
        weight.external_data.add(key=key, value=value)
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4])
    node = onnx.helper.make_node("Identity", ["w"], ["y"])
    graph = onnx.helper.make_graph([node], "reader", [], [output], [weight])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    with pytest.raises(canthus.EngineError, match="External data path"):
        open_session("head.onnx", model.SerializeToString(), 1, None)


def test_device_path_never_imports_torch(small_bundle):
    code = (
        "import sys, numpy as np, canthus\n"
        f"engine = canthus.load({str(small_bundle)!r})\n"
        "image = np.zeros(engine.image_size, np.uint8)\n"
        "engine.react(image, image, engine.prime(image, image))\n"
        "print(sorted({'torch', 'onnx', 'onnxscript', 'PIL', 'dv_processing', 'rich'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
