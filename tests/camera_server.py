"""A camera on the network, by dv-processing's own NetworkWriter.

    python camera_server.py EVENTS_PORT FRAMES_PORT BEGIN [KIND]

Every 10 ms five events, at every third of these times a frame whose pixels tell its number. Times begin at BEGIN * 10
ms. KIND is of the frames: grey, 12 bits, colour, float or empty.
"""

import sys
import time

import dv_processing as dv
import numpy as np

SENSOR = (34, 26)


FRAMES = {
    "grey": lambda level: np.full(SENSOR[::-1], level, np.uint8),
    "12 bits": lambda level: np.full(SENSOR[::-1], 16 * level, np.uint16),
    "colour": lambda level: np.full((*SENSOR[::-1], 3), level, np.uint8),
    "float": lambda level: np.full(SENSOR[::-1], level, np.float32),
    "empty": lambda level: np.zeros((0, 0), np.uint8),
}


def main(*ports, begin, kind="grey"):
    streams = (dv.io.Stream.EventStream, dv.io.Stream.FrameStream)
    events, frames = (
        dv.io.NetworkWriter("127.0.0.1", port, stream(0, "stream", "DAVIS346", SENSOR))
        for port, stream in zip(ports, streams, strict=True)
    )
    print("up", flush=True)
    for i in range(begin, begin + 100_000):
        store = dv.EventStore()
        for k in range(5):
            store.push_back(10_000 * i + k - 4, k, i % SENSOR[1], k % 2 == 1)
        events.writeEvents(store)
        if i % 3 == 0:
            frames.writeFrame(dv.Frame(10_000 * i, FRAMES[kind](i // 3 % 256)))
        time.sleep(0.01)


if __name__ == "__main__":
    *ports, begin = map(int, sys.argv[1:4])
    main(*ports, begin=begin, kind=sys.argv[4] if sys.argv[4:] else "grey")
