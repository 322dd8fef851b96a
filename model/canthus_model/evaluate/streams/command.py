"""`canthus evaluate --streams`: recordings whose truth is known, played as an app would hear them."""

from __future__ import annotations

import argparse
import json

import canthus
from canthus.errors import EvaluationError
from canthus_model.evaluate.folder import check_folder, filling
from canthus_model.evaluate.streams.answers import listen
from canthus_model.evaluate.streams.picture import draw_bands
from canthus_model.evaluate.streams.score import Score
from canthus_model.evaluate.streams.table import table
from canthus_model.evaluate.streams.truth import find_recordings
from canthus_model.progress import progress

FIGURES, PICTURE = "streams.json", "streams.png"


def evaluate_streams(arguments: argparse.Namespace) -> None:
    """Play every recording of a folder, and tell how the answers fare, raw and steady.

    Raises:
        EvaluationError: the model is no bundle, or the folder has no recordings with truth.
        BundleError, EngineError: the bundle can't be used.
        SourceError: a recording can't be read.
    """
    if arguments.model is None or arguments.model.suffix != ".canthus":
        raise EvaluationError("--streams plays recordings to a bundle: give one (.canthus), as canthus export makes it")
    recordings = find_recordings(arguments.streams)
    if arguments.output:
        check_folder(arguments.output)
    engine = canthus.load(arguments.model, threads=arguments.threads)
    score, heard = Score(), []
    with progress("recordings") as report:
        for done, (path, truth) in enumerate(recordings):
            said = listen(engine, path)
            unknown = {shown.label for shown in truth.expressions} - set(engine.labels)
            if unknown:
                raise EvaluationError(f"{path}: shows {min(unknown)}, which the bundle doesn't know")
            score.add(truth, said)
            heard.append((path.name, truth, said))
            report(done + 1, len(recordings))
    print(json.dumps(score.as_dict()) if arguments.json else table(score))
    if arguments.output:
        with filling(arguments.output) as folder:
            text = json.dumps({"model": arguments.model.name, **score.as_dict()}, indent=1)
            (folder / FIGURES).write_text(text, encoding="utf-8")
            draw_bands(heard, folder / PICTURE, arguments.model.name)
        if not arguments.json:
            print(f"\n{arguments.output}: {PICTURE} and {FIGURES}")
