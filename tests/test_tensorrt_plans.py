"""Plans as files: none is loaded that this user didn't build, or that is for something else."""

import json
import shutil
import struct
from dataclasses import replace

import pytest

from canthus.cli import main
from canthus.errors import EngineError
from canthus.parts import PARTS, member
from canthus.runtimes.tensorrt import TensorRt
from canthus.tensorrt import plan_file
from canthus.tensorrt.cache import find_plan, plan_folder, plan_path
from canthus.tensorrt.key import key_path, read_key, read_or_make_key
from plans import changed

pytestmark = pytest.mark.usefixtures("data_home")


START = struct.calcsize("<12sIIQ")


def header_end(content):
    return START + struct.unpack_from("<I", content, 16)[0]


def flipped(place):
    """Changes the bit of lowest value of one byte."""

    def change(content):
        at = place(content) % len(content)
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return change


def longer_header(content):
    """Of the same length in all: the plan's first bytes become the header's last."""
    header, plan = struct.unpack_from("<IQ", content, 16)
    return content[:16] + struct.pack("<IQ", header + 8, plan - 8) + content[START:]


TAMPERED = {
    "magic": (flipped(lambda content: 0), "is no plan of canthus's"),
    "format": (flipped(lambda content: 12), "is of format 0 and this canthus reads 1"),
    "header's length": (flipped(lambda content: 16), "was cut short or changed"),
    "header's length, huge": (lambda content: content[:16] + b"\xff" * 4 + content[20:], "was cut short or changed"),
    "header's length, plan's too": (longer_header, "is not as you built it"),
    "plan's length": (flipped(lambda content: 20), "was cut short or changed"),
    "plan's length, huge": (lambda content: content[:20] + b"\xff" * 8 + content[28:], "was cut short or changed"),
    "header's begin": (flipped(lambda content: START), "is not as you built it"),
    "header's end": (flipped(lambda content: header_end(content) - 1), "is not as you built it"),
    "plan's begin": (flipped(header_end), "is not as you built it"),
    "plan's middle": (flipped(lambda content: len(content) // 2), "is not as you built it"),
    "plan's end": (flipped(lambda content: -33), "is not as you built it"),
    "seal's begin": (flipped(lambda content: -32), "is not as you built it"),
    "seal's end": (flipped(lambda content: -1), "is not as you built it"),
    "cut by one": (lambda content: content[:-1], "was cut short or changed"),
    "cut to its start": (lambda content: content[:START], "was cut short or changed"),
    "cut within its start": (lambda content: content[: START - 1], "is no plan of canthus's"),
    "one more": (lambda content: content + b"\0", "was cut short or changed"),
    "empty": (lambda content: b"", "is no plan of canthus's"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_is_refused(built, rtx, what):
    change, message = TAMPERED[what]
    path = plan_path(built, "head.onnx", rtx)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(EngineError, match=message) as told:
        find_plan(built, "head.onnx", rtx)
    assert str(path) in str(told.value) and "run `canthus build` again" in str(told.value)


def test_what_was_changed_is_never_deserialised(built, rtx, on_a_gpu, monkeypatch):
    """Not even the sound plans beside it."""
    path = plan_path(built, "head.onnx", rtx)
    path.write_bytes(TAMPERED["plan's middle"][0](path.read_bytes()))
    monkeypatch.setattr("canthus.runtimes.tensorrt.Moment", lambda *arguments: pytest.fail("deserialised"))
    with pytest.raises(EngineError, match="is not as you built it"):
        TensorRt(built)


def test_what_was_changed_is_built_anew(built, rtx, capsys):
    path = plan_path(built, "first_frame.onnx", rtx)
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["build", str(built.path), "--target", "rtx"]) == 0
    told = capsys.readouterr()
    assert f"built anew: {path}: was cut short or changed" in told.err
    assert (told.out.count("built in"), told.out.count("already built")) == (1, 4)
    assert find_plan(built, "first_frame.onnx", rtx) is not None


def test_a_plan_of_anothers_is_refused(built, rtx):
    key_path().unlink()
    with pytest.raises(EngineError, match=r"no such key.* copy the key"):
        find_plan(built, "first_frame.onnx", rtx)
    read_or_make_key()
    with pytest.raises(EngineError, match=r"is not as you built it.* built by another user or on another machine"):
        find_plan(built, "first_frame.onnx", rtx)


def test_a_plan_goes_with_its_key(built, rtx, tmp_path, monkeypatch):
    key = key_path().read_bytes()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    read_or_make_key()
    key_path().write_bytes(key)
    assert find_plan(built, "first_frame.onnx", rtx) is not None


def test_a_plan_under_anothers_name_is_refused(built, rtx):
    """All that a plan depends on is under its seal, not in its name alone."""
    shutil.copy(plan_path(built, "head.onnx", rtx), plan_path(built, "first_frame.onnx", rtx))
    with pytest.raises(EngineError, match=r"was built for graph 'head\.onnx', not 'first_frame\.onnx'"):
        find_plan(built, "first_frame.onnx", rtx)


def test_a_plan_is_for_what_it_was_built_for(built, rtx, monkeypatch):
    path = plan_path(built, "first_frame.onnx", rtx)
    content = path.read_bytes()
    fields = json.loads(content[START : header_end(content)])
    assert set(fields) == {"graph", "graph_sha256", "library", "version", "gpus", "system", "recipe"}
    assert fields["graph_sha256"] == built.manifest.sha256["first_frame.onnx"]
    for name in fields:
        wanted = {**fields, name: "other"}
        with pytest.raises(EngineError, match=f"was built for {name} "):
            plan_file.read_plan(path, read_key(), wanted)
    for other in (
        replace(rtx, gpus="GPUs of tomorrow"),
        replace(rtx, library=replace(rtx.library, version="9.9")),
        replace(rtx, library=replace(rtx.library, name="tensorrt")),
    ):
        assert find_plan(built, "first_frame.onnx", other) is None
        shutil.copy(path, plan_path(built, "first_frame.onnx", other))
        with pytest.raises(EngineError, match="was built for"):
            find_plan(built, "first_frame.onnx", other)


def test_an_over_large_file_is_not_read(built, rtx):
    path = plan_path(built, "first_frame.onnx", rtx)
    with path.open("r+b") as file:
        file.truncate(plan_file.LARGEST + 1)
    with pytest.raises(EngineError, match="has 2147483649 bytes"):
        find_plan(built, "first_frame.onnx", rtx)


def test_a_folder_in_a_plans_place(built, rtx):
    path = plan_path(built, "first_frame.onnx", rtx)
    path.unlink()
    path.mkdir()
    with pytest.raises(EngineError, match="is no file; remove it"):
        find_plan(built, "first_frame.onnx", rtx)


def test_plans_of_the_bundle_that_was_are_removed(built, rtx, capsys):
    folder = plan_folder(built)
    before = plan_path(built, "first_frame.onnx", rtx)
    (folder / "notes.txt").write_text("kept")
    new = changed(built, lambda graph: graph + b"\x12\x07changed")  # its producer's name
    assert main(["build", str(new.path), "--target", "rtx"]) == 0
    told = capsys.readouterr().out
    assert f"removed           {before}: it was of an older eye.canthus" in told
    names = {plan_path(new, member(part), rtx).name for part in PARTS}
    assert {path.name for path in folder.iterdir()} == {*names, "notes.txt"}
    assert "first_frame.onnx  built in" in told and told.count("already built") == 4


def test_a_folder_that_can_not_be_written(bundle, rtx, capsys):
    plan_folder(bundle).write_text("in the way")
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 2
    assert "can't be written" in capsys.readouterr().err
