"""The figures as a table of the papers' order."""

from __future__ import annotations

from canthus.confidence import Honesty
from canthus_model.evaluate.figures import Figure, Figures

_WIDTH = 14  # of a column


def table(figures: Figures) -> str:
    """One line for each emotion, each lighting, WAR and UAR; one decimal, in percent."""
    runs = len(figures.war.runs)
    what = "mean ± sample standard deviation of the runs" if runs > 1 else "of one run"
    title = f"{runs} {_plural(runs, 'run')} over {figures.war.sequences} {_plural(figures.war.sequences, 'sequence')}"
    lines = [
        f"{title}; percent, {what}",
        "",
        _line("emotion", "recall", "", "sequences"),
        *(_row(name, figure) for name, figure in figures.recall.items()),
        "",
        _line("lighting", "accuracy", "UAR", "sequences"),
        *(_row(name, figure, str(figures.lighting_uar[name])) for name, figure in figures.accuracy.items()),
        "",
        _line("all", "", "", ""),
        _row("WAR", figures.war),
        _row("UAR", figures.uar),
    ]
    lines += ["", _line("confidence", "right", "sure by", "error", "Brier", "log loss", "answers")]
    lines += [_of_confidence(name, one) for name, one in figures.confidence.items()]
    lines += ["", *_of_volunteers(figures, runs)]
    if figures.absent:
        lines += ["", f"UAR is over the emotions present; no sequence shows {', '.join(figures.absent)}"]
    return "\n".join(line.rstrip() for line in lines)


def _of_confidence(name: str, one: Honesty) -> str:
    scores = ("–" if score is None else f"{score:.3f}" for score in (one.brier, one.log_loss))
    return _line(name, f"{one.accuracy:.1f}", f"{one.confidence:.1f}", f"{one.error:.1f}", *scores, str(one.clips))


def _of_volunteers(figures: Figures, runs: int) -> list[str]:
    people, each = len(figures.volunteers), figures.volunteers.values()
    lines = [f"± is over drawings of clips of the same {people} {_plural(people, 'volunteer')}"] if runs > 1 else []
    if figures.spread_of_volunteers is not None:
        spread = f"standard deviation {figures.spread_of_volunteers:.1f}"
        lines.append(f"WAR of each of the {people} volunteers: {min(each):.1f} to {max(each):.1f}, {spread}")
    return lines


def _row(name: str, figure: Figure, uar: str = "") -> str:
    return _line(name, str(figure), uar, str(figure.sequences))


def _line(*columns: str) -> str:
    name, *others = columns
    return f"{name:<{_WIDTH}}" + "".join(f"{text:<{_WIDTH}}" for text in others[:-1]) + f"{others[-1]:>9}"


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else noun + "s"
