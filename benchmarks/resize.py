"""Crop, turn and resize 8-bit grey against Pillow, which gives the same pixels.

    python benchmarks/resize.py

One core. Pillow's image is made before, and its result stays an image: only crop and resize are timed.
Each figure is the median of repeated turns, taken by turns so that both see the same machine.
"""

import numpy as np
from PIL import Image
from stopwatch import keep_to_one_core, microseconds

from canthus._native import Resize

TURNS = 1001
CASES = (  # sensor, box, size of the result
    ((346, 260), (43, 0, 303, 260), (100, 100)),
    ((346, 260), (0, 0, 346, 260), (133, 100)),
    ((640, 480), (80, 0, 560, 480), (100, 100)),
)
TURNS_OF_THE_PICTURE = {  # mirrored, quarters clockwise: how Pillow does it
    (False, 0): None,
    (True, 0): Image.Transpose.FLIP_LEFT_RIGHT,
    (False, 1): Image.Transpose.ROTATE_270,  # it counts the other way
    (False, 2): Image.Transpose.ROTATE_180,
}


def main() -> None:
    keep_to_one_core()
    for sensor, box, size in CASES:
        for (mirrored, quarters), transpose in TURNS_OF_THE_PICTURE.items():
            ours, pillows = measure(sensor, box, size, mirrored, quarters, transpose)
            how = f"{'mirrored, ' * mirrored}turned by {90 * quarters:3}"
            print(
                f"{sensor} {box} {how:>21} -> {size}: canthus {ours:.0f} us, Pillow {pillows:.0f} us, "
                f"{pillows / ours:.1f}x"
            )


def measure(
    sensor: tuple[int, int],
    box: tuple[int, int, int, int],
    size: tuple[int, int],
    mirrored: bool,
    quarters: int,
    transpose: Image.Transpose | None,
) -> list[float]:
    pixels = np.random.default_rng(0).integers(0, 256, sensor[::-1]).astype(np.uint8)
    resize, out = Resize(*sensor, box, *size, mirrored, quarters), np.empty(size[::-1], np.uint8)
    image = Image.fromarray(pixels)

    def pillow_resize() -> Image.Image:
        part = image.crop(box)
        return (part if transpose is None else part.transpose(transpose)).resize(size, Image.Resampling.BILINEAR)

    ways = (lambda: resize(pixels, out), pillow_resize)
    spent = [[microseconds(way) for way in ways] for _ in range(TURNS)]
    if not np.array_equal(out, np.asarray(pillow_resize())):
        raise SystemExit("canthus and Pillow made different images")
    return list(np.median(spent, axis=0))


if __name__ == "__main__":
    main()
