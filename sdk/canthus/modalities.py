"""What a bundle's manifest tells of its modalities: whether the network uses its frames, and whether its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MODALITIES = ("frames", "events")
VERDICTS = ("used", "ignored", "undecided", "unknown")


@dataclass(frozen=True)
class Exchanged:
    """How a network fares if one modality of each clip is from a clip of another volunteer, in the same lighting.

    Attributes:
        verdict: one of VERDICTS; `unknown` where nothing can follow.
        why: that in a sentence, with the figures that it rests on.
        agreement: percent of clips that are answered as with the clip's own.
        uar: unweighted average recall, percent.
        lighting_uar: the same by lighting.
    """

    verdict: str
    why: str
    agreement: float
    uar: float
    lighting_uar: Mapping[str, float]


@dataclass(frozen=True)
class Modalities:
    """What the graphs of a bundle do with each modality, on volunteers of the testing subset.

    Attributes:
        clips, volunteers: how many it was measured on.
        agreement: percent of clips that are answered as another clip of the same sequence is: the rest is chance.
        uar: unweighted average recall with both modalities of the clip itself, percent.
        lighting_uar: the same by lighting.
        exchanged: for each of MODALITIES, what comes of it if that one is somebody else's.
    """

    clips: int
    volunteers: int
    agreement: float
    uar: float
    lighting_uar: Mapping[str, float]
    exchanged: Mapping[str, Exchanged]
