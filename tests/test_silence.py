"""canthus keeps what it is given to itself; so must the runtime that it runs on."""

import os
import subprocess
import sys


def test_running_a_bundle_leaves_nothing_behind(small_bundle, tmp_path):
    kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("ORT_")}
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    program = f"import canthus, canthus.cli; raise SystemExit(canthus.cli.main(['verify', {str(small_bundle)!r}]))"
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        cwd=tmp_path,
        env=kept | {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")},
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
