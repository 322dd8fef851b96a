"""Checkpoints are hostile input: what can be used is loaded exactly, all else is named and refused."""

import os
import subprocess
import sys

import pytest
import torch

from canthus.errors import CheckpointError
from canthus_model.checkpoint import load_network
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


def test_data_parallel_prefix_is_taken_off(tmp_path, state, small_network):
    path = save(tmp_path / "parallel.pth", {f"module.{name}": t for name, t in state.items()})
    assert torch.equal(load_network(path).fusion_proj[0].weight, small_network.fusion_proj[0].weight)


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
    state["MCIB.proj_rgb.bias"] = state["MCIB.proj_rgb.bias"].half()
    with pytest.raises(CheckpointError, match=r"MCIB\.proj_rgb\.bias is torch\.float16"):
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
    with pytest.raises(CheckpointError, match="state_dict"):
        load_network(tmp_path / "other.pth")
    torch.save({"state_dict": {"a": torch.zeros(2)}}, tmp_path / "another.pth")
    with pytest.raises(CheckpointError, match="not an MCO-E Net"):
        load_network(tmp_path / "another.pth")


MEASURE_LOADING = """
import resource, sys, torch
from canthus_model.checkpoint import load_network
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
