"""`canthus train --validation`: who is held back, which epoch is kept as the best, and the curves of a run."""

import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
from canthus.cli import main  # noqa: E402
from canthus.errors import TrainingError  # noqa: E402
from canthus_model.checkpoint import load_network, read_epoch, read_facts  # noqa: E402
from canthus_model.see.annotation import TRAINING, read_annotation  # noqa: E402
from canthus_model.see.dataset import open_see  # noqa: E402
from canthus_model.see.moments import Clips  # noqa: E402
from canthus_model.train.best import KeepBest  # noqa: E402
from canthus_model.train.curves import Curves  # noqa: E402
from canthus_model.train.history import Epoch, History, Look  # noqa: E402
from canthus_model.train.looked_at import CHOSEN_BY, SHOWN  # noqa: E402
from canthus_model.train.picture import draw_curves, lines  # noqa: E402
from canthus_model.train.recall import UnweightedRecall  # noqa: E402
from canthus_model.train.recipe import SMALL_RECIPE  # noqa: E402
from canthus_model.train.resume import read_begun  # noqa: E402
from canthus_model.train.volunteers import draw_volunteers, hold_back  # noqa: E402
from see_folder import make_see  # noqa: E402
from test_train import Pictures, run  # noqa: E402

OPTIONS = ["--preset", "small", "--batch", "4", "--accelerator", "cpu", "--workers", "0"]


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory):
    """One thread; what is remembered of these tests' images is forgotten with them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def see(tmp_path_factory):
    """Ten volunteers for training; of the testing subset there is only what the annotation says."""
    root = make_see(tmp_path_factory.mktemp("see"), sequences=10, frames=5)
    for name in names(root, "testing"):
        for folder in root.glob(f"*/*/{name}"):
            shutil.rmtree(folder)
    return root


@pytest.fixture(scope="module")
def held_back_run(see, tmp_path_factory):
    """A run of five epochs on seven volunteers; its folder, and who was decoded to train on and to look at."""
    folder, trained_on, looked_at = tmp_path_factory.mktemp("run"), set(), set()
    with pytest.MonkeyPatch.context() as patch:
        item = Clips.__getitem__

        def spy(clips, key):
            volunteer = clips._see.sequences[key[1]].entry.parts.volunteer
            (looked_at if clips._middle else trained_on).add(volunteer)
            return item(clips, key)

        patch.setattr(Clips, "__getitem__", spy)
        assert main(["train", str(see), "-o", str(folder), "--epochs", "5", "--validation", "3", *OPTIONS]) == 0
    return folder, trained_on, looked_at


def names(root, subset):
    database = json.loads((root / "emotion.json").read_text())["database"]
    return [name for name, record in database.items() if record["subset"] == subset]


def kept(folder, callback):
    """What `last.pth` keeps of a callback."""
    return torch.load(folder / "last.pth", weights_only=True)["lightning"]["callbacks"][callback]


def looks_of(folder):
    history = History(CHOSEN_BY)
    history.load_state_dict(kept(folder, "History"))
    return {epoch.number: epoch.look for epoch in history.epochs if epoch.look}


def test_those_held_back_are_looked_at_and_never_trained_on(held_back_run):
    folder, trained_on, looked_at = held_back_run
    assert set(read_begun(folder / "last.pth").settings.volunteers) == looked_at
    assert len(looked_at) == 3
    assert trained_on == {f"{number:03}" for number in range(10)} - looked_at
    assert set(read_facts(folder / "best.pth").held_back) == looked_at


def test_the_best_file_is_of_the_network_that_was_looked_at(held_back_run, see):
    folder, _, looked_at = held_back_run
    network = load_network(folder / "best.pth")
    clips = Clips(hold_back(open_see(see, TRAINING), looked_at)[1], middle=True)
    samples = [clips[0, index] for index in range(len(clips))]
    frame, event, label, _ = (torch.stack(parts) for parts in zip(*samples, strict=True))
    with torch.inference_mode():
        logits = network(frame, event)
    right = logits.argmax(1) == label
    uar = np.mean([right[label == one].float().mean() for one in label.unique()])
    loss = torch.nn.functional.cross_entropy(logits, label).item()
    assert looks_of(folder) == {5: pytest.approx(Look(loss, uar), rel=1e-4)}
    weights, best = (torch.load(folder / f"{name}.pth", weights_only=True) for name in ("weights", "best"))
    assert list(best) == list(weights) and best["epoch"] == 5
    assert read_facts(folder / "best.pth") == read_facts(folder / "weights.pth")


def test_what_is_said(see, tmp_path, capsys):
    capsys.readouterr()
    assert main(["train", str(see), "-o", str(tmp_path), "--epochs", "1", "--validation", "1", *OPTIONS]) == 0
    out, error = capsys.readouterr()
    (volunteer,) = read_begun(tmp_path / "last.pth").settings.volunteers
    assert f"\nheld back for validation: volunteer {volunteer}; the testing subset isn't opened\n" in error
    assert ", validation loss " in error and ", validation WAR " in error and "testing loss" not in error
    uar = 100 * looks_of(tmp_path)[1].uar
    assert (
        out.splitlines()[1] == f"{tmp_path / 'best.pth'}: epoch 1, the best; validation UAR {uar:.1f} % on 1 volunteer"
    )


def test_going_on_takes_the_same_volunteers_also_without_a_testing_subset(held_back_run, see, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(held_back_run[0], folder)
    content = json.loads((see / "emotion.json").read_text())
    for name in names(see, "testing"):
        del content["database"][name]
    other = tmp_path / "see"
    shutil.copytree(see, other)
    (other / "emotion.json").write_text(json.dumps(content))
    command = ["train", str(other), "-o", str(folder), "--resume", "--accelerator", "cpu", "--workers", "0"]
    assert main([*command, "--epochs", "6", "--validation", "3"]) == 0
    assert f"volunteers {', '.join(sorted(held_back_run[2]))}; " in capsys.readouterr().err
    assert list(looks_of(folder)) == [5, 6]
    assert main([*command, "--epochs", "7", "--validation", "2"]) == 2
    told = f"--validation 2: the run in {folder} was begun with --validation 3, and goes on as it was begun"
    assert told in capsys.readouterr().err
    gone = {name: record for name, record in content["database"].items() if name.split("_")[1] not in held_back_run[2]}
    (other / "emotion.json").write_text(json.dumps(content | {"database": gone}))
    assert main([*command, "--epochs", "7"]) == 2
    told = f"{other}: has no training volunteer {min(held_back_run[2])}, whom the run holds back; give the data set"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--validation", "10"], "--validation 10: leaves nobody to train on, as there are 10 training volunteers"),
        (["--validation", "7"], "a batch of 4 exceeds the 3 training sequences that --validation 7 leaves; give less"),
    ],
    ids=str,
)
def test_too_many_are_refused_before_anything_is_opened(see, tmp_path, capsys, options, message):
    for_its_annotation = tmp_path / "see"
    for_its_annotation.mkdir()
    shutil.copy(see / "emotion.json", for_its_annotation)
    assert main(["train", str(for_its_annotation), "-o", str(tmp_path / "run"), *OPTIONS, *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"canthus: error: {message}") and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_names_that_tell_no_volunteer(see, tmp_path, capsys):
    text = (see / "emotion.json").read_text().replace("_001_man", "__man")
    (tmp_path / "emotion.json").write_text(text)
    assert main(["train", str(tmp_path), "-o", str(tmp_path / "run"), "--validation", "1", *OPTIONS]) == 2
    assert "1 × names that don't parse: '2__man_24" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_a_number_that_makes_no_sense(number, capsys):
    with pytest.raises(SystemExit):
        main(["train", "see", "-o", "run", "--validation", number])
    assert f"argument --validation: {number!r} is not a whole number, " in capsys.readouterr().err


def test_the_seed_draws_the_volunteers(see):
    entries = [entry for entry in read_annotation(see / "emotion.json").entries if entry.subset == TRAINING]
    drawn = [draw_volunteers(entries, 3, seed) for seed in range(20)]
    assert drawn[0] == draw_volunteers(entries[::-1] + entries[:4], 3, 0)
    assert set(drawn[0]) < set(draw_volunteers(entries, 4, 0))
    assert {volunteer for three in drawn for volunteer in three} == {entry.parts.volunteer for entry in entries}
    with pytest.raises(
        TrainingError, match=r"--validation 1: leaves nobody to train on, as there is 1 .*; leave it out"
    ):
        draw_volunteers(entries[:1], 1, 0)


class Turning(Pictures):
    """Pictures whose labels are others from some look on, so that no later epoch can be better."""

    looks = 0

    def __init__(self, until):
        super().__init__(7)
        self.until = until

    def __getitem__(self, key):
        self.looks += key[1] == 0
        sample = super().__getitem__(key)
        return sample._replace(label=(sample.label + 1) % 7) if self.looks > self.until else sample


def test_the_best_epoch_stays_also_after_going_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("canthus_model.train.run.LOOK_EVERY", 1)
    monkeypatch.setattr("canthus_model.train.curves.draw_curves", lambda *_: None)  # it takes longer than an epoch
    turning = Turning(until=3)
    shared = {"training": Pictures(28), "testing": turning, "volunteers": ["007"], "reseat": False}
    run(tmp_path, epochs=3, **shared)
    first = read_epoch(tmp_path / "best.pth"), (tmp_path / "best.pth").read_bytes()
    run(tmp_path, epochs=5, resume=True, **shared)
    looks = looks_of(tmp_path)
    assert list(looks) == [1, 2, 3, 4, 5]
    assert first[0] == max(looks, key=lambda number: (looks[number].uar, -looks[number].loss))
    assert looks[first[0]].uar > max(looks[number].uar for number in (4, 5))
    assert (tmp_path / "best.pth").read_bytes() == first[1]
    assert kept(tmp_path, "KeepBest") == {"epoch": first[0]}
    assert f"best.pth: epoch {first[0]}, the best; " in capsys.readouterr().out.splitlines()[-1]


def keeper(folder, *looks, said=None):
    """What keeps the best of epochs that came to (UAR, loss) each, or were not looked at; which epochs it wrote."""
    history, written = History(CHOSEN_BY), []
    best = KeepBest(folder, history, (said if said is not None else []).append)
    trainer = SimpleNamespace(save_checkpoint=lambda path, weights_only: written.append((path, weights_only)))
    wrote = []
    for number, look in enumerate(looks, 1):
        history.epochs.append(Epoch(number, 1.0, 0.5, 1e-3, look and Look(loss=look[1], uar=look[0])))
        best.on_train_epoch_end(trainer, None)
        wrote += [number] * (len(written) - len(wrote))
    assert set(written) <= {(folder / "best.pth", True)}
    return best, wrote


@pytest.mark.parametrize(
    "looks, wrote",
    [
        ([None, (0.0, 3.0), None, (0.5, 2.0), (0.4, 1.0)], [2, 4]),
        ([(0.5, 2.0), (0.5, 1.9), (0.5, 1.95), (0.5, 1.9)], [1, 2]),
        ([(0.5, float("nan")), (0.5, 9.0), (0.5, float("nan"))], [1, 2]),
    ],
    ids=["highest UAR", "then lowest loss, then first", "NaN is the worst loss"],
)
def test_which_epoch_is_the_best(tmp_path, looks, wrote):
    best, written = keeper(tmp_path, *looks)
    assert written == wrote and best.epoch.number == wrote[-1]


@pytest.mark.parametrize("found", ["of another epoch", "nothing", "damaged", "the best"])
def test_a_file_that_is_not_of_the_best_epoch_does_not_pass_for_it(tmp_path, found):
    said, path = [], tmp_path / "best.pth"
    best, _ = keeper(tmp_path, (0.5, 2.0), (0.4, 2.0), said=said)
    if found == "damaged":
        path.write_bytes(b"PK")
    elif found != "nothing":
        torch.save({"epoch": 1 if found == "the best" else 2, "state_dict": {}}, path)
    trainer = SimpleNamespace(strategy=SimpleNamespace(broadcast=lambda value: value), is_global_zero=True)
    best.on_train_start(trainer, None)
    if found == "the best":
        assert best.epoch.number == 1 and said == []
    else:
        assert best.epoch is None
        assert said == [
            f"{path}: isn't of epoch 1, the best so far; it will be the best one of the epochs from here on"
        ]


def test_history_is_kept_in_plain_numbers():
    first, second = History(SHOWN), History(SHOWN)
    first.epochs = [Epoch(1, 2.0, 0.1, 3e-4, None), Epoch(2, 1.5, 0.2, 2.8e-4, Look(1.8, 0.15))]
    state = json.loads(json.dumps(first.state_dict()))
    second.load_state_dict(state)
    assert second.epochs == first.epochs


@pytest.mark.parametrize(
    "epochs",
    [[[1, 2.0, "odd", 3e-4, None]], [["1", 2.0, 0.1, 3e-4, None]], [[1, 2.0, 0.1, 3e-4, [1.0]]], [[1]], [1]],
    ids=str,
)
def test_a_history_that_makes_no_sense_is_not_taken(epochs):
    with pytest.raises((ValueError, TypeError)):
        History(SHOWN).load_state_dict({"epochs": epochs})


def test_a_damaged_history_is_one_clear_error(held_back_run, see, tmp_path, capsys):
    content = torch.load(held_back_run[0] / "last.pth", weights_only=True)
    content["lightning"]["callbacks"]["KeepBest"] = {"epoch": 99}
    torch.save(content, tmp_path / "last.pth")
    command = ["train", str(see), "-o", str(tmp_path), "--resume", "--accelerator", "cpu", "--workers", "0"]
    assert main([*command, "--epochs", "6"]) == 2
    assert "last.pth: training can't go on from it" in capsys.readouterr().err


def test_curves_go_on_from_the_first_epoch(tmp_path, monkeypatch):
    drawn = []

    def spy(epochs, path, looked_at, labels, best):
        drawn.append((lines(epochs, looked_at), labels, best))
        draw_curves(epochs, path, looked_at, labels, best)

    monkeypatch.setattr("canthus_model.train.curves.draw_curves", spy)
    monkeypatch.setattr("canthus_model.train.run.LOOK_EVERY", 2)
    run(tmp_path, epochs=2, training=Pictures(8))
    (tmp_path / "curves.png").unlink()
    (tmp_path / ".curves.png.1.partial").write_bytes(b"of a killed run")
    run(tmp_path, epochs=5, training=Pictures(8), resume=True)
    assert len(drawn) == 3  # after each look
    curves, labels, best = drawn[-1]
    assert (labels, best) == (7, None)
    for training, looked_at in (curves.losses, curves.uar):
        assert (training.name, training.epochs) == ("training", [1, 2, 3, 4, 5])
        assert (looked_at.name, looked_at.epochs) == ("testing (for show)", [2, 4, 5])
    assert all(0 < loss < 10 for line in curves.losses for loss in line.values)
    assert all(0 <= uar <= 100 for line in curves.uar for uar in line.values) and max(curves.uar[0].values) > 1
    rates = [3e-3 * SMALL_RECIPE.decay**epoch for epoch in range(5)]
    assert curves.rate[0].values == pytest.approx(rates)
    assert (
        "best.pth" not in (files := {path.name for path in tmp_path.iterdir()}) and ".curves.png.1.partial" not in files
    )
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 1000
        assert len(np.unique(np.asarray(picture.convert("RGB")))) > 100


def test_curves_that_cannot_be_written_stop_nothing(tmp_path):
    best, _ = keeper(tmp_path, (0.5, 2.0))
    said, path = [], tmp_path / "curves.png"
    path.mkdir()
    curves = Curves(tmp_path, best._history, CHOSEN_BY, 7, best, said.append)
    curves.on_train_epoch_end(SimpleNamespace(is_global_zero=True), None)
    assert said == [f"{path}: can't be written (Is a directory); training goes on without it"]
    assert list(tmp_path.iterdir()) == [path]


def test_curves_that_cannot_be_drawn_stop_nothing(tmp_path):
    best, _ = keeper(tmp_path, (0.5, 2.0))
    best._history.epochs[0] = best._history.epochs[0]._replace(rate=float("nan"))
    said = []
    curves = Curves(tmp_path, best._history, CHOSEN_BY, 7, best, said.append)
    curves.on_train_epoch_end(SimpleNamespace(is_global_zero=True), None)
    (told,) = said
    assert told.startswith(f"{tmp_path / 'curves.png'}: can't be written (Axis limits cannot be NaN or Inf)")
    assert list(tmp_path.iterdir()) == []


def test_curves_take_no_notice_of_a_matplotlibrc(tmp_path, monkeypatch):
    import matplotlib

    epochs = [Epoch(1, 2.0, 0.5, 1e-3, Look(2.0, 0.5))]
    draw_curves(epochs, tmp_path / "usual.png", CHOSEN_BY, 7)
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "black"}):
        draw_curves(epochs, tmp_path / "curves.png", CHOSEN_BY, 7)
    assert (tmp_path / "curves.png").read_bytes() == (tmp_path / "usual.png").read_bytes()


def test_without_matplotlib(see, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    assert main(["train", str(see), "-o", str(tmp_path / "run"), *OPTIONS]) == 2
    told = "the curves can't be drawn: Matplotlib isn't installed: pip install 'canthus[train]'"
    assert capsys.readouterr().err == f"canthus: error: {told}\n"


def test_uar_is_over_the_labels_that_there_are():
    uar = UnweightedRecall(7)
    true, predicted = [0, 0, 0, 0, 3, 3], [0, 0, 0, 5, 3, 0]
    for part in (slice(0, 2), slice(2, 6)):
        uar.update(torch.tensor(predicted[part]), torch.tensor(true[part]))
    assert uar.compute().item() == pytest.approx((3 / 4 + 1 / 2) / 2)
