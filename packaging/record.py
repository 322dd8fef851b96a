"""Write a recording as arrays, with what this source tree answers: python record.py BUNDLE RECORDING ARRAYS

For `replay.py`, which has nothing that reads recordings. The arrays are of `numpy.savez`: the events' `t` in
microseconds, `x`, `y` and `p`; `frames`, uint8 (N, height, width), and their `times`; `answered`, times of the answers;
`probabilities`, float32 (answers, 7).
"""

import sys

import numpy as np

import canthus
from canthus.events import Events
from canthus.sources import Frame


def main(bundle: str, recording: str, arrays: str) -> None:
    events, frames = [], []
    with canthus.open(recording) as source:
        for packet in source:
            if isinstance(packet, Events):
                events.append(packet)
            elif isinstance(packet, Frame):
                frames.append(packet)
    with canthus.open(recording) as source:
        engine = canthus.load(bundle, backend="onnxruntime")
        answers = list(canthus.watch(engine, source))
    np.savez(
        arrays,
        **{name: np.concatenate([getattr(packet, name) for packet in events]) for name in "txyp"},
        frames=np.stack([frame.image for frame in frames]),
        times=np.array([frame.time_us for frame in frames]),
        answered=np.array([answer.time_us for answer in answers]),
        probabilities=np.stack([answer.probabilities for answer in answers]),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
