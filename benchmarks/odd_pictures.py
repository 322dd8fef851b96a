"""What a bundle's eye check says of pictures that were spoilt: "no eye", "unfamiliar", "eye closed", or nothing.

    python benchmarks/odd_pictures.py BUNDLE.canthus SEE

takes clips of the testing subset, whose volunteers the check was not shown, and prints which part of each kind is above
each threshold. Streams take the median of half a second of the first two.
"""

import argparse
from pathlib import Path

import numpy as np

import canthus
from canthus.eye_inputs import eye_inputs
from canthus_calibration.subsets import decode
from canthus_model.see.annotation import TESTING
from canthus_model.see.dataset import open_see

BLOCK = 256


def odd(frame, event, random):
    """By name: images uint8 (N, H, W) of one moment, and the same spoilt."""
    rows, columns = np.arange(frame.shape[1]), np.arange(frame.shape[2])
    near = np.ix_(np.arange(len(frame)), rows // 2 + len(rows) // 4, columns // 2 + len(columns) // 4)
    return {
        "as they are": (frame, event),
        "mirrored (the other eye)": (frame[:, :, ::-1], event[:, :, ::-1]),
        "upside down": (frame[:, ::-1, ::-1], event[:, ::-1, ::-1]),
        "twice as near": (frame[near], event[near]),
        "a negative": (255 - frame, event),
        "every other 8 rows black": (np.where((rows // 8 % 2)[:, None], frame, 0).astype(np.uint8), event),
        "noise for frames": (random.integers(0, 256, frame.shape, np.uint8), event),
        "events everywhere": (frame, np.full_like(event, 255)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("see", type=Path)
    chosen = parser.parse_args()
    engine = canthus.load(chosen.bundle, threads=2)
    check, told = engine.eye_check, engine.manifest.eye
    if check is None or told is None:
        parser.error(f"{chosen.bundle} has no eye check; canthus export --see SEE learns one")
    see = open_see(chosen.see, TESTING, ends=False)
    clips = decode(see, [(0, place) for place in range(len(see.sequences))])
    print(f"{len(clips)} clips of {len({name.volunteer for name in clips.names})} volunteers")
    print(f"{'':<28}{'no eye':>10}{'unfamiliar':>12}{'eye closed':>12}")
    for name, (frame, event) in odd(clips.frame[:, 1], clips.event[:, 1], np.random.default_rng(0)).items():
        blocks = range(0, len(frame), BLOCK)
        inputs = np.concatenate([eye_inputs(frame[b : b + BLOCK], event[b : b + BLOCK]) for b in blocks])
        scores, limits = check.scores(inputs), told.thresholds
        shares = [(getattr(scores, kind) > getattr(limits, kind)).mean() for kind in scores._fields]
        print(f"{name:<28}{shares[0]:>10.1%}{shares[1]:>12.1%}{shares[2]:>12.1%}")


if __name__ == "__main__":
    main()
