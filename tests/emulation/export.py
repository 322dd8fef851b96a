"""Make what the tests need of the exporter where there is no PyTorch: python export.py FOLDER

small.canthus, eye.aedat4   the fixtures `small_bundle` and `recording` of conftest.py
float32.canthus, int8.canthus   the demo's checkpoint, the latter for 64-bit Arm
parade.aedat4   a recording of several expressions
"""

import sys
import tempfile
from pathlib import Path

import torch

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "data")]

from canthus.cli import main  # noqa: E402
from see_folder import make_see  # noqa: E402
from small_network import make_small_network  # noqa: E402

EXAMPLES = TESTS.parent / "examples"


def run(*command: object) -> None:
    if status := main([str(word) for word in command]):
        raise SystemExit(status)


def export(folder: Path) -> None:
    annotation = EXAMPLES / "emotion.json"
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        torch.save({"epoch": 1, "state_dict": make_small_network().state_dict()}, scratch / "small.pth")
        run("export", scratch / "small.pth", "--annotation", annotation, "-o", folder / "small.canthus")
        demo = ["export", EXAMPLES / "small.pth", "--annotation", annotation, "--image-size", "100x133"]
        run(*demo, "-o", folder / "float32.canthus")
        see = make_see(scratch / "SEE", sequences=28, frames=14)
        int8 = ["--precision", "int8", "--target", "arm64", "--see", see, "--clips", "28"]
        run(*demo, *int8, "-o", folder / "int8.canthus")
    run("synthesize", folder / "eye.aedat4", "--seconds", "1")
    run("synthesize", folder / "parade.aedat4", "--seconds", "6")


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    export(Path(sys.argv[1]))
