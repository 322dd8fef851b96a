"""The checkpoint of the demo reads the expressions of a volunteer that it has never seen."""

import collections
from pathlib import Path

import numpy as np
import pytest

import canthus
from canthus_model.checkpoint import read_facts
from canthus_model.config import EVENT, FRAME
from canthus_model.facts import Facts
from canthus_model.see.annotation import read_labels
from canthus_model.synthesize.simulation import FIRST_TIME
from canthus_model.synthesize.take import parade

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def bundle(annotation, tmp_path_factory):
    from canthus_exporter.export import export

    path = tmp_path_factory.mktemp("demo") / "eye.canthus"
    export(EXAMPLES / "small.pth", annotation, path, (100, 133))
    return path


def test_it_is_small():
    assert (EXAMPLES / "small.pth").stat().st_size <= 4e6


def test_it_knows_what_it_was_trained_on():
    images = (100, 133), read_labels(EXAMPLES / "emotion.json"), {"frame": FRAME, "event": EVENT}
    held_back = "007", "011", "022", "027", "041", "047", "058", "059", "061", "071", "077", "094"
    assert read_facts(EXAMPLES / "small.pth") == Facts(*images, 33_000, 400_000, held_back)


def test_it_reads_a_stream(bundle):
    """Most of the expressions, each once both moments have seen it."""
    take = parade(seed=0, seconds=20)
    assert len(set(take.labels)) >= 5
    stream = canthus.Stream(canthus.load(bundle))
    ends = np.array(take.ends())
    said = [collections.Counter() for _ in take.labels]
    for moment in take.moments():
        stream.push_events(moment.events)
        expression = stream.push_frame(moment.frame, moment.time)
        second = (moment.time - FIRST_TIME) * 1e-6
        number = min(int(np.searchsorted(ends, second, "right")), len(ends) - 1)
        begun = second - (ends[number - 1] if number else 0)
        if expression and begun > 0.75 and ends[number] - second > 0.35:
            said[number][expression.label] += 1
    shown = [(label, counts) for label, counts in zip(take.labels, said, strict=True) if counts]
    right = [label for label, counts in shown if counts.most_common(1)[0][0] == label]
    assert len(shown) >= 5 and len(right) >= 0.75 * len(shown), shown
