"""Crop and resize of 8-bit grey against Pillow, which gives the same pixels.

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


def main() -> None:
    keep_to_one_core()
    for sensor, box, size in CASES:
        ours, pillows = measure(sensor, box, size)
        print(f"{sensor} {box} -> {size}: canthus {ours:.0f} us, Pillow {pillows:.0f} us, {pillows / ours:.1f}x")


def measure(sensor: tuple[int, int], box: tuple[int, int, int, int], size: tuple[int, int]) -> list[float]:
    pixels = np.random.default_rng(0).integers(0, 256, sensor[::-1]).astype(np.uint8)
    image, resize, out = Image.fromarray(pixels), Resize(*sensor, box, *size), np.empty(size[::-1], np.uint8)

    def pillow_resize() -> Image.Image:
        return image.crop(box).resize(size, Image.Resampling.BILINEAR)

    ways = (lambda: resize(pixels, out), pillow_resize)
    spent = [[microseconds(way) for way in ways] for _ in range(TURNS)]
    if not np.array_equal(out, np.asarray(pillow_resize())):
        raise SystemExit("canthus and Pillow made different images")
    return list(np.median(spent, axis=0))


if __name__ == "__main__":
    main()
