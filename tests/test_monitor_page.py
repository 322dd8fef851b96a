"""The page of `canthus monitor` in a real browser, and the command around it."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from canthus.monitor.monitor import Monitor
from canthus.monitor.server import PageServer
from interrupts import listen
from monitoring import Reader, Recorded, decode
from test_stream import SENSOR, StandInEngine

pytestmark = pytest.mark.alone

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("no chromium here")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser):
    """A page in light colours; what it complained of and asked for is in `complaints` and `asked`."""
    context = browser.new_context(viewport={"width": 1100, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.complaints, page.asked = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    context.close()


class Command:
    """`canthus monitor` as a process in a folder of its own."""

    def __init__(self, folder, *arguments):
        for name in ("home", "tmp"):
            (folder / name).mkdir(exist_ok=True)
        places = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("canthus"), "monitor", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "CI"} | places,
            preexec_fn=listen,
        )
        line = self.process.stdout.readline()
        assert " open http://" in line, line + self.process.stderr.read()
        self.url = line.split()[-1]

    def interrupt(self):
        """Press Ctrl-C: exit status, what it told as error, and how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        _, error = self.process.communicate(timeout=10)
        return self.process.returncode, error, time.monotonic() - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@pytest.mark.wall_time
def test_page_shows_what_the_stream_tells_and_comes_back(page, small_bundle, recording, tmp_path):
    with Command(tmp_path, small_bundle, recording, "--port", "0") as command:
        page.goto(command.url)
        expect(page, "#state").to_have_text("the recording has ended")
        updates = Reader(command.url).until("ended")
        expect(page, "#ledgers tr:last-child").to_contain_text("adds up")
        check_expression(page, updates)
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
    assert page.inner_text("#label") == labels[answer["label"]]
    assert page.inner_text("#probability") == percents[answer["label"]]
    assert page.locator("#probabilities .name").all_inner_texts() == labels
    assert page.locator("#probabilities .percent").all_inner_texts() == percents
    assert page.inner_text("#probabilities .is-likeliest .name") == labels[answer["label"]]


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


def expect(page, selector):
    from playwright.sync_api import expect

    expect.set_options(timeout=10_000)
    return expect(page.locator(selector))


def pixels(page, name):
    """Of a canvas, uint8 (height, width, 4)."""
    width, height, data = page.evaluate(
        """name => {
          const { width, height } = document.getElementById(name);
          const { data } = document.getElementById(name).getContext("2d").getImageData(0, 0, width, height);
          let text = "";
          for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
          return [width, height, btoa(text)];
        }""",
        name,
    )
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
