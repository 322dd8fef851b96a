"""An app that reacts to what lasts: it is told when an expression began and when it ended.

python examples/episodes_app.py eye.canthus recording.aedat4
"""

import sys
import threading

import canthus
from canthus.live.feed import feed

REACTIONS = {"happiness": "the lights grow warmer", "sadness": "the music is turned down", "fear": "the game waits"}


def react(episode: canthus.Episode) -> None:
    """Called on the stream's thread: what takes long belongs onto another."""
    if episode.label not in REACTIONS:
        return
    if episode.offset_us is None:
        print(f"{episode.label} began: {REACTIONS[episode.label]}")
    else:
        lasted = (episode.offset_us - episode.onset_us) / 1e6
        print(f"{episode.label} ended after {lasted:.1f} s, by {episode.mean:.0%} sure: all is as it was")


def main(bundle: str, recording: str) -> None:
    engine = canthus.load(bundle)
    with (
        canthus.open(recording) as camera,
        canthus.LiveStream(engine, camera.sensor, on_expression=lambda _: None, on_episode=react) as live,
    ):
        feed(camera, live, threading.Event())
        live.drain(1.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
