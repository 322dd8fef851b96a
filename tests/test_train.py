"""Training on pictures made in memory: what is written, that it goes on exactly, and how it refuses."""

import math
import os
import re
import resource
import sys
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
from canthus.cli import main  # noqa: E402
from canthus.errors import CheckpointError, TrainingError  # noqa: E402
from canthus_model.checkpoint import load_network, read_facts  # noqa: E402
from canthus_model.config import EVENT, FRAME, LABELS, SMALL, NetworkConfig  # noqa: E402
from canthus_model.facts import Facts  # noqa: E402
from canthus_model.network import MCOENet  # noqa: E402
from canthus_model.see.moments import Sample  # noqa: E402
from canthus_model.train.checkpointing import PublishedFormat  # noqa: E402
from canthus_model.train.encoder_weights import start_encoders  # noqa: E402
from canthus_model.train.machine import Machine  # noqa: E402
from canthus_model.train.recipe import EACH_MODALITY, SMALL_RECIPE  # noqa: E402
from canthus_model.train.resume import read_begun  # noqa: E402
from canthus_model.train.run import train  # noqa: E402

SIZE = (32, 32)
EPOCHS = 3
PLAIN = replace(SMALL_RECIPE, **dict.fromkeys(EACH_MODALITY, 0.0))
TRAINED_FACTS = Facts(SIZE, LABELS, {"frame": FRAME, "event": EVENT}, window_us=33_000, span_us=400_000, held_back=())


class Pictures(torch.utils.data.Dataset):
    """Noise with a bar at a place that tells the label, another noise in each epoch."""

    def __init__(self, count=16, broken_epoch=None):
        self.count, self.broken_epoch, self.asked = count, broken_epoch, []

    def __len__(self):
        return self.count

    def __getitem__(self, key):
        self.asked.append(key)
        epoch, index = key
        images = np.random.default_rng([epoch, index]).integers(0, 100, (2, 2, *SIZE)).astype(np.uint8)
        images[:, :, :, index % 7 * 4 : index % 7 * 4 + 4] = 255
        frame, event = torch.from_numpy(images)
        frame = frame * torch.nan if epoch == self.broken_epoch else frame
        return Sample(frame, event, torch.tensor(index % 7), torch.tensor(index))


def run(
    folder,
    epochs=EPOCHS,
    training=None,
    testing=None,
    config=SMALL,
    labels=LABELS,
    seed=0,
    resume=False,
    workers=0,
    volunteers=(),
    **recipe,
):
    recipe = replace(PLAIN, epochs=epochs, **{"batch": 4, "learning_rate": 3e-3} | recipe)
    config = replace(config, image_size=SIZE)
    machine = Machine("cpu", workers=workers)
    return train(
        training or Pictures(),
        testing or Pictures(7),
        labels,
        folder,
        config,
        recipe,
        seed=seed,
        machine=machine,
        resume=resume,
        volunteers=volunteers,
    )


def losses(text):
    return [float(loss) for loss in re.findall(r"epoch \d+ of \d+: loss (\d+\.\d+)", text)]


@contextmanager
def largest_file(size):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """So that a small network's many small sums don't wait for another core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    folder, pictures = tmp_path_factory.mktemp("train") / "run", Pictures()
    return run(folder, training=pictures), pictures


@pytest.fixture
def begun(tmp_path):
    """A run of which one epoch is finished."""
    run(tmp_path, epochs=1)
    return tmp_path


def test_published_format(whole_run):
    final, _ = whole_run
    assert final.name == "save_3.pth"
    assert {path.name for path in final.parent.iterdir()} == {
        "last.pth",
        "save_3.pth",
        "weights.pth",
        "curves.png",
        "tensorboard",
    }
    for path in (final, final.with_name("last.pth")):
        content = torch.load(path, weights_only=True)
        assert list(content) == ["epoch", "state_dict", "canthus", "optimizer", "scheduler", "lightning"]
        assert content["epoch"] == EPOCHS
        assert list(content["state_dict"]) == list(MCOENet(SMALL).state_dict())
        torch.optim.AdamW(MCOENet(SMALL).parameters()).load_state_dict(content["optimizer"])
        assert content["scheduler"]["last_epoch"] == EPOCHS
        rate = 3e-3 * SMALL_RECIPE.decay**EPOCHS
        assert content["scheduler"]["_last_lr"] == pytest.approx([rate])
    network = load_network(final)
    assert torch.equal(network.output.weight, content["state_dict"]["output.weight"])


def test_small_file_of_the_weights_and_what_they_were_trained_on(whole_run):
    final, small = whole_run[0], whole_run[0].with_name("weights.pth")
    content = torch.load(small, weights_only=True)
    assert list(content) == ["epoch", "state_dict", "canthus"]
    assert content["epoch"] == EPOCHS
    expected = torch.load(final, weights_only=True)["state_dict"]
    assert all(torch.equal(content["state_dict"][name], tensor) for name, tensor in expected.items())
    assert content["canthus"] == {
        "image_size": list(SIZE),
        "labels": list(LABELS),
        "normalisation": {
            "frame": {"mean": 0.22616537, "std": 0.118931554},
            "event": {"mean": 0.504413, "std": 0.06928615},
        },
        "window_us": 33_000,
        "span_us": 400_000,
        "held_back": [],
    }
    assert read_facts(small) == read_facts(final) == TRAINED_FACTS
    assert load_network(small).config.image_size == SIZE
    assert small.stat().st_size < final.stat().st_size / 2


def test_each_epoch_asks_for_each_sequence_once(whole_run):
    asked = whole_run[1].asked
    # Lightning makes an iterator it doesn't use, but asks it for nothing.
    assert sorted(asked) == [(epoch, index) for epoch in range(EPOCHS) for index in range(16)]
    assert [i for e, i in asked if e == 0] != [i for e, i in asked if e == 1]


def test_loss_falls(tmp_path, capsys):
    run(tmp_path, epochs=6, training=Pictures(28), decay=0.9, learning_rate=3e-3, reseat=False)
    out, error = capsys.readouterr()
    lines = [line for line in error.splitlines() if line.startswith("epoch ")]  # not what is said of scarce cores
    assert min(losses(error)) < 0.8 * losses(error)[0]  # batches of 4 may leap at the end
    assert re.fullmatch(
        r"epoch 2 of 6: loss \d\.\d{3}, training accuracy \d+\.\d %, \d+\.\d s, left about \d+ s", lines[1]
    )
    tested = [bool(re.search(r"testing loss \d+\.\d{3}, testing WAR \d+\.\d %, UAR \d+\.\d %", line)) for line in lines]
    assert tested == [False] * 4 + [True, True]
    assert re.fullmatch(r".*save_6\.pth: 6 epochs, \d+ s\n", out)


def test_going_on_is_the_same_as_never_having_stopped(whole_run, begun, capsys):
    run(begun, epochs=1 + 1, resume=True)
    capsys.readouterr()
    final = run(begun, resume=True)
    assert "epoch 3 of 3" in (error := capsys.readouterr().err) and "epoch 2" not in error
    expected, actual = (torch.load(path, weights_only=True) for path in (whole_run[0], final))
    for name, tensor in expected["state_dict"].items():
        assert torch.equal(actual["state_dict"][name], tensor), name
    assert actual["scheduler"] == expected["scheduler"]


def test_each_modality_goes_on_with_its_readouts_and_ships_none(tmp_path):
    whole = run(tmp_path / "whole", epochs=2, **EACH_MODALITY)
    begun = run(tmp_path / "begun", epochs=1, **EACH_MODALITY).parent
    weights = torch.load(begun / "weights.pth", weights_only=True)["state_dict"]
    assert weights.keys() == MCOENet(SMALL).state_dict().keys()
    final = run(begun, epochs=2, resume=True, **EACH_MODALITY)
    expected, actual = (torch.load(path, weights_only=True) for path in (whole, final))
    for name, tensor in expected["state_dict"].items():
        assert torch.equal(actual["state_dict"][name], tensor), name
    published = torch.load(run(tmp_path / "published", epochs=2), weights_only=True)["state_dict"]
    assert not torch.equal(published["res00.resnet.conv1.weight"], actual["state_dict"]["res00.resnet.conv1.weight"])


def test_what_each_modality_adds_is_not_in_the_loss_that_is_told(tmp_path, capsys):
    run(tmp_path, epochs=1, learning_rate=1e-9, **EACH_MODALITY)
    assert losses(capsys.readouterr().err) == [pytest.approx(math.log(7), abs=0.3)]  # it guesses, as it began


def test_readouts_that_became_none_are_not_written(tmp_path):
    tensors = {"network.a": torch.zeros(1), "readouts.b": torch.full((2,), math.nan)}
    checkpoint = {
        "state_dict": tensors,
        "epoch": 0,
        "hyper_parameters": {"image_size": [32, 32], "labels": LABELS},
        "optimizer_states": [{}],
        "lr_schedulers": [{}],
    }
    with pytest.raises(TrainingError, match=r"weights became NaN or infinite \(readouts\.b and 0 more\)"):
        PublishedFormat().save_checkpoint(checkpoint, tmp_path / "last.pth")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "holds a run already; go on with --resume"),
        ({"resume": True, "seed": 1}, "was trained with seed 0; this run has 1"),
        ({"resume": True, "batch": 8}, "was trained with batch 4; this run has 8"),
        ({"resume": True, "config": replace(SMALL, encoder_width=4)}, "trained with encoder_width 8; this run has 4"),
        ({"resume": True, "labels": LABELS[::-1]}, r"trained with labels \['angry'"),
        ({"resume": True, "training": Pictures(17)}, "trained with training sequences 16; this run has 17"),
        ({"resume": True, "left_out": 0.2}, r"trained with left_out 0\.0; this run has 0\.2"),
        ({"resume": True, "epochs": 1}, "has all of its 1 epochs already; more --epochs would go on"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_another_run_is_refused_and_nothing_lost(whole_run, options, message):
    last = whole_run[0].with_name("last.pth")
    before = last.read_bytes()
    with pytest.raises(TrainingError, match=message):
        run(last.parent, **{"epochs": EPOCHS} | options)
    assert last.read_bytes() == before


def test_a_run_of_before_all_was_written_down_goes_on(begun):
    path = begun / "last.pth"
    content = torch.load(path, weights_only=True)
    for name in ("epochs", "encoder weights", *EACH_MODALITY):
        del content["lightning"]["hyper_parameters"][name]
    torch.save(content, path)
    assert read_begun(path).settings.recipe == replace(PLAIN, batch=4, learning_rate=3e-3)
    assert torch.load(run(begun, epochs=2, resume=True), weights_only=True)["epoch"] == 2


@pytest.mark.parametrize("name", ["batch", "image_size", "labels", "seed"])
def test_settings_that_make_no_sense_are_one_clear_error(whole_run, tmp_path, name):
    content = torch.load(whole_run[0], weights_only=True)
    content["lightning"]["hyper_parameters"][name] = "odd"
    torch.save(content, tmp_path / "last.pth")
    with pytest.raises(CheckpointError, match="doesn't say what it was begun with"):
        read_begun(tmp_path / "last.pth")


def test_nothing_to_resume(tmp_path):
    with pytest.raises(TrainingError, match="nothing to go on with; leave out --resume"):
        run(tmp_path, resume=True)


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_hostile_checkpoint_runs_nothing(tmp_path):
    torch.save({"epoch": 1, "state_dict": {}, "lightning": Trap(str(tmp_path / "trapped"))}, tmp_path / "last.pth")
    with pytest.raises(CheckpointError, match="could run code; nothing was run"):
        run(tmp_path, resume=True)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda c: c.pop("lightning"), "not a checkpoint of canthus train"),
        (lambda c: c.pop("optimizer"), "not a checkpoint of canthus train"),
        (lambda c: c["lightning"].pop("loops"), "not a checkpoint of canthus train"),
        (lambda c: c["optimizer"].update(param_groups=[]), "can't go on from it"),
        (lambda c: c["state_dict"].pop("output.bias"), "missing: output.bias"),
    ],
)
def test_damaged_checkpoint_is_one_clear_error(whole_run, tmp_path, spoil, message):
    content = torch.load(whole_run[0], weights_only=True)
    spoil(content)
    torch.save(content, tmp_path / "last.pth")
    with pytest.raises(CheckpointError, match=message):
        run(tmp_path, epochs=EPOCHS + 1, resume=True)


def test_full_disk_leaves_the_last_good_checkpoint(begun, tmp_path):
    before = (begun / "last.pth").read_bytes()
    (begun / "last.pth.partial").write_bytes(b"of a killed run")
    with largest_file(1 << 20), pytest.raises(TrainingError, match=r"save_2\.pth: can't be written .*--resume"):
        run(begun, epochs=2, resume=True)
    assert (begun / "last.pth").read_bytes() == before
    written = {"last.pth", "save_1.pth", "weights.pth", "curves.png", "tensorboard"}
    assert {path.name for path in begun.iterdir()} == written


def test_loss_that_is_none_stops_training(tmp_path):
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch 2; .*smaller --learning-rate"):
        run(tmp_path, training=Pictures(broken_epoch=1))
    assert torch.load(tmp_path / "last.pth", weights_only=True)["epoch"] == 1
    load_network(tmp_path / "last.pth")


class Far(Pictures):
    """Pictures far brighter than any that it was trained on."""

    def __getitem__(self, key):
        sample = super().__getitem__(key)
        return sample._replace(frame=sample.frame.float() * 1e3)


def test_a_testing_loss_far_beyond_the_training_loss_is_told_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("canthus_model.train.run.LOOK_EVERY", 1)
    run(tmp_path / "far", epochs=3, testing=Far(7))
    error = capsys.readouterr().err
    losses = r"the testing loss is [\d,]+\.\d, and the training loss \d\.\d"
    told = re.findall(rf"^epoch 1: {losses}: .*--learning-rate", error, re.M)
    assert len(told) == error.count("are wild") == 1
    run(tmp_path / "near", epochs=2)
    assert "wild" not in capsys.readouterr().err


class Full(Pictures):
    """As PyTorch tells that a decoding process found /dev/shm full."""

    def __getitem__(self, key):
        raise RuntimeError(
            "unable to allocate shared memory(shm) for file </torch_1_2_0>: No space left on device (28)"
        )


def test_a_full_dev_shm_is_one_line_with_the_remedy(tmp_path):
    with pytest.raises(TrainingError) as raised:
        run(tmp_path, training=Full(), workers=1)
    assert re.fullmatch(r"/dev/shm, .* is full: give --workers 0, .*--shm-size.*", str(raised.value))


class Odd(Pictures):
    def __getitem__(self, key):
        raise RuntimeError("first line\nDataLoader worker: of another kind")


def test_what_a_decoding_process_says_is_told_in_a_line(tmp_path):
    with pytest.raises(
        TrainingError, match=r"^a decoding process ended \(.*of another kind\); fewer --workers"
    ) as raised:
        run(tmp_path, training=Odd(), workers=1)
    assert "\n" not in str(raised.value)


def test_a_start_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(TrainingError, match="the loss became nan in epoch 1"):
        run(tmp_path / "new" / "run", training=Pictures(broken_epoch=0))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes").touch()
    with pytest.raises(TrainingError, match="the loss became nan in epoch 1"):
        run(tmp_path / "run", training=Pictures(broken_epoch=0))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes"]


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    path = tmp_path / "last.pth"
    path.write_bytes(b"good")
    with pytest.raises(TrainingError, match="weights became NaN or infinite"):
        PublishedFormat().save_checkpoint({"state_dict": {"network.a": torch.tensor([1, torch.inf])}}, path)
    assert path.read_bytes() == b"good"


@pytest.mark.parametrize(
    "machine, batch, message",
    [
        (Machine("cpu", devices=2), 5, "a batch of 5 can't be shared by 2 devices: --batch must be a multiple of 2"),
        (Machine("cpu", devices=2, nodes=2), 4, "at least 8"),
        (Machine("cpu"), 64, "a batch of 64 exceeds the 16 training sequences"),
        pytest.param(
            Machine("gpu"),
            4,
            "PyTorch finds no GPU here",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_what_a_machine_cannot_do(tmp_path, machine, batch, message):
    with pytest.raises(TrainingError, match=message):
        train(Pictures(), Pictures(), LABELS, tmp_path, SMALL, replace(PLAIN, batch=batch), machine=machine)


def test_threads_are_those_that_were_asked_for(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Machine("cpu").use_threads()
    assert torch.get_num_threads() == 1
    Machine("cpu", threads=2).use_threads()
    asked = torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]
    torch.set_num_threads(1)
    assert asked == (2, "2")


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="file: can't be written"):
        run(tmp_path / "file")


def test_encoders_start_from_given_weights(tmp_path):
    network = MCOENet(NetworkConfig(moe_width=40))
    path = tmp_path / "resnet18.pth"
    weights = {name: torch.rand(t.shape).to(t.dtype) for name, t in network.res01.resnet.state_dict().items()}
    torch.save(weights, path)
    start_encoders(network, path)
    for encoder in (network.res00, network.res01, network.res10, network.res11):
        assert all(torch.equal(tensor, weights[name]) for name, tensor in encoder.resnet.state_dict().items())
    with pytest.raises(TrainingError, match="only the encoders of --preset paper are"):
        start_encoders(MCOENet(SMALL), path)
    del weights["fc.bias"]
    torch.save(weights, path)
    with pytest.raises(CheckpointError, match="not a ResNet-18"):
        start_encoders(network, path)


def test_without_lightning(tmp_path, monkeypatch, capsys):
    for name in [n for n in sys.modules if n.startswith(("lightning.", "canthus_model.train."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightning", None)
    assert main(["train", str(tmp_path), "-o", str(tmp_path / "run")]) == 2
    told = "can't train: lightning isn't installed: pip install 'canthus[train]'"
    assert capsys.readouterr().err == f"canthus: error: {told}\n"
