"""Checkpoints are hostile input: what can be used is loaded exactly, all else is named and refused."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from canthus.errors import CheckpointError
from canthus_model.checkpoint import load_network, read_facts
from canthus_model.config import EVENT, FRAME, LABELS
from canthus_model.facts import NOTHING, Facts
from damage import damaged


@pytest.fixture
def state(small_network):
    return dict(small_network.state_dict())


def save(path, state, **others):
    torch.save({"epoch": 1, "state_dict": state, **others}, path)
    return path


def test_weights_are_loaded_key_for_key(small_checkpoint, small_network):
    loaded = load_network(small_checkpoint)
    assert loaded.config.encoder_width == 8
    assert not loaded.training
    for name, tensor in small_network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def named(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


FORMS = {
    "of DataParallel": lambda state: {"state_dict": named("module.", state)},
    "compiled": lambda state: {"state_dict": named("_orig_mod.", state)},
    "compiled, of DataParallel": lambda state: {"state_dict": named("module._orig_mod.", state)},
    "one encoder compiled": lambda state: {
        "state_dict": {name.replace("res00.", "res00._orig_mod."): tensor for name, tensor in state.items()}
    },
    "of Lightning": lambda state: {"state_dict": named("model.", state), "pytorch-lightning_version": "2.5"},
    "of Lightning, beside a loss": lambda state: {"state_dict": {"loss.weight": torch.ones(7), **named("net.", state)}},
    "alone": lambda state: state,
    "as model": lambda state: {"model": state, "epoch": 3},
    "deep": lambda state: {"student": {"weights": {"net": named("module.", state)}}},
    "beside numpy and paths": lambda state: {
        "state_dict": state,
        "best": np.float64(0.5),
        "count": np.int64(3),
        "where": Path("runs") / "1",
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_found_whatever_is_around_them(tmp_path, state, small_network, form):
    torch.save(FORMS[form](state), tmp_path / "odd.pth")
    loaded = load_network(tmp_path / "odd.pth").state_dict()
    for name, tensor in small_network.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


def test_files_from_before_pytorch_1_6_are_read(tmp_path, state, small_network):
    torch.save({"state_dict": state}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    loaded = load_network(tmp_path / "old.pth")
    assert torch.equal(loaded.fusion_proj[0].weight, small_network.fusion_proj[0].weight)


@pytest.mark.parametrize("short", [torch.float16, torch.bfloat16])
def test_short_floats_are_taken_and_told_of(tmp_path, state, short):
    told = []
    shortened = {name: t.to(short) if t.is_floating_point() else t for name, t in state.items()}
    loaded = load_network(save(tmp_path / "half.pth", shortened), tell=told.append)
    assert torch.equal(loaded.fusion_proj[0].weight, shortened["fusion_proj.0.weight"].float())
    assert told == [
        f"the checkpoint's weights are {str(short)[6:]}; they are taken as float32, with the precision that they have"
    ]


def test_of_several_networks_one_is_chosen(tmp_path, state):
    averaged = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    path = save(tmp_path / "two.pth", {**state, **named("ema.", averaged)})
    with pytest.raises(CheckpointError, match=r"networks: state_dict, state_dict\.ema; choose one with --weights"):
        load_network(path)
    for name, expected in (("state_dict", state), ("state_dict.ema", averaged)):
        assert torch.equal(load_network(path, weights=name).res00.resnet.fc.weight, expected["res00.resnet.fc.weight"])
    with pytest.raises(CheckpointError, match=r"no network 'ema'; those in it are state_dict, state_dict\.ema"):
        load_network(path, weights="ema")


def test_missing_extra_and_misshaped_tensors_are_all_named(tmp_path, state):
    del state["MCIB.proj_rgb.bias"]
    state["surplus.weight"] = torch.zeros(1)
    state["moe.router.norm.weight"] = torch.zeros(5)
    with pytest.raises(CheckpointError) as error:
        load_network(save(tmp_path / "odd.pth", state))
    text = str(error.value)
    assert "odd.pth" in text
    assert "missing: MCIB.proj_rgb.bias" in text
    assert "unknown: surplus.weight" in text
    assert "moe.router.norm.weight is (5,), not (40,)" in text


def test_tensors_of_another_type_are_named(tmp_path, state):
    state["MCIB.proj_rgb.bias"] = state["MCIB.proj_rgb.bias"].double()
    with pytest.raises(CheckpointError, match=r"MCIB\.proj_rgb\.bias is torch\.float64"):
        load_network(save(tmp_path / "half.pth", state))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(tmp_path, state, value):
    state["res11.resnet.layer3.0.conv1.weight"] = state["res11.resnet.layer3.0.conv1.weight"].clone()
    state["res11.resnet.layer3.0.conv1.weight"][0, 0, 0, 0] = value
    with pytest.raises(CheckpointError, match=r"NaN or infinite.*res11\.resnet\.layer3\.0\.conv1\.weight"):
        load_network(save(tmp_path / "diverged.pth", state))


class Attack:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_code_in_a_pickle_is_never_run(tmp_path, state):
    target = tmp_path / "ran"
    path = save(tmp_path / "attack.pth", state, scheduler=Attack(target))
    with pytest.raises(CheckpointError, match="nothing was run"):
        load_network(path)
    assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(100), b"\x80\x02."])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "junk.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"junk\.pth"):
        load_network(path)


def test_truncated_checkpoint_is_refused(tmp_path, small_checkpoint):
    path = tmp_path / "cut.pth"
    content = small_checkpoint.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"cut\.pth"):
        load_network(path)


def test_changed_bytes_never_escape_as_another_error(tmp_path, small_checkpoint):
    content, path = small_checkpoint.read_bytes(), tmp_path / "changed.pth"
    refused = 0
    for seed in range(150):  # in the pickle, or in the table of contents
        path.write_bytes(damaged(content, head=60_000, tail=40_000, seed=seed))
        try:
            load_network(path)
        except CheckpointError:
            refused += 1
    assert refused > 100


def test_missing_file_and_other_content_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_network(tmp_path / "none.pth")
    torch.save({"weights": 1}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"not an MCO-E Net: .* torch\.save\({'state_dict'"):
        load_network(tmp_path / "other.pth")
    torch.save({"state_dict": {"a": torch.zeros(2)}}, tmp_path / "another.pth")
    with pytest.raises(CheckpointError, match="not an MCO-E Net"):
        load_network(tmp_path / "another.pth")


MEASURE_LOADING = """
import resource, sys, torch
from canthus_model.checkpoint import load_network, read_facts
from canthus_model.config import EVENT, FRAME, LABELS
from canthus_model.facts import NOTHING, Facts
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
load_network(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_optimiser_state_is_not_read_into_memory(tmp_path, state):
    """A checkpoint with 200 MB of moments is loaded in far less."""
    moments = {i: {"exp_avg": torch.zeros(25_000_000), "step": torch.tensor(1.0)} for i in range(2)}
    path = save(tmp_path / "moments.pth", state, optimizer={"state": moments, "param_groups": []})
    assert path.stat().st_size > 200e6
    command = [sys.executable, "-c", MEASURE_LOADING, str(path)]
    extra = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert extra * 1024 < 100e6


FACTS = {
    "image_size": [100, 133],
    "labels": list(LABELS),
    "normalisation": {"frame": {"mean": FRAME.mean, "std": FRAME.std}, "event": {"mean": EVENT.mean, "std": EVENT.std}},
    "window_us": 33_000,
    "span_us": 400_000,
}


def test_a_checkpoint_knows_what_it_was_trained_on(tmp_path, state):
    path = save(tmp_path / "own.pth", state, canthus=FACTS)
    assert read_facts(path) == Facts((100, 133), LABELS, {"frame": FRAME, "event": EVENT}, 33_000, 400_000)
    assert load_network(path).config.image_size == (100, 133)
    assert load_network(path, (64, 64)).config.image_size == (64, 64)


def test_a_checkpoint_that_does_not_know_is_no_error(tmp_path, state, small_checkpoint):
    assert read_facts(small_checkpoint) == NOTHING
    assert load_network(small_checkpoint).config.image_size == (100, 100)
    assert read_facts(save(tmp_path / "some.pth", state, canthus={"span_us": 1})) == Facts(span_us=1)
    # What canthus train wrote before it had a small file.
    settings = {"image_size": [100, 133], "labels": list(LABELS), "training sequences": 16}
    older = save(tmp_path / "older.pth", state, lightning={"hyper_parameters": settings})
    assert read_facts(older) == Facts((100, 133), LABELS)
    assert load_network(older).config.image_size == (100, 133)
    other = save(tmp_path / "other.pth", state, lightning={"hyper_parameters": {"labels": 7, "image_size": 224}})
    assert read_facts(other) == NOTHING


@pytest.mark.parametrize(
    "facts, message",
    [
        ([], "'canthus' is no dictionary"),
        ({"image_size": [100]}, "image_size"),
        ({"image_size": [100, 1e9]}, "image_size"),
        ({"image_size": [100, True]}, "image_size"),
        ({"labels": ["a"] * 7}, "labels"),
        ({"labels": [*LABELS[:6], "sur\nprise"]}, "labels"),
        ({"normalisation": {"frame": FACTS["normalisation"]["frame"]}}, "normalisation"),
        ({"normalisation": {name: {"mean": 0.5, "std": float("nan")} for name in ("frame", "event")}}, "normalisation"),
        ({"window_us": -1}, "window_us"),
        ({"span_us": "long"}, "span_us"),
    ],
    ids=str,
)
def test_facts_that_make_no_sense_are_refused(tmp_path, state, facts, message):
    path = save(tmp_path / "odd.pth", state, canthus=facts)
    for read in (read_facts, load_network):
        with pytest.raises(CheckpointError, match=rf"odd\.pth: .*{message}"):
            read(path)


def test_another_normalisation_is_refused(tmp_path, state):
    other = {name: {"mean": 0.5, "std": 0.5} for name in ("frame", "event")}
    with pytest.raises(CheckpointError, match=r"was trained on images normalised by frame 0\.5, 0\.5, event"):
        load_network(save(tmp_path / "odd.pth", state, canthus={"normalisation": other}))
