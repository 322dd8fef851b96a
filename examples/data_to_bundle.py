"""From a data set to a bundle, with a picture of every step on one page.

python examples/data_to_bundle.py SEE OUT [--epochs 60]

trains the small network on SEE, or on a stand-in of its layout (canthus synthesize SEE --like see), with some
volunteers held back; evaluates it on others; exports it; and writes OUT/page.html with the pictures that come of it:
how the training went, what is taken for what, and how sure the bundle is in each lighting. Some hours on two cores for
60 epochs of 96 volunteers; a minute for --epochs 1 of eight.
"""

import argparse
import html
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import canthus

CANTHUS = Path(sys.executable).with_name("canthus")


def step(*words: object) -> None:
    """Run one command, as anyone would."""
    command = ["canthus", *map(str, words)]
    print("$", " ".join(command), flush=True)
    subprocess.run([CANTHUS, *command[1:]], check=True)


def draw_confidence(bundle: Path, picture: Path) -> bool:
    """How sure the bundle is against how often it is right, in each lighting; False where it wasn't measured."""
    confidence = canthus.read_bundle(bundle).manifest.confidence
    if confidence is None:
        return False
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for place, found in enumerate(confidence.after.values()):
        axes.bar(place - 0.2, found.accuracy, 0.35, color="#15754b", label="right" if not place else None)
        axes.bar(place + 0.2, found.confidence, 0.35, color="#a0639a", label="sure" if not place else None)
        axes.text(place, 102, f"error {found.error:.1f} %\n{found.clips} clips", ha="center", fontsize=8)
    axes.set(ylim=(0, 118), ylabel="%", xticks=range(len(confidence.after)), xticklabels=confidence.after)
    axes.legend(loc="lower right")
    figure.savefig(picture, dpi=120)
    plt.close(figure)
    return True


def _shown(picture: str, title: str) -> str:
    return f"<h2>{html.escape(title)}</h2><img src='{html.escape(picture)}' style='max-width:100%'>"


def main(see: Path, out: Path, epochs: int, held_back: int) -> None:
    run, results, bundle = out / "run", out / "results", out / "eye.canthus"
    out.mkdir(parents=True, exist_ok=True)
    step("train", see, "-o", run, "--preset", "small", "--epochs", epochs, "--validation", held_back)
    step("evaluate", run / "best.pth", see, "-o", results)
    step("export", run / "best.pth", "--see", see, "-o", bundle)
    pictures = {
        run / "curves.png": "How the training went",
        **dict.fromkeys(results.glob("*.png"), "What is taken for what"),
    }
    if draw_confidence(bundle, out / "confidence.png"):
        pictures[out / "confidence.png"] = "How sure the bundle is, and how often it is right"
    parts = [
        _shown(picture.relative_to(out).as_posix(), title) for picture, title in pictures.items() if picture.is_file()
    ]
    (out / "page.html").write_text(f"<!doctype html><meta charset=utf-8><title>{see.name}</title>{''.join(parts)}\n")
    print(f"{out / 'page.html'}: {len(parts)} pictures; {bundle}: to be run")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("see", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--held-back", type=int, default=12, help="volunteers, to choose an epoch and a temperature by")
    chosen = parser.parse_args()
    main(chosen.see, chosen.out, chosen.epochs, chosen.held_back)
