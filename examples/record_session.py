"""A test session that is written down, if the wearer agrees: answers and episodes, never images or events.

python examples/record_session.py eye.canthus recording.aedat4 session.jsonl
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import canthus

QUESTION = "Your expressions would be written to {}, as words and times; no picture of your eye. Type yes to agree: "


def main(bundle: str, recording: str, output: str, ask: Callable[[str], str] = input) -> None:
    if ask(QUESTION.format(output)).strip().lower() != "yes":
        print("nothing was written")
        return
    engine, path = canthus.load(bundle), Path(output)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with canthus.open(recording) as source, partial.open("w", encoding="utf-8") as file:
            watching = canthus.watch(engine, source)
            for expression in watching:
                answer = {"time_us": expression.time_us, "steady": expression.steady, "unsure": expression.unsure}
                file.write(json.dumps(answer) + "\n")
                for episode in watching.take_episodes():
                    if episode.offset_us is not None:
                        file.write(json.dumps({"episode": asdict(episode)}) + "\n")
        partial.replace(path)  # whole, or not at all
    finally:
        partial.unlink(missing_ok=True)
    print(f"{path}: written; to take it back, delete it")


if __name__ == "__main__":
    main(*sys.argv[1:])
