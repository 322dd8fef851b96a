"""Draws the eyes that golden vectors are made of: sixteen windows of invented people, four in each lighting.

python tests/data/golden_eyes.py exporter/canthus_exporter/golden_eyes.npz
"""

import sys

import numpy as np
from PIL import Image

from canthus import _native
from canthus_model.config import LABELS
from canthus_model.see.names import LIGHTINGS
from canthus_model.synthesize.anatomy import HEIGHT, WIDTH
from canthus_model.synthesize.data_set import WINDOW
from canthus_model.synthesize.take import Take

SEED = 2718  # of no data set
PEOPLE = 4  # each is seen in every lighting
FRAMES = 26
MOMENTS = (7, 19)  # 0.4 s apart, around the apex
SIZE = (100, 133)  # height and width, as SEE's images are after resizing


def window_of(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame and event image, uint8 (2, height, width) each, of the window `number`."""
    person, lighting = number % PEOPLE, LIGHTINGS[number // PEOPLE]
    take = Take(SEED, 1 + person, number, (LABELS[number % len(LABELS)],), (1.0,), lighting, FRAMES)
    window, frames, events = _native.EventWindow(WIDTH, HEIGHT), [], []
    for place, moment in enumerate(take.moments(lead_in=1), start=-1):
        x, y = (np.ascontiguousarray(moment.events[axis]).view(np.uint16) for axis in ("x", "y"))
        polarity = np.ascontiguousarray(moment.events["p"]).view(np.uint8)
        window.push(np.ascontiguousarray(moment.events["t"]), x, y, polarity)
        if place in MOMENTS:
            frames.append(_resized(moment.frame))
            events.append(_resized(window.image(moment.time, WINDOW)))
    return np.stack(frames), np.stack(events)


def _resized(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize(SIZE[::-1], Image.Resampling.BILINEAR))


if __name__ == "__main__":
    frame, event = map(np.stack, zip(*map(window_of, range(PEOPLE * len(LIGHTINGS))), strict=True))
    np.savez_compressed(sys.argv[1], frame=frame, event=event)
