"""A headset app's loop: it owns the camera, canthus is given what comes in.

    python examples/headset.py eye.canthus recording.aedat4

The recording plays the camera here; an app pushes its own buffers instead.
"""

import sys

import canthus


def main(bundle: str, recording: str) -> None:
    engine = canthus.load(bundle)
    with canthus.open(recording) as camera:
        stream = canthus.Stream(engine, sensor=camera.sensor)
        for packet in camera:
            if isinstance(packet, canthus.Events):
                stream.push_events(packet.t, packet.x, packet.y, packet.p)
                continue
            expression = stream.push_frame(packet.image, packet.time_us)
            if expression is not None:
                print(expression.time_us, expression.label, expression.probabilities.max())
            stream.prepare()  # after the answer has gone out: what the answer in 0.4 s will need


if __name__ == "__main__":
    main(*sys.argv[1:])
