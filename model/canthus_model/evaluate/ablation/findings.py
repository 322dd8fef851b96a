"""What follows from an ablation, in sentences; and where nothing does.

How much is nothing? Another clip of the same sequence shows the same face with the same expression a moment earlier or
later, and some labels change all the same: by chance, for who looks at the expression. That share is the floor. A half
of what is shown, or a part of the network,

- is ignored if taking it away changes fewer labels than the floor, and costs less than LEAST_LOSS points of UAR;
- is used if taking it away changes more labels than the floor, or costs any UAR;
- and is undecided otherwise.

"More", "fewer" and "costs" are of the whole interval that volunteers drawn anew give. Labels alone would not do: where
a network is unsteady the floor is high, and something of worth may hide beneath it. Nor would UAR alone: what is taken
away may spoil as many answers as it mends.

What is ignored over all is used all the same if under some lighting alone it costs more than LEAST_LOSS points of UAR.
"""

from __future__ import annotations

from collections.abc import Sequence

from canthus_model.evaluate.ablation.experts import MOST, Experts
from canthus_model.evaluate.ablation.panel import Estimate, estimate
from canthus_model.evaluate.ablation.rows import Ablation, Finding, Row
from canthus_model.evaluate.ablation.shown import EVERYTHING, REDRAWN

LEAST_LOSS = 2.0
"""Points of UAR. Two trainings of one network differ by as much, by chance."""

LEAST_SEQUENCES = 30
"""Where none of 30 changes, one in ten may do so yet, at 95 % (the rule of three); with fewer, more."""

LEAST_VOLUNTEERS = 3
FEW_VOLUNTEERS = 10
"""An interval of fewer is rough, and on the whole too narrow."""

USED, IGNORED, UNDECIDED, UNKNOWN = "used", "ignored", "undecided", "unknown"


def find(ablation: Ablation, flat: Sequence[str] = ()) -> tuple[Finding, ...]:
    """What follows, the most general first.

    Args:
        ablation: without findings.
        flat: the modalities, `frames` or `events`, of which every image is one grey.
    """
    experts = _of_experts(ablation.experts)
    if why := _too_little(ablation):
        return Finding("all", UNKNOWN, f"nothing follows: {why}"), experts
    findings = [_blank(f"the {name}") for name in flat]
    blank = {finding.about for finding in findings}
    findings += [
        _judge(row, ablation) for row in ablation.rows.values() if row.taken.judged and row.taken.judged not in blank
    ]
    return *findings, experts


def is_rough(ablation: Ablation) -> bool:
    """Whether there are so few volunteers that intervals say little of others."""
    return ablation.volunteers < FEW_VOLUNTEERS


def _too_little(ablation: Ablation) -> str:
    """Why nothing can follow; nothing, if something may."""
    if ablation.volunteers < LEAST_VOLUNTEERS or ablation.sequences < LEAST_SEQUENCES:
        return (
            f"{ablation.sequences} sequences of {ablation.volunteers} volunteers are too few; "
            f"take {LEAST_SEQUENCES} or more, of {LEAST_VOLUNTEERS} or more"
        )
    uar = ablation.rows[EVERYTHING].uar
    if uar.low is None or uar.low <= ablation.chance:
        return (
            f"shown everything, the network has a UAR of {uar}, and knowing nothing would give {ablation.chance:.1f}; "
            "there is nothing that taking something away could spoil"
        )
    return ""


def _blank(about: str) -> Finding:
    return Finding(about, UNKNOWN, f"{about} of this data set are all of one grey: nothing follows about them")


def _judge(row: Row, ablation: Ablation) -> Finding:
    usual, redrawn = ablation.rows[EVERYTHING], ablation.rows[REDRAWN]
    beyond = estimate(row.changed_drawn - redrawn.changed_drawn)
    lost = estimate(usual.uar_drawn - row.uar_drawn)
    verdict = judge(beyond, lost)
    about, are = row.taken.judged, "are" if row.taken.plural else "is"
    begins = {
        USED: f"{about} {are} used",
        IGNORED: f"{about} makes next to no difference" if row.taken.of_network else f"{about} {are} ignored",
        UNDECIDED: f"whether {about} {are} used is open",
    }[verdict]
    floor = f" (another clip of the same sequence changes {redrawn.changed_drawn[0]:.1f} %)" if verdict != USED else ""
    if verdict == IGNORED and (where := _where_it_costs(row, usual)):
        verdict, begins = USED, f"{about} {are} used, but only in {where}"
    how = "without that" if row.taken.of_network else f"with {'those' if row.taken.plural else 'that'} of other clips"
    sentence = (
        f"{begins}: {how} {row.changed_drawn[0]:.1f} % of the labels change{floor}, "
        f"and UAR goes from {usual.uar.value:.1f} to {row.uar.value:.1f}"
    )
    return Finding(about, verdict, sentence)


def _where_it_costs(row: Row, usual: Row) -> str:
    """The lightings under which UAR is lost, and from what to what it goes there; nothing, if it is lost nowhere."""
    places = []
    for lighting, uar in row.lighting_uar.items():
        lost = estimate(usual.lighting_drawn[lighting] - row.lighting_drawn[lighting])
        if lost.low is not None and lost.low > LEAST_LOSS:
            places.append(f"{lighting} ({usual.lighting_uar[lighting].value:.1f} to {uar.value:.1f})")
    return " and ".join(places)


def judge(beyond: Estimate, lost: Estimate) -> str:
    """The verdict, by the labels that change beyond the floor and the points of UAR lost, both with intervals."""
    if beyond.high <= 0 and lost.high < LEAST_LOSS:
        return IGNORED
    return USED if beyond.low > 0 or lost.low > 0 else UNDECIDED


def _of_experts(experts: Experts) -> Finding:
    count = len(experts.overall)
    most = f"{experts.making_most} of the {count} experts make {MOST} % of all choices"
    if not experts.never:
        return Finding("the experts", USED, f"every expert is asked; {most}")
    noun, are = ("expert", "is") if len(experts.never) == 1 else ("experts", "are")
    which = " and ".join(filter(None, (", ".join(map(str, experts.never[:-1])), str(experts.never[-1]))))
    return Finding("the experts", IGNORED, f"{noun} {which} {are} never asked, at {experts.answers} clips; {most}")
