"""Event images: packets of arrays in, a uint8 image out, against dv-processing's Accumulator and numpy.bincount.

    python benchmarks/event_images.py

One core, a 346x260 sensor, 33 ms of events a packet. canthus checks and stores every packet, and draws the window;
the Accumulator is given an EventStore that was made before; bincount only sums, without holding potentials in [0, 1].
Each figure is the median of repeated turns, taken by turns so that all see the same machine.
"""

import dv_processing as dv
import numpy as np
from stopwatch import keep_to_one_core, microseconds

from canthus._native import EventWindow
from canthus.events import Events, prepare

WIDTH, HEIGHT, WINDOW_US = 346, 260, 33_000
TURNS = 41
WARM_UP = 300  # packets: ten seconds, so that memory no longer grows, and all of it was used before


def main() -> None:
    keep_to_one_core()
    print(f"{'events':>10} {'canthus':>12} {'dv':>18} {'numpy.bincount':>18}")
    for count in (33_000, 1_000_000):
        ours, dvs, numpys = measure(count)
        print(f"{count:>10} {ours:>9.0f} us {dvs:>9.0f} us {dvs / ours:4.1f}x {numpys:>9.0f} us {numpys / ours:4.1f}x")


def measure(count: int) -> list[float]:
    random = np.random.default_rng(0)
    t = np.sort(random.integers(1, WINDOW_US + 1, count))
    x, y = (random.integers(0, size, count).astype(np.int16) for size in (WIDTH, HEIGHT))
    p = random.integers(0, 2, count).astype(np.uint8)
    window, image = EventWindow(WIDTH, HEIGHT), np.empty((HEIGHT, WIDTH), np.uint8)
    accumulator, store = make_accumulator(), make_store(t, x, y, p)
    sign = p - 0.5

    def canthus_image(turn: int) -> np.ndarray:
        window.push(*prepare(Events(times, x, y, p)))
        return window.image((turn + 1) * WINDOW_US, WINDOW_US, image)

    def dv_image(turn: int) -> np.ndarray:
        accumulator.clear()
        accumulator.accept(store)
        return accumulator.generateFrame().image

    def numpy_image(turn: int) -> np.ndarray:
        pixels = y.astype(np.int64) * WIDTH + x
        return np.bincount(pixels, sign, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)

    ways = (canthus_image, dv_image, numpy_image)
    times = t.copy()
    for turn in range(WARM_UP):
        canthus_image(turn)
        times += WINDOW_US
    spent = []
    for turn in range(WARM_UP, WARM_UP + TURNS):
        spent.append([microseconds(way, turn) for way in ways])
        times += WINDOW_US
    grey = dv_image(0)
    if not np.array_equal(image, np.where(grey == 128, 127, grey)):
        raise SystemExit("canthus and dv-processing drew different images")
    return list(np.median(spent, axis=0))


def make_accumulator() -> dv.Accumulator:
    accumulator = dv.Accumulator((WIDTH, HEIGHT))
    accumulator.setMinPotential(0.0)
    accumulator.setMaxPotential(1.0)
    accumulator.setNeutralPotential(0.5)
    accumulator.setEventContribution(0.5)
    accumulator.setDecayFunction(dv.Accumulator.Decay.NONE)
    accumulator.setSynchronousDecay(False)
    return accumulator


def make_store(t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray) -> dv.EventStore:
    store = dv.EventStore()
    for event in zip(t.tolist(), x.tolist(), y.tolist(), p.astype(bool).tolist(), strict=True):
        store.push_back(*event)
    return store


if __name__ == "__main__":
    main()
