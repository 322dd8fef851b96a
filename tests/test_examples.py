"""The examples run as they stand."""

import importlib.util
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_headset(small_bundle, recording, capsys):
    spec = importlib.util.spec_from_file_location("headset", EXAMPLES / "headset.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(str(small_bundle), str(recording))
    assert len(capsys.readouterr().out.splitlines()) == 18
