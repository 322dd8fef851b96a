"""The calibration as a page to look at: what INT8 costs, and each layer's ranges in each lighting. No scripts."""

from __future__ import annotations

import html
import math
from pathlib import Path

from canthus.calibration import Calibration
from canthus.errors import CalibrationError
from canthus.page import STYLE, document
from canthus.whole_file import whole_file
from canthus_calibration.calibrate import UAR_LOSS, Calibrated
from canthus_calibration.fallback import Goal
from canthus_calibration.layers import Layer
from canthus_calibration.ranges import Reconciled
from canthus_calibration.targets import TARGETS
from canthus_calibration.telling import agreement
from canthus_model.see.names import LIGHTINGS

_COLOURS = dict(zip(LIGHTINGS, ("#0072b2", "#e69f00", "#444444", "#cc79a7"), strict=True))
_WIDTH, _BAR = 320, 5  # pixels: of a layer's picture, and of one lighting's bar in it

_STYLE = """
tr.float td:first-child { font-weight: 700 } tr.float td:first-child::after { content: " · float" }
"""


def write_page(path: Path, bundle: str, target: str, calibrated: Calibrated) -> None:
    """Write the page to `path`, whole or not at all; `bundle` is what it is called after.

    Raises:
        CalibrationError: it can't be written.
    """
    try:
        with whole_file(path) as partial:
            partial.write_text(_page(bundle, target, calibrated), encoding="utf-8")
    except OSError as error:
        raise CalibrationError(f"{path}: can't be written ({error.strerror}); choose another --report") from error


def _page(bundle: str, target: str, calibrated: Calibrated) -> str:
    record = calibrated.record
    key = "".join(f'<span class="key" style="background:{colour}"></span>{name}' for name, colour in _COLOURS.items())
    clips = ", ".join(f"{count} {name}" for name, count in record.clips.items())
    body = f"""<h1>Calibration of {html.escape(bundle)}</h1>
<p>{record.layers} layers in INT8 and {len(record.float_layers)} in float, for {html.escape(target)}
({html.escape(TARGETS[target].why)}). Ranges by {html.escape(record.ranges)} from {html.escape(clips)} clips of
training volunteers, sha256 {record.clips_sha256[:16]}….</p>
{"".join(f'<p class="warning">{html.escape(text)}</p>' for text in record.warnings)}
<h2>What INT8 costs</h2>
<p>On volunteers of the testing subset. Divergence is Jensen-Shannon's, in bits, between the probabilities of both.</p>
{_costs(record)}
<p>Features are off, as a share of their size, in the lighting where they are most: {_features(record)}.</p>
<h2>What each layer reads</h2>
<p>Bars: from where to where each lighting alone would have the range. Grey: the range that was taken, which makes the
largest relative rounding error of the four smallest. Behind it, per lighting: that error in decibels below the
signal, and how far answers' leads move, in logits, if this layer alone is in INT8, the redder the more. {key}</p>
{_layers(calibrated)}"""
    return document(f"Calibration of {bundle}", body, STYLE + _STYLE)


def _costs(record: Calibration) -> str:
    heads = (
        "lighting",
        "clips",
        "same answer",
        "divergence, mean",
        "worst",
        "UAR float32",
        "INT8",
        "WAR float32",
        "INT8",
    )
    rows = [f"<tr>{''.join(f'<th>{head}' for head in heads)}</tr>"]
    for name, cost in record.costs.items():
        missed = "" if Goal(record.goal, UAR_LOSS).shown(cost) else ' class="missed"'
        rows.append(
            f"<tr><td>{name}<td>{cost.clips}<td{missed}>{agreement(cost)}<td>{cost.divergence:.1e}"
            f"<td>{cost.worst_divergence:.1e}<td>{cost.uar:.1f} %<td>{cost.uar_int8:.1f} %"
            f"<td>{cost.war:.1f} %<td>{cost.war_int8:.1f} %</tr>"
        )
    return f"<table>{''.join(rows)}</table>"


def _features(record: Calibration) -> str:
    return ", ".join(f"{part} {100 * error:.1f} %" for part, error in record.features.items())


def _layers(calibrated: Calibrated) -> str:
    heads = "".join(f"<th>{name}" for name in LIGHTINGS)
    rows = [f"<tr><th>layer<th>range{heads}</tr>"]
    rows += [_row(calibrated, layer) for layer in calibrated.layers]
    return f"<table>{''.join(rows)}</table>"


def _row(calibrated: Calibrated, layer: Layer) -> str:
    own = calibrated.ranges[layer.part]
    found = [own[name] for name in layer.inputs if name in own]
    picture = "".join(map(_picture, found)) or "raw image: 0 to 255"
    cells = []
    for place, name in enumerate(LIGHTINGS):
        error = max((one.error[place] for one in found), default=0.0)
        decibels = f"{-10 * math.log10(error):.0f} dB · " if error > 0 else ""
        moved = math.sqrt(calibrated.layer_costs[layer.name][name])
        red = min(max((math.log10(max(moved, 1e-12)) + 3) / 2, 0), 1)  # from a thousandth of a logit to a tenth
        cells.append(f'<td style="background:rgba(213,60,0,{0.6 * red:.2f})">{decibels}{moved:.0e}')
    kept = calibrated.record.float_layers.get(layer.name, "")
    mark = f' class="float" title="{html.escape(kept)}"' if kept else ""
    return f"<tr{mark}><td>{html.escape(layer.name)}<td>{picture}{''.join(cells)}</tr>"


def _picture(found: Reconciled) -> str:
    bounds = [(found.low, found.high), *(one for one in found.by_lighting if one)]
    low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
    scale = (_WIDTH - 2) / max(high - low, 1e-30)

    def rectangle(one: tuple[float, float], top: float, height: float, colour: str) -> str:
        return (
            f'<rect x="{1 + (one[0] - low) * scale:.1f}" y="{top}" width="{max((one[1] - one[0]) * scale, 1):.1f}" '
            f'height="{height}" fill="{colour}"/>'
        )

    tall = (_BAR + 1) * len(LIGHTINGS) + 1
    shapes = [rectangle((found.low, found.high), 0, tall, "#dddddd")]
    for place, (name, one) in enumerate(zip(LIGHTINGS, found.by_lighting, strict=True)):
        if one:
            shapes.append(rectangle(one, 1 + place * (_BAR + 1), _BAR, _COLOURS[name]))
    title = f"<title>{found.low:.3g} to {found.high:.3g}</title>"
    return f'<svg width="{_WIDTH}" height="{tall + 2}" role="img">{title}{"".join(shapes)}</svg>'
