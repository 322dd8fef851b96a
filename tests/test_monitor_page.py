"""The page of `canthus monitor` in a real browser, and the command around it."""

import signal
import socket
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from browsing import Command, expect, pixels
from canthus import View
from canthus.monitor.monitor import Monitor
from canthus.monitor.server import PageServer
from monitoring import Reader, Recorded, decode
from test_stream import SENSOR, StandInEngine
from test_view import turn_image

pytestmark = pytest.mark.alone


@pytest.mark.wall_time
def test_page_shows_what_the_stream_tells_and_comes_back(page, small_bundle, recording, tmp_path):
    with Command(tmp_path, small_bundle, recording, "--port", "0") as command:
        page.goto(command.url)
        expect(page, "#state").to_have_text("the recording has ended")
        updates = Reader(command.url).until("ended")
        expect(page, "#ledgers tr:last-child").to_contain_text("adds up")
        check_expression(page, updates)
        check_episodes(page, updates)
        check_pictures(page, updates)
        check_charts(page)
        check_health(page, updates[1]["health"])
        check_layouts(page)
        assert page.title() == f"{small_bundle.name} on {recording.name} – canthus monitor"
        assert page.complaints == []
        assert all(url.startswith((command.url, "data:")) for url in page.asked), page.asked
        status, error, seconds = command.interrupt()
    assert (status, seconds < 2) == (130, True), error
    assert "Traceback" not in error
    port = urlsplit(command.url).port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    expect(page, "#state").to_have_text("connection lost; trying again…")
    with Command(tmp_path, small_bundle, recording, "--port", port, "--loop") as command:
        expect(page, "#state").to_have_text("playing")
        command.process.send_signal(signal.SIGSTOP)  # a device that hangs: the connection stays, and is silent
        expect(page, "#state").to_have_text("connection lost; trying again…")
        command.process.send_signal(signal.SIGCONT)
        expect(page, "#state").to_have_text("playing")


def check_expression(page, updates):
    answer = updates[1]["answers"][-1]
    labels = updates[0]["about"]["labels"]
    percents = [f"{np.floor(100 * p + 0.5):.0f} %" for p in answer["probabilities"]]
    assert answer["unsure"] is None
    assert page.inner_text("#label") == labels[answer["steady"]]
    assert page.inner_text("#probability") == f"{np.floor(100 * answer['confidence'] + 0.5):.0f} %"
    alone = f"of this moment alone: {labels[answer['label']]}"
    assert (alone in page.inner_text("#missing")) == (answer["label"] != answer["steady"])
    assert page.locator("#probabilities .name").all_inner_texts() == labels
    assert page.locator("#probabilities .percent").all_inner_texts() == percents
    assert page.inner_text("#probabilities .is-likeliest .name") == labels[answer["label"]]


def check_episodes(page, updates):
    episodes = updates[1]["episodes"]
    assert [one["onset_us"] for one in episodes] == sorted((one["onset_us"] for one in episodes), reverse=True)
    shown = zip(*(page.locator(f"#episodes .{name}").all_inner_texts() for name in ("name", "length")), strict=True)
    newest = updates[1]["answers"][-1]["time_us"]
    for (name, length), one in zip(shown, episodes, strict=True):
        seconds = ((one["offset_us"] or newest) - one["onset_us"]) / 1e6
        assert (name, length) == (one["label"], f"{'' if one['offset_us'] else 'for '}{seconds:.1f} s")


def check_pictures(page, updates):
    sensor = updates[0]["about"]["sensor"]
    left, top, width, height = updates[0]["about"]["roi"]
    for name in ("frame", "event"):
        shown = pixels(page, name)
        expected = decode(updates[1]["picture"], name, sensor)
        inside = np.s_[top + 1 : top + height - 1, left + 1 : left + width - 1]
        assert np.ptp(expected[inside]) > 100
        for channel in range(3):
            np.testing.assert_array_equal(shown[inside][..., channel], expected[inside])
        edge = shown[top, left : left + width, 0]
        assert (edge == 0).mean() > 0.3 and (edge == 255).mean() > 0.3  # dashes, with a blended pixel between


def check_charts(page):
    for name, top, right in (("probability-chart", 40, 110), ("latency-chart", 0, 36)):
        shown = pixels(page, name)[top:, :-right]  # without names and legends
        coloured = np.ptp(shown[..., :3].astype(int), axis=-1) > 60  # neither text nor rules
        assert (coloured & (shown[..., 3] > 200)).sum() > 15, name


def check_health(page, health):
    names = [text.splitlines()[0] for text in page.locator("#ledgers th").all_inner_texts()]
    cells = np.reshape(page.locator("#ledgers td").all_inner_texts(), (len(names), 3))
    assert (names.pop(), *cells[-1]) == ("adds up", "yes", "yes", "yes")
    counts = {
        name: [int(cell.replace(",", "") or 0) for cell in row] for name, row in zip(names, cells[:-1], strict=True)
    }
    came = counts.pop("came")
    assert came == [health[book]["came"] for book in ("frames", "packets", "events")]
    assert came[0] == 30 and came[2] > 10_000
    assert [sum(column) for column in zip(*counts.values(), strict=True)] == came
    terms, values = (page.locator(f"#health {tag}").all_inner_texts() for tag in ("dt", "dd"))
    told = dict(zip(terms, values, strict=True))
    assert told["clock offset"] == "one clock"
    assert told["stalls"].split()[0] == str(health["stalls"])


def check_layouts(page):
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    for width in (1000, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1100, "height": 900})


@pytest.mark.parametrize("rotate, mirror", [(90, False), (180, True), (270, True)])
def test_pictures_are_turned_as_the_network_sees_them(page, rotate, mirror):
    view = View((4, 3, 13, 20), rotate, mirror)
    source = Recorded(0.6, view=view)
    with Monitor(StandInEngine(), source, "eye") as monitor, PageServer(monitor, port=0) as server:
        page.goto(server.url)
        expect(page, "#state").to_have_text("the recording has ended")
        how = f"mirrored, turned by {rotate}°" if mirror else f"turned by {rotate}°"
        expect(page, "#frame-caption").to_have_text(f"read: 13 × 20 of 34 × 26 pixels, {how}")
        picture = Reader(server.url).until("ended")[1]["picture"]
        part = turn_image(np.pad(np.full((18, 11), True), ((4, 4), (5, 18))), rotate, mirror)  # within its edge
        edge = turn_image(np.pad(np.full((20, 13), True), ((3, 3), (4, 17))), rotate, mirror) & ~part
        for name in ("frame", "event"):
            given, seen = turn_image(decode(picture, name, SENSOR), rotate, mirror), pixels(page, name)[..., 0]
            np.testing.assert_array_equal(seen[~edge], given[~edge])
            assert (seen[edge] == given[edge]).mean() < 0.5
        assert page.complaints == []


def test_token_opens_the_page_and_leaves_the_address(page):
    with (
        Monitor(StandInEngine(), Recorded(2.0), "eye") as monitor,
        PageServer(monitor, "0.0.0.0", port=0) as server,
    ):
        address = f"http://127.0.0.1:{urlsplit(server.url).port}/"
        page.goto(f"{address}?{urlsplit(server.url).query}")
        expect(page, "#label").not_to_have_text("–")
        assert page.url == address
        assert page.evaluate("document.cookie") == ""  # no script may read it
        page.reload()
        expect(page, "#label").not_to_have_text("–")
        assert page.complaints == []
        page.context.clear_cookies()
        assert page.goto(address).status == 403
        assert "open the address that canthus monitor printed" in page.inner_text("body")


def test_what_is_missing_and_where_it_broke_off_is_shown(page):
    source = Recorded(0.8, breaks_off=True)
    source.sensor, source.events = SENSOR, [array[:3] for array in source.events]
    with Monitor(StandInEngine(), source, "<b>eye</b>") as monitor, PageServer(monitor, port=0) as server:
        page.goto(server.url)
        expect(page, "#state").to_have_text("eye.aedat4: breaks off at 7 us")
        assert page.inner_text("#title") == "<b>eye</b>"
        # On a busy machine frames are superseded, and what is missing may be the first moment, too.
        missing = Reader(server.url).until("failed")[-1]["answers"][-1]["missing"]
        assert missing[0] == "events"
        expect(page, "#missing").to_have_text("missing: " + ", ".join(missing))
        assert page.complaints == []


def test_command_on_a_recording_that_breaks_off(small_bundle, recording, tmp_path):
    broken = tmp_path / "broken.aedat4"
    broken.write_bytes(recording.read_bytes()[: recording.stat().st_size // 2])
    with Command(tmp_path, small_bundle, broken, "--port", "0", "--host", "0.0.0.0") as command:
        query = urlsplit(command.url).query
        assert len(parse_qs(query)["token"][0]) >= 32
        updates = Reader(command.url, f"/live?{query}").until("failed", "ended")
        assert "breaks off" in updates[-1]["message"]
        status, error, _ = command.interrupt()
    assert status == 2
    assert error.count("canthus: error: ") == 1 and updates[-1]["message"] in error
