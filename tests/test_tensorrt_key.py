"""The key by which a plan is known to be this user's own."""

from pathlib import Path

import pytest

from canthus.cli import main
from canthus.errors import EngineError
from canthus.tensorrt.cache import find_plan, plan_folder
from canthus.tensorrt.key import key_path, read_key, read_or_make_key

pytestmark = pytest.mark.usefixtures("data_home")


def test_the_key_is_private_and_made_once(built, data_home):
    path = data_home / "canthus" / "plan.key"
    assert key_path() == path
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    key = read_key()
    assert len(key) == 32 and len(set(key)) > 10
    assert read_or_make_key() == key
    assert [found.name for found in path.parent.iterdir()] == ["plan.key"]


def test_keys_differ(tmp_path, monkeypatch):
    keys = set()
    for name in "ab":
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / name))
        keys.add(read_or_make_key())
    assert len(keys) == 2


def test_a_user_without_a_home(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(EngineError, match="no home to keep a key in; set XDG_DATA_HOME"):
        read_or_make_key()


def test_a_key_that_can_not_be_written(data_home):
    data_home.write_text("in the way")
    with pytest.raises(EngineError, match=r"plan\.key: can't write the key \(.*\); set XDG_DATA_HOME"):
        read_or_make_key()


def test_of_two_that_make_a_key_the_first_wins(monkeypatch):
    """The other's plans would else be sealed with a key that is gone."""
    first = []

    def meanwhile(size):
        monkeypatch.undo()
        monkeypatch.setenv("XDG_DATA_HOME", str(key_path_before.parent.parent))
        first.append(read_or_make_key())
        return b"x" * size

    key_path_before = key_path()
    monkeypatch.setattr("secrets.token_bytes", meanwhile)
    assert read_or_make_key() == first[0] != b"x" * 32
    assert [path.name for path in key_path().parent.iterdir()] == ["plan.key"]


def test_a_relative_data_home_is_no_data_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_path() == tmp_path / ".local" / "share" / "canthus" / "plan.key"


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o660])
def test_a_key_that_others_can_use_is_refused(built, rtx, mode):
    key_path().chmod(mode)
    with pytest.raises(EngineError, match=r"plan\.key: others may read or write it.* chmod 600"):
        find_plan(built, "head.onnx", rtx)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o703])
def test_a_folder_in_which_others_can_change_the_key_is_refused(built, rtx, mode):
    key_path().parent.chmod(mode)
    with pytest.raises(EngineError, match=r"canthus: others may read or write it.* chmod 700"):
        find_plan(built, "head.onnx", rtx)


def test_a_key_of_another_user_is_refused(built, rtx, monkeypatch):
    owner = key_path().stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    with pytest.raises(EngineError, match="belongs to another user"):
        find_plan(built, "head.onnx", rtx)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_size_is_refused(built, rtx, size):
    key_path().write_bytes(bytes(size))
    with pytest.raises(EngineError, match="is not a key of 32 bytes"):
        find_plan(built, "head.onnx", rtx)


def test_no_plan_is_sealed_with_a_key_that_others_have(bundle, rtx, capsys):
    read_or_make_key()
    key_path().chmod(0o644)
    assert main(["build", str(bundle.path), "--target", "rtx"]) == 2
    assert "others may read or write it" in capsys.readouterr().err
    assert not plan_folder(bundle).exists()
