"""A camera on the network, by dv-processing's own NetworkWriter.

    python camera_server.py EVENTS_PORT FRAMES_PORT BEGIN

Every 10 ms five events, at every third of these times a frame whose pixels tell its number. Times begin at BEGIN * 10
ms.
"""

import sys
import time

import dv_processing as dv
import numpy as np

SENSOR = (34, 26)


def main(*ports, begin):
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
            frames.writeFrame(dv.Frame(10_000 * i, np.full(SENSOR[::-1], i // 3 % 256, np.uint8)))
        time.sleep(0.01)


if __name__ == "__main__":
    *ports, begin = map(int, sys.argv[1:])
    main(*ports, begin=begin)
