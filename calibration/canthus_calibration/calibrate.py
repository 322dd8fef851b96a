"""The main job: a float32 network and a data set become an INT8 network and a report of what that costs."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from canthus.calibration import Calibration
from canthus.errors import CalibrationError
from canthus.modalities import Modalities
from canthus.parts import ENCODERS, HEAD
from canthus_calibration.agreement import closest_lead, compare, expected_agreement, leads_moved
from canthus_calibration.encoders import errors, keep_near
from canthus_calibration.fallback import Goal, fewest_in_float, worst
from canthus_calibration.journal import Journal
from canthus_calibration.layers import Layer, with_dragged
from canthus_calibration.modalities import look_at_modalities
from canthus_calibration.network import Network, Ranges, Report, answers_from, answers_of, features_of
from canthus_calibration.ranges import Reconciled
from canthus_calibration.running import Array
from canthus_calibration.subsets import Drawn, balanced, check_size, decode, missing_emotions
from canthus_calibration.targets import TARGETS
from canthus_calibration.telling import counts, doubts, far, in_name, moves, reason, table, what_holds
from canthus_calibration.trials import Trials
from canthus_model.see.annotation import TESTING, TRAINING
from canthus_model.see.dataset import See, open_see
from canthus_model.see.names import LIGHTINGS
from canthus_model.steps import Steps

AGREEMENT, UAR_LOSS = 99.0, 0.5
"""The goal: percent of answers that are as in float32, unless another is asked for; points of UAR to lose at most."""

_TRIED = 0.2
"""How many more percent stay, in any lighting, of the clips on which layers are tried: they are of training volunteers,
of whom a network is surer than of those for whom the goal is to hold."""

_TRIED_SEQUENCES = 250  # of each lighting, at most: on which layers are tried, two clips each
_MEASURED = (
    "squares of what moves leads, with weights of 8 bits, and of 7"  # in a journal; one of other things is begun anew
)
_WEIGHED_PER_LIGHTING = 12  # of the calibration's clips on which each layer's cost is measured
_SEVEN_BITS = 1.5  # times what a layer costs with 8-bit weights that it may cost with 7-bit ones
_NOTHING = 1e-6  # that a layer may cost whatever its weights
_JUMP = 0.2  # logits: what moves a lead further is an expert that takes another's place, which any small move may do
_TESTED = 2000  # clips of testing volunteers for the report
_ROUNDS = 2, 20  # in which those are drawn: what another clip changes takes two; published evaluations have 20


@dataclass(frozen=True)
class Calibrated:
    """What came of it.

    Attributes:
        graphs: by part, the encoders in INT8.
        record: for the manifest.
        ranges: of every activation, by part.
        layers: all that could be quantised.
        layer_costs: by layer's name and lighting, if it alone is in INT8, the mean square of how far leads move, in
            squares of logits.
        closest_lead: of its answers to the testing clips, see `agreement.closest_lead`.
        modalities: whether it uses each, for the manifest; None if nothing could be measured.
    """

    graphs: dict[str, onnx.ModelProto]
    record: Calibration
    ranges: Ranges
    layers: list[Layer]
    layer_costs: dict[str, dict[str, float]]
    closest_lead: float
    modalities: Modalities | None
    journal: Journal


def calibrate(
    graphs: Mapping[str, onnx.ModelProto],
    root: Path,
    *,
    target: str,
    estimator: str,
    clips: int,
    agreement: float,
    journal: Path,
    steps: Steps,
) -> Calibrated:
    """Quantise the graphs of a network for `target`, with ranges from the training subset of the data set in `root`.

    The network's outputs are taken to be in the order of the data set's labels.

    Args:
        graphs: float32, by part, as canthus exports them.
        target: one of TARGETS.
        estimator: one of ESTIMATORS.
        clips: to take ranges from, of all lightings together, equally many each.
        agreement: percent of the answers that are to be as in float32, in every lighting.
        journal: file to keep measurements in; the caller removes it when it has kept the result.

    Raises:
        DataSetError: the data set can't be used.
        CalibrationError: it has images of another size, too little of a lighting, or no layer can be in INT8.
    """
    training, testing = open_see(root, TRAINING), open_see(root, TESTING)
    check_size(training, _image_size(graphs[ENCODERS[0]]))
    with steps.step("draw") as step:
        places = balanced(training, clips // len(LIGHTINGS))
        drawn = decode(training, [(0, place) for place in places], report=step.report)
        step.result(f"{len(drawn)} clips: {counts(drawn)}; sha256 {drawn.sha256[:12]}")
    network = Network(graphs, TARGETS[target])
    kept = Journal(journal, _key(graphs, drawn, target, estimator))
    few, few_features = _some(drawn, network.features(drawn))
    with steps.step("observe") as step:
        ranges = _observe(network, drawn, estimator, kept, step.report)
        step.result(f"{sum(map(len, ranges.values()))} activations, by {estimator}, for the worst lighting")
    warnings, must = _odd(network.layers, ranges, training, drawn)
    with steps.step("weigh") as step:
        costs, network.narrow = _weigh(network, ranges, few, few_features, kept, step.report)
        name, (lighting, cost) = max(((n, worst(c)) for n, c in costs.items()), key=lambda item: item[1][1])
        step.result(
            f"{len(costs)} layers; the costliest is {name}, {moves(cost)} in {lighting}"
            + (f"; 7 bits do for the weights of {len(network.narrow)}" if network.narrow else "")
        )
    with steps.step("choose") as step:
        chosen, tried, held = _choose(network, graphs, ranges, costs, must, training, agreement, step.report)
        chosen, off = keep_near(network, ranges, chosen, few, few_features)
        in_float = with_dragged(network.layers, chosen)
        step.result(
            f"{len(in_float)} of {len(network.layers)} layers stay in float, tried on {tried} clips"
            + "".join(f"; {layer.name}" for layer in in_float[:4])
            + ("; …" if len(in_float) > 4 else "")
        )
    if not any(layer.work and layer not in in_float for layer in network.layers):
        raise CalibrationError(
            f"no layer of the network can be in INT8 and hold the goal ({agreement:g} % of the answers as in float32, "
            f"in every lighting), as tried on {tried} clips: export it in float32"
            + what_holds(held, len(network.layers))
        )
    int8 = network.quantised(ranges, in_float)
    with steps.step("compare") as step:
        rounds = int(np.clip(-(-_TESTED // len(testing.sequences)), *_ROUNDS))
        keys = list(itertools.product(range(rounds), range(len(testing.sequences))))
        tested = decode(testing, keys, report=step.report)
        exact, features = features_of(graphs, tested), features_of(int8, tested)
        answers = answers_from(int8[HEAD], features)
        found = compare(answers_from(graphs[HEAD], exact), answers, tested)
        apart = {part: errors(exact[part], features[part], tested.lighting) for part in ENCODERS}
        step.result(f"on {len(tested)} clips of other volunteers" + table(found))
    modalities = look_at_modalities(int8[HEAD], features, tested, testing, steps)
    warnings += doubts(found, Goal(agreement, UAR_LOSS)) + far(apart) + in_name(network.layers, in_float, held)
    for warning in warnings:
        steps.warn(warning)
    record = Calibration(
        ranges=estimator,
        clips=drawn.counts(),
        clips_sha256=drawn.sha256,
        layers=len(network.layers) - len(in_float),
        float_layers={layer.name: reason(layer, costs, off, must, chosen, in_float) for layer in in_float},
        warnings=tuple(warnings),
        costs=found,
        goal=agreement,
        features={part: worst(one)[1] for part, one in apart.items()},
    )
    return Calibrated(
        int8, record, ranges, network.layers, costs, closest_lead(answers, tested.lighting), modalities, kept
    )


def _image_size(encoder: onnx.ModelProto) -> tuple[int, int]:
    _, height, width = (axis.dim_value for axis in encoder.graph.input[0].type.tensor_type.shape.dim)
    return height, width


def _observe(network: Network, drawn: Drawn, estimator: str, kept: Journal, report: Report) -> Ranges:
    measured = kept.get("ranges")
    if measured is None:
        ranges = network.observe(drawn, estimator, report)
        kept.put("ranges", {part: {n: asdict(r) for n, r in found.items()} for part, found in ranges.items()})
        return ranges
    return {part: {n: Reconciled(**r) for n, r in found.items()} for part, found in measured.items()}


def _some(drawn: Drawn, features: Mapping[str, Array]) -> tuple[Drawn, dict[str, Array]]:
    """The clips on which each layer is weighed, and their features."""
    some = np.concatenate(
        [np.flatnonzero(drawn.lighting == place)[:_WEIGHED_PER_LIGHTING] for place in range(len(LIGHTINGS))]
    )
    return drawn.those(some), {part: values[some] for part, values in features.items()}


def _weigh(
    network: Network, ranges: Ranges, few: Drawn, features: Mapping[str, Array], kept: Journal, report: Report
) -> tuple[dict[str, dict[str, float]], list[Layer]]:
    """By layer and lighting, the mean square of how far leads move if this layer alone is in INT8, in logits.

    Squares of what moves independently add up. Also the layers for whose weights 7 bits do, where the target is
    faster with them; their costs are with these.
    """
    float32 = network.answers(features)

    def cost_of(layer: Layer, *, narrow: bool) -> dict[str, float]:
        moved = leads_moved(float32, network.with_only(layer, ranges, few, features, narrow=narrow))
        squares = np.minimum(moved, _JUMP) ** 2
        return {name: float(squares[few.lighting == place].mean()) for place, name in enumerate(LIGHTINGS)}

    costs: dict[str, dict[str, float]] = {}
    narrow: list[Layer] = []
    for done, layer in enumerate(network.layers):
        ways = [False, True] if network.target.narrow and layer.work else [False]
        measured = kept.get(layer.name)
        if measured is None:
            measured = [cost_of(layer, narrow=way) for way in ways]
            kept.put(layer.name, measured)
        costs[layer.name] = measured[0]
        if len(measured) > 1 and worst(measured[1])[1] <= max(_SEVEN_BITS * worst(measured[0])[1], _NOTHING):
            costs[layer.name] = measured[1]
            narrow.append(layer)
        report(done + 1, len(network.layers))
    return costs, narrow


def _choose(
    network: Network,
    graphs: Mapping[str, onnx.ModelProto],
    ranges: Ranges,
    costs: dict[str, dict[str, float]],
    must: list[Layer],
    training: See,
    agreement: float,
    report: Report,
) -> tuple[list[Layer], int, dict[int, float]]:
    """The layers that have to stay in float, on how many clips that was tried, and by how many layers were tried in
    float, the percent of answers that are expected to stay on others in the worst lighting."""
    tried = decode(training, _spread(training, _TRIED_SEQUENCES), seed=1, report=report)
    float32, trials = answers_of(graphs, tried), Trials(network, ranges, tried)
    held: dict[int, float] = {}
    lost = Goal(0.0, UAR_LOSS)  # how many answers stay is expected below

    def holds(in_float: list[Layer]) -> bool:
        kept = with_dragged(network.layers, in_float)
        int8 = trials.answers(kept)
        missed = any(lost.missed(cost) for cost in compare(float32, int8, tried).values())
        held[len(kept)] = min(expected_agreement(float32, int8, tried.lighting)) - _TRIED
        return held[len(kept)] >= min(agreement, 100 - _TRIED) and not missed

    return fewest_in_float(network.layers, costs, must, holds), len(tried), held


def _odd(layers: list[Layer], ranges: Ranges, see: See, drawn: Drawn) -> tuple[list[str], list[Layer]]:
    """Warnings, and the layers that have to stay in float for want of a range."""
    warnings = [
        f"{lighting}: no clip of {', '.join(emotions)}" for lighting, emotions in missing_emotions(see, drawn).items()
    ]
    must = []
    for layer in layers:
        own = ranges[layer.part]
        for found in (own[name] for name in layer.inputs if name in own):
            constant = [name for name, one in zip(LIGHTINGS, found.by_lighting, strict=True) if one is None]
            if constant:
                warnings.append(f"{layer.name}: reads the same value all over in {', '.join(constant)}")
            if len(constant) == len(LIGHTINGS) and layer not in must:
                must.append(layer)
    return warnings, must


def _spread(see: See, at_most: int) -> list[tuple[int, int]]:
    """Two clips of up to `at_most` sequences of each lighting, balanced."""
    fewest = min(sum(sequence.lighting == name for sequence in see.sequences) for name in LIGHTINGS)
    return [(turn, place) for turn in (0, 1) for place in balanced(see, min(at_most, fewest), seed=1)]


def _key(graphs: Mapping[str, onnx.ModelProto], drawn: Drawn, target: str, estimator: str) -> str:
    digest = hashlib.sha256()
    for name in sorted(graphs):
        for initializer in graphs[name].graph.initializer:
            digest.update(initializer.raw_data)
    for text in (_MEASURED, drawn.sha256, target, estimator, onnxruntime.__version__):
        digest.update(text.encode())
    return digest.hexdigest()
