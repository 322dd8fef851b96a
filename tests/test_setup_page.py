"""The page of `canthus monitor --setup` in a real browser: what is turned and dragged there is what a file says."""

import contextlib
from urllib.parse import urlsplit

import numpy as np
import pytest

from browsing import Command, expect, pixels
from canthus import View
from canthus._native import Resize
from canthus.monitor.monitor import Monitor
from canthus.monitor.server import PageServer
from canthus.monitor.setup import SetUp
from monitoring import Reader, Recorded, decode
from test_view import ORIENTATIONS, SizedEngine, turn_image

pytestmark = pytest.mark.alone

SENSOR = (346, 260)
SIZE = (100, 133)


@contextlib.contextmanager
def set_up(page, path, view=None, host="127.0.0.1"):
    """The page after a recording has ended; its url, and the frame and event image that it shows."""
    engine = SizedEngine(*SIZE)
    source = Recorded(0.6, sensor=SENSOR, view=view)
    rows, columns = np.mgrid[: SENSOR[1], : SENSOR[0]]
    source.frames = [
        (t, (rows * 3 // 4 + columns // 7 + 20 * (columns > 300)).astype(np.uint8)) for t, _ in source.frames
    ]
    with (
        Monitor(engine, source, "<b>eye</b>") as monitor,
        PageServer(monitor, host, port=0, setup=SetUp(path, source.view, SENSOR, SIZE)) as server,
    ):
        query = urlsplit(server.url).query
        page.goto(f"http://127.0.0.1:{urlsplit(server.url).port}/" + (f"?{query}" if query else ""))
        expect(page, "#state").to_have_text("the recording has ended")
        expect(page, "#values [data-term^=rotate] dd").to_have_count(1)
        updates = Reader(server.url, f"/live?{query}").until("ended")
        picture = next(update["picture"] for update in reversed(updates) if "picture" in update)
        yield server, decode(picture, "frame", SENSOR), decode(picture, "event", SENSOR)


def shown(page):
    """The view that the page shows, and whether its roi is the largest."""
    told = {term: page.inner_text(f'#values [data-term^="{term}"] dd') for term in ("roi", "rotate", "mirror")}
    roi, _, largest = told["roi"].partition(" (")
    view = View([int(edge) for edge in roi.split(", ")], int(told["rotate"].rstrip("°")), told["mirror"] == "yes")
    return view, largest == "largest)"


def drag(page, begin, end):
    """From one place to another, in pixels of the picture that is shown."""
    width, height = (page.evaluate(f"document.getElementById('picture').{side}") for side in ("width", "height"))
    box = page.locator("#stage").bounding_box()
    at = [(box["x"] + x / width * box["width"], box["y"] + y / height * box["height"]) for x, y in (begin, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=7)
    page.mouse.up()


def region(view, shape=SENSOR[::-1]):
    """Where a view's roi lies in the turned picture: rows and columns."""
    left, top, width, height = view.roi
    inside = np.zeros(shape, bool)
    inside[top : top + height, left : left + width] = True
    rows, columns = np.nonzero(turn_image(inside, view.rotate, view.mirror))
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


def check_pictures(page, view, frame, event):
    """The picture is turned as a view turns it, and the small ones are about what the network gets."""
    np.testing.assert_array_equal(pixels(page, "picture")[..., 0], turn_image(frame, view.rotate, view.mirror))
    left, top, width, height = view.roi
    resize = Resize(*SENSOR, (left, top, left + width, top + height), *SIZE[::-1], view.mirror, view.rotate // 90)
    for name, image, most in (("frame", frame, 3), ("event", event, 40)):
        seen, expected = pixels(page, name)[..., 0].astype(int), resize(np.ascontiguousarray(image)).astype(int)
        assert seen.shape == SIZE
        assert np.abs(seen - expected).mean() < most, (name, view)


def test_every_orientation_can_be_reached_and_is_shown_as_a_view_turns_it(page, tmp_path):
    with set_up(page, tmp_path / "eye.yaml") as (server, frame, event):
        seen = set()
        for mirror in (False, True):
            for rotate in (0, 90, 180, 270):
                view, largest = shown(page)
                assert largest and (view.rotate, view.mirror) == (rotate, mirror)
                assert view.roi == View(None, rotate, mirror).region(SENSOR, SIZE)
                check_pictures(page, view, frame, event)
                seen.add((view.rotate, view.mirror))
                page.click("#turn-right")
            page.click("#mirror")
        assert seen == set(ORIENTATIONS)
        page.click("#turn-left")
        assert shown(page)[0].rotate == 270
        before = pixels(page, "picture")
        page.click("#mirror")  # what is seen is mirrored, however it was turned
        np.testing.assert_array_equal(pixels(page, "picture"), before[:, ::-1])
        assert shown(page)[0].rotate == 90
        assert page.inner_text("#title") == "<b>eye</b>"
        assert page.complaints == []
        assert all(url.startswith((server.url, "data:")) for url in page.asked), page.asked
    assert list(tmp_path.iterdir()) == []  # nobody has saved


@pytest.mark.parametrize("rotate, mirror", [(0, False), (90, True), (180, False), (270, False)])
def test_a_dragged_region_is_written_in_the_cameras_own_pixels(page, tmp_path, rotate, mirror):
    path = tmp_path / "eye.yaml"
    with set_up(page, path, View(None, rotate, mirror)) as (_, frame, event):
        drag(page, (40, 50), (200, 90))
        view, largest = shown(page)
        top, bottom, left, right = region(view)
        assert (top, left) == (50, 40) and abs(right - 200) <= 1 and not largest
        assert abs((bottom - top) - (right - left) * 100 / 133) <= 0.5  # the network's aspect
        expect(page, "#saved").to_have_text("not saved yet")
        check_pictures(page, view, frame, event)
        assert not path.exists()
        page.click("#save")
        expect(page, "#saved").to_have_text(f"written to {path}")
        assert View.read(path) == view
        page.reload()  # which goes on from what was written
        expect(page, "#values [data-term^=roi] dd").to_have_text(", ".join(map(str, view.roi)))
        assert shown(page) == (view, False)
        assert page.complaints == []
    assert [p.name for p in tmp_path.iterdir()] == ["eye.yaml"]


def test_a_region_is_moved_resized_and_freed_from_the_aspect(page, tmp_path):
    with set_up(page, tmp_path / "eye.yaml", View((100, 80, 133, 100))):
        drag(page, (150, 130), (170, 120))
        assert shown(page)[0].roi == (120, 70, 133, 100)
        drag(page, (150, 130), (900, 900))
        assert shown(page)[0].roi == (213, 160, 133, 100)  # as far as there is picture
        drag(page, (213, 160), (80, 60))  # by its corner
        assert shown(page)[0].roi == (80, 60, 266, 200)
        drag(page, (346, 60), (346, 61))
        assert shown(page)[0].roi[0] == 80 and sum(shown(page)[0].roi[1::2]) == 260
        page.uncheck("#keep-aspect")
        drag(page, (20, 30), (60, 250))
        assert shown(page)[0].roi == (20, 30, 40, 220)
        drag(page, (5, 5), (7, 7))  # a click
        assert shown(page)[0].roi == (20, 30, 40, 220)
        page.check("#keep-aspect")
        _, _, width, height = shown(page)[0].roi
        assert abs(width / height - 1.33) < 0.02 and abs(width * height - 40 * 220) < 200
        page.click("#middle")
        assert shown(page) == (View((0, 0, 346, 260)), True)


def test_keys_move_and_resize_a_region(page, tmp_path):
    with set_up(page, tmp_path / "eye.yaml", View((100, 80, 133, 100))):
        page.focus("#region")
        for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowLeft", "Shift+ArrowUp"):
            page.keyboard.press(key)
        assert shown(page)[0].roi == (92, 71, 133, 100)
        page.keyboard.press("+")
        assert shown(page)[0].roi[2] > 133
        for _ in range(50):
            page.keyboard.press("-")
        assert min(shown(page)[0].roi[2:]) >= 8
        for _ in range(99):
            page.keyboard.press("+")
        left, top, width, height = shown(page)[0].roi
        assert (width == 346 or height == 260) and min(left, top) >= 0


def test_a_drawn_region_turns_with_the_picture(page, tmp_path):
    with set_up(page, tmp_path / "eye.yaml", View((40, 30, 133, 100))) as (_, frame, event):
        page.click("#mirror")
        assert shown(page)[0] == View((40, 30, 133, 100), 0, True)  # the same part of the camera's picture
        page.click("#turn-right")
        view, _ = shown(page)  # about the same place, in the network's aspect again
        left, top, width, height = view.roi
        assert abs(height / width - 1.33) < 0.02 and abs(width * height - 13300) < 200
        assert abs(left + width / 2 - 106.5) <= 1 and abs(top + height / 2 - 80) <= 1
        check_pictures(page, view, frame, event)


def test_what_can_not_be_saved_is_told(page, tmp_path):
    path = tmp_path / "folder" / "eye.yaml"
    path.parent.mkdir()
    with set_up(page, path) as (server, _, _):
        page.click("#turn-right")
        path.mkdir()
        page.click("#save")
        expect(page, "#saved").to_have_text(
            f"not saved: {path}: can't be written (Is a directory); choose another file\n"
        )
        path.rmdir()
        page.click("#save")
        expect(page, "#saved").to_have_text(f"written to {path}")
        page.click("#turn-right")
        expect(page, "#saved").to_have_text("not saved yet")
        server.close()
        page.click("#save")
        expect(page, "#saved").to_contain_text("not saved: ")
        expect(page, "#state").to_have_text("connection lost; trying again…")
        assert shown(page)[0].rotate == 180  # and is still there
    assert View.read(path) == View(rotate=90)


def test_with_a_token_too(page, tmp_path):
    with set_up(page, tmp_path / "eye.yaml", host="0.0.0.0"):
        assert "token" not in page.url
        page.click("#mirror")
        page.click("#save")
        expect(page, "#saved").to_contain_text("written to ")
    assert View.read(tmp_path / "eye.yaml") == View(mirror=True)


def test_layouts(page, tmp_path):
    with set_up(page, tmp_path / "eye.yaml"):
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.emulate_media(color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
        for width in (1280, 1000, 801, 360):
            page.set_viewport_size({"width": width, "height": 800})
            for _ in range(2):
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                page.click("#turn-right")


def test_the_command_writes_its_file_and_nothing_else(page, small_bundle, recording, tmp_path):
    path = tmp_path / "eye.yaml"
    with Command(tmp_path, small_bundle, recording, "--port", "0", "--setup", path, "--rotate", "270") as command:
        page.goto(command.url)
        expect(page, "#state").to_have_text("the recording has ended")
        page.click("#turn-right")
        page.click("#mirror")
        page.click("#save")
        expect(page, "#saved").to_have_text(f"written to {path}")
        status, error, _ = command.interrupt()
    assert status == 130 and "Traceback" not in error
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
    assert View.read(path) == View(mirror=True)
    with Command(tmp_path, small_bundle, recording, "--port", "0", "--setup", path) as command:  # goes on from there
        page.goto(command.url)
        expect(page, "#values [data-term^=mirror] dd").to_have_text("yes")
