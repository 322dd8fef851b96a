"""Which clips calibration draws."""

from collections import Counter
from pathlib import Path

import pytest

from canthus.errors import CalibrationError
from canthus_calibration.subsets import balanced, decode, missing_emotions
from canthus_model.config import LABELS
from canthus_model.see.annotation import Entry
from canthus_model.see.dataset import See, Sequence
from canthus_model.see.names import LIGHTINGS, SequenceName


def see_of(sequences):
    """A data set without images: (volunteer, lighting, label) each."""
    made = []
    for number, (volunteer, lighting, label) in enumerate(sequences):
        name = SequenceName(number, volunteer, "man", 24, "Master", lighting, label, 20, 0)
        made.append(Sequence(Entry(str(name), name, "training", label, (0, 20)), Path("f"), Path("e")))
    return See(Path("SEE"), LABELS, tuple(made))


@pytest.fixture
def see():
    volunteers = [f"{number:03}" for number in range(6)]
    # The first volunteer shows everything five times as often as the others.
    return see_of([(v, li, la) for v in volunteers for _ in range(5 if v == "000" else 1) for li in LIGHTINGS
                   for la in LABELS])  # fmt: skip


def test_as_many_from_each_lighting_emotion_and_volunteer(see):
    drawn = [see.sequences[place] for place in balanced(see, 28)]
    assert len({sequence.name for sequence in drawn}) == 4 * 28
    assert Counter(sequence.lighting for sequence in drawn) == dict.fromkeys(LIGHTINGS, 28)
    for lighting in LIGHTINGS:
        here = [sequence for sequence in drawn if sequence.lighting == lighting]
        assert set(Counter(sequence.label for sequence in here).values()) == {4}
        volunteers = Counter(sequence.entry.parts.volunteer for sequence in here)
        assert max(volunteers.values()) - min(volunteers.values()) <= 1


def test_the_seed_decides(see):
    assert balanced(see, 20, seed=3) == balanced(see, 20, seed=3)
    assert balanced(see, 20, seed=3) != balanced(see, 20, seed=4)


def test_too_small_a_lighting_is_named(see):
    few = see_of([(s.entry.parts.volunteer, s.lighting, s.label) for s in see.sequences if s.lighting != "Low"][:200]
                 + [("001", "Low", "fear")] * 9)  # fmt: skip
    with pytest.raises(CalibrationError, match=r"Low has 9 .* --clips 36 or fewer, or add sequences of Low"):
        balanced(few, 10)


def test_an_empty_lighting_is_named(see):
    none = see_of([(s.entry.parts.volunteer, s.lighting, s.label) for s in see.sequences if s.lighting != "HDR"])
    with pytest.raises(CalibrationError, match=r"HDR has none to draw from; add sequences of HDR"):
        balanced(none, 1)


def test_missing_emotions_are_told(calibration_see):
    from canthus_model.see.dataset import open_see

    training = open_see(calibration_see, "training")
    some = [i for i, s in enumerate(training.sequences) if (s.lighting, s.label) != ("Low", "fear")]
    drawn = decode(training, [(0, place) for place in some], workers=0)
    assert missing_emotions(training, drawn) == {"Low": ["fear"]}
    assert drawn.counts()["Low"] == sum(training.sequences[i].lighting == "Low" for i in some)


def test_the_hash_is_of_the_images_too(calibration_see):
    from canthus_model.see.dataset import open_see

    training = open_see(calibration_see, "training")
    hashes = {decode(training, [(turn, 0), (0, 1)], workers=0).sha256 for turn in (0, 1, 0)}
    assert len(hashes) == 2
