"""A real browser, and `canthus monitor` as a process, for tests of its pages."""

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from interrupts import listen

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


OF_PIXELS = "willReadFrequently"  # advice to who reads a canvas back often, as only these tests do


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
    page.on("console", lambda message: OF_PIXELS in message.text or page.complaints.append(message.text))
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
