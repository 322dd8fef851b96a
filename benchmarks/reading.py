"""What a stream adds to the network's answer: honest probabilities, what is steady, episodes, and the eye check.

    python benchmarks/reading.py BUNDLE.canthus

prints microseconds of each for one answer, and how much more memory is used after a hundred thousand.
"""

import argparse
import resource

import numpy as np
from stopwatch import best

import canthus
from canthus.confidence import Temperature
from canthus.eye_watch import EyeWatch
from canthus.reading import Reading
from canthus.visible import contrast

ANSWERS = 2000
FRAME_US = 33_333


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    engine = canthus.load(parser.parse_args().bundle, threads=2)
    random = np.random.default_rng(0)
    frame, event = random.integers(0, 256, (2, *engine.image_size), dtype=np.uint8)
    logits = random.normal(0, 3, (ANSWERS, 1, len(engine.labels))).astype(np.float32)
    temperature = engine.manifest.confidence.temperature if engine.manifest.confidence else Temperature(0.2, 0.9)
    said = [temperature.softened(one, contrast(frame[None]))[0] for one in logits]
    check, engine.eye_check = engine.eye_check, None
    reading, time_us = Reading(engine), 0

    def honest():
        for one in logits:
            temperature.softened(one, contrast(frame[None]))

    def read():
        nonlocal time_us
        for one in said:
            time_us += FRAME_US
            reading.read(time_us, one, frame, event)

    print(f"honest probabilities {1e6 * best(honest) / ANSWERS:6.1f} us")
    print(f"steady, episodes     {1e6 * best(read) / ANSWERS:6.1f} us")
    if check and engine.manifest.eye:
        watch = EyeWatch(check, engine.manifest.eye.thresholds)

        def look():
            nonlocal time_us
            for _ in said:
                time_us += FRAME_US
                watch.why_not(time_us, frame, event)

        print(f"eye check            {1e6 * best(look) / ANSWERS:6.1f} us, a look at every other answer")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100_000 // ANSWERS):
        read()
    print(f"more memory          {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before:6} KiB")


if __name__ == "__main__":
    main()
