"""Published results: their figures, and how what isn't one is refused. None of it needs PyTorch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import canthus
from canthus.cli import main
from canthus_model.evaluate.figures import EMOTIONS, figures
from canthus_model.evaluate.folder import check_folder
from canthus_model.evaluate.results import encode_run, ranked, read_results
from canthus_model.evaluate.table import table
from canthus_model.see.names import LIGHTINGS

PUBLISHED = Path(__file__).parent.parent.parent / "shared" / "see_results"


def name(number: int, lighting: str, emotion: str) -> str:
    return f"{number}_{number:03}_man_24_Master_{lighting}_{emotion}_45_take000"


FEAR_1, FEAR_2 = name(1, "normal", "fear"), name(2, "normal", "fear")
ANGRY_1, ANGRY_2 = name(3, "HDR", "angry"), name(4, "HDR", "angry")
FEAR_3 = name(5, "HDR", "fear")
ALL = (FEAR_1, FEAR_2, FEAR_3, ANGRY_1, ANGRY_2)


def say(*labels: str) -> dict:
    """A run over ALL that answers with these labels."""
    return {sequence: {label: 0.9} for sequence, label in zip(ALL, labels, strict=True)}


RUNS = [
    say("fear", "fear", "fear", "angry", "neutral"),  # fear 3 of 3, angry 1 of 2
    say("fear", "angry", "neutral", "angry", "angry"),  # fear 1 of 3, angry 2 of 2
]


def write(folder: Path, runs: list[dict]) -> Path:
    folder.mkdir()
    for number, run in enumerate(runs, 1):
        (folder / f"test_{number}.json").write_text(encode_run(run))
    return folder


def test_figures_by_hand():
    found = figures(RUNS)
    assert found.recall["fear"].runs == pytest.approx((100, 100 / 3))
    assert found.recall["fear"].mean == pytest.approx(200 / 3)
    assert found.recall["fear"].spread == pytest.approx((200 / 3) / 2**0.5)  # divisor runs - 1
    assert str(found.recall["angry"]) == "75.0 ± 35.4"
    assert found.accuracy["normal"].runs == (100, 50) and found.accuracy["normal"].sequences == 2
    assert found.accuracy["HDR"].runs == pytest.approx((200 / 3, 200 / 3))
    assert found.lighting_uar["HDR"].runs == (75, 50)
    assert found.war.runs == (80, 60) and found.war.sequences == 5
    assert found.uar.runs == pytest.approx((75, 200 / 3))
    assert found.confusion.shape == (4, 7, 7) and found.confusion.sum() == 10
    fear, angry, neutral = (EMOTIONS.index(emotion) for emotion in ("fear", "angry", "neutral"))
    normal, hdr = LIGHTINGS.index("normal"), LIGHTINGS.index("HDR")
    assert found.confusion[normal, fear, fear] == 3 and found.confusion[normal, fear, angry] == 1
    assert found.confusion[hdr, angry, neutral] == 1 and found.confusion[hdr, fear, neutral] == 1


def test_emotions_and_lightings_without_a_sequence():
    found = figures(RUNS)
    assert found.recall["sadness"].mean is None and found.accuracy["Low"].runs == ()
    assert found.absent == ["happiness", "sadness", "disgust", "surprise", "neutral"]
    text = table(found)
    assert "sadness       –                                   0" in text
    assert "Low           –             –                     0" in text
    assert "UAR is over the emotions present; no sequence shows happiness, sadness" in text


def test_one_run_has_no_spread():
    text = table(figures(RUNS[:1]))
    assert "±" not in text and "1 run over 5 sequences; percent, of one run" in text
    assert figures(RUNS[:1]).war.spread is None


def test_the_spread_is_said_to_be_of_the_same_volunteers():
    found = figures(RUNS)
    assert found.volunteers == {"001": 100, "002": 50, "003": 100, "004": 50, "005": 50}
    text = table(found)
    assert "± is over drawings of clips of the same 5 volunteers" in text
    assert "WAR of each of the 5 volunteers: 50.0 to 100.0, standard deviation 27.4" in text
    assert found.as_dict()["war_of_volunteers"]["004"] == 50


def test_figures_for_machines(tmp_path, capsys):
    folder = write(tmp_path / "seen", RUNS)
    assert main(["evaluate", "--results", str(folder), "--json", "-o", str(tmp_path / "new")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "new" / "figures.json").read_text())
    assert printed["model"] == "seen" and printed["war"]["runs"] == [80, 60]


def test_whose_results_they_are_isnt_forgotten(tmp_path, monkeypatch):
    folder = write(tmp_path / "r", RUNS)
    (folder / "figures.json").write_text('{"model": "save_100.pth", "epoch": 100, "seed": 3}')
    drawn = []
    monkeypatch.setattr("canthus_model.evaluate.command.draw_confusion", lambda found, path, model: drawn.append(model))
    assert main(["evaluate", "--results", str(folder), "-o", str(folder)]) == 0
    numbers = json.loads((folder / "figures.json").read_text())
    assert (numbers["model"], numbers["epoch"], numbers["seed"]) == ("save_100.pth", 100, 3)
    (folder / "figures.json").write_text("[")
    assert main(["evaluate", "--results", str(folder), "-o", str(folder)]) == 0
    assert drawn == ["save_100.pth, epoch 100", "r"]


def test_the_likeliest_label_counts_wherever_it_stands():
    run = {FEAR_1: {"angry": 0.2, "fear": 0.5, "neutral": 0.3}}
    assert figures([run]).war.mean == 100
    assert list(ranked(run[FEAR_1])) == ["fear", "neutral", "angry"]
    assert list(ranked({"b": 1.0, "a": 1.0})) == ["b", "a"]


def test_results_are_read_as_they_were_written(tmp_path):
    assert read_results(write(tmp_path / "r", RUNS)) == RUNS
    document = json.loads((tmp_path / "r" / "test_1.json").read_text())
    assert document["results"][FEAR_1] == [{"label": "fear", "score": 0.9}]


def test_other_files_are_passed_over(tmp_path, capsys):
    folder = write(tmp_path / "r", RUNS)
    (folder / "figures.json").write_text("{")
    (folder / "settings.json").write_text('{"epochs": 100}')
    (folder / "folder.json").mkdir()
    (folder / "._test_1.json").write_bytes(b"\0\5\26\7")
    (folder / "test_1.json").write_text((folder / "test_1.json").read_text(), encoding="utf-8-sig")
    assert len(read_results(folder)) == 2
    error = capsys.readouterr().err
    assert "settings.json: passed over" in error and error.count("\n") == 1


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published results of SEEN are not here")
def test_published_figures_to_the_digit(capsys):
    assert main(["evaluate", "--results", str(PUBLISHED)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    printed = {row[0]: row[1] for row in rows if row[2:3] == ["±"]}
    expected = {
        "happiness": "76.0", "sadness": "85.0", "angry": "85.8", "disgust": "74.8", "surprise": "66.8", "fear": "79.9",
        "neutral": "85.3", "normal": "78.0", "Overexposed": "80.0", "Low": "78.1", "HDR": "78.3",
        "WAR": "78.6", "UAR": "79.1",
    }  # fmt: skip
    assert list(printed.items()) == list(expected.items())  # in this order
    assert "20 runs over 767 sequences" in " ".join(rows[0])


def entries(*items) -> str:
    return json.dumps({"results": {FEAR_1: list(items)}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not readable as JSON"),
        ("{", "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ('{"a":' * 100_000, "not readable as JSON"),
        ('{"results": ' + "1" * 5000 + "}", "not readable as JSON"),
        (b"\xff\xfe\x00", "not readable as JSON"),
        ("[]", "holds no results"),
        ("{}", "holds no results"),
        ('{"results": []}', "aren't entries by the name"),
        ('{"results": {}}', "or there are none"),
        (json.dumps({"results": {FEAR_1: []}}), "no list of labels and scores"),
        (json.dumps({"results": {FEAR_1: "fear"}}), "no list of labels and scores"),
        (entries("\x1b[31m"), r"has the entry '\\x1b"),
        (entries({"label": "fear"}), "a finite number"),
        (entries({"score": 1.0}), "must have a label"),
        (entries({"label": "fear", "score": True}), "a finite number"),
        (entries({"label": "fear", "score": "1"}), "a finite number"),
        (entries({"label": "fear", "score": float("nan")}), "a finite number"),
        (entries({"label": "fear", "score": float("inf")}), "a finite number"),
        (entries({"label": "fear", "score": 10**400}), "a finite number"),
        (entries({"label": "fear", "score": 1}, {"label": "fear", "score": 0}), "another one every time"),
        ('{"results": {"x": [' + "[" * 900 + "]" * 900 + "]}}", "must have a label"),
        (entries({"label": "bored", "score": 1.0}), "'bored' is not an emotion of SEE"),
        (json.dumps({"results": {"1_2_3": [{"label": "fear", "score": 1}]}}), "not the name of a SEE sequence"),
        (encode_run({name(1, "Low", "bored"): {"fear": 1.0}}), "'bored' is not an emotion of SEE"),
    ],
)
def test_what_isnt_results_is_one_clear_error(tmp_path, capsys, content, message):
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "run.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(canthus.DataSetError, match=message) as raised:
        figures(read_results(folder))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 700
    assert main(["evaluate", "--results", str(folder)]) == 2
    out, error = capsys.readouterr()
    assert out == "" and "canthus: error: " in error


def test_a_huge_file_is_not_read(tmp_path):
    folder = tmp_path / "r"
    folder.mkdir()
    with (folder / "run.json").open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(canthus.DataSetError, match="larger than 64 MiB"):
        read_results(folder)


def test_folders_without_results(tmp_path):
    with pytest.raises(canthus.DataSetError, match="no such folder"):
        read_results(tmp_path / "none")
    with pytest.raises(canthus.DataSetError, match="holds no results"):
        read_results(tmp_path)
    with pytest.raises(canthus.DataSetError, match="no results to take figures from"):
        figures([])


def test_runs_over_different_sequences(tmp_path):
    less = {sequence: scores for sequence, scores in RUNS[0].items() if sequence != ANGRY_2}
    folder = write(tmp_path / "r", [RUNS[0], less])
    with pytest.raises(
        canthus.DataSetError, match=rf"test_2\.json: covers 4 sequences and .*test_1\.json 5.*{ANGRY_2}"
    ):
        read_results(folder)
    with pytest.raises(canthus.DataSetError, match="run 2: covers 4 sequences and run 1 5"):
        figures([RUNS[0], less])


def test_pictures_and_numbers_are_written_and_replaced(tmp_path, capsys):
    from PIL import Image

    folder = write(tmp_path / "r", RUNS)
    for output in (tmp_path / "new", folder, folder):
        assert main(["evaluate", "--results", str(folder), "-o", str(output)]) == 0
        assert {"figures.json", "confusion.png"} <= {path.name for path in output.iterdir()}
        assert not [path for path in output.iterdir() if "partial" in path.name]
    assert sorted(path.name for path in folder.glob("test_*")) == ["test_1.json", "test_2.json"]
    numbers = json.loads((folder / "figures.json").read_text())
    assert numbers["war"] == {"mean": 70, "spread": pytest.approx(200**0.5), "sequences": 5, "runs": [80, 60]}
    assert numbers["recall"]["sadness"] == {"mean": None, "spread": None, "sequences": 0, "runs": []}
    assert numbers["confusion"]["all"][EMOTIONS.index("fear")][EMOTIONS.index("fear")] == 4
    with Image.open(folder / "confusion.png") as image:
        assert image.width > 1500
        assert len(image.convert("RGB").getcolors(1 << 20)) > 50


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("none/new", "none: no such folder; create it first"),
        ("file", "is a file"),
        ("other", "holds 'test_9.json' already"),
        ("/proc/new", "can't write"),
    ],
)
def test_outputs_that_cant_be(tmp_path, monkeypatch, capsys, output, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "r", RUNS)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "test_9.json").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert main(["evaluate", "--results", "r", "-o", output]) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_that_cant_be_written_is_told_before_the_work():
    with pytest.raises(canthus.EvaluationError, match=r"/proc/new: can't write there"):
        check_folder(Path("/proc/new"))


def test_nothing_is_left_when_drawing_is_interrupted(tmp_path, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    folder = write(tmp_path / "r", RUNS)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("canthus_model.evaluate.command.draw_confusion", interrupt)
    for output in (tmp_path / "new", folder):
        assert main(["evaluate", "--results", str(folder), "-o", str(output)]) == 130
        assert sorted(tmp_path.rglob("*")) == before


def test_without_matplotlib(tmp_path, monkeypatch, capsys):
    folder = write(tmp_path / "r", RUNS)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["evaluate", "--results", str(folder)]) == 0
    assert main(["evaluate", "--results", str(folder), "-o", str(tmp_path / "new")]) == 2
    assert "pip install 'canthus[train]'" in capsys.readouterr().err


def test_reading_results_needs_no_torch(tmp_path):
    folder = write(tmp_path / "r", RUNS)
    code = (
        "import sys; sys.modules['torch'] = sys.modules['matplotlib'] = None; from canthus.cli import main; "
        f"sys.exit(main(['evaluate', '--results', {str(folder)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WAR           70.0 ± 14.1" in done.stdout
