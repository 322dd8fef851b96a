"""README and docs: short enough, links that lead somewhere, code that runs, commands and errors that there are."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import canthus
from canthus.cli import COMMANDS, _parser

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def without_code(text):
    return re.sub(r"```.*?```|`[^`\n]+`|^    .*$", "", text, flags=re.S | re.M)


def anchor(heading):
    """As GitHub and the site make it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_the_readme_is_read_in_one_go():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@EACH_PAGE
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text()))
    for link in links:
        target, _, part = link.partition("#")
        if re.match(r"\w+://", target):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.is_file(), f"{page.name}: {link}"
        if part and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            assert part in {anchor(heading) for heading in headings}, f"{page.name}: {link}"


@EACH_PAGE
def test_python_is_python(page):
    for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
        compile(code, page.name, "exec")


def test_the_readme_runs(small_bundle, tmp_path, monkeypatch):
    (tmp_path / "eye.canthus").write_bytes(small_bundle.read_bytes())
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    begin, _, rest = code.partition("stream.push_events")
    told: list[tuple[str, float]] = []
    names = {"print": lambda *words: told.append(words)}
    exec(begin, names)
    random, loop = np.random.default_rng(0), compile(f"stream.push_events{rest}", "README.md", "exec")
    for number in range(20):
        at = 10**12 + number * 33_333
        names |= {
            "frame_t": at,
            "t": at - np.arange(100, dtype=np.int64)[::-1],
            **{name: random.integers(0, 260, 100).astype(np.uint16) for name in "xy"},
            "p": random.integers(0, 2, 100).astype(np.uint8),
            "image": random.integers(0, 256, (260, 346), dtype=np.uint8),
        }
        exec(loop, names)
    assert told and all(label in (*names["engine"].labels, "unsure") for label, _ in told)


@EACH_PAGE
def test_commands_are_there(page):
    lines = re.findall(r"^ {4}(?:\$ )?canthus ([a-z]+)(.*)$", page.read_text(), re.M)
    for command, rest in lines:
        assert command in COMMANDS, f"{page.name}: canthus {command}"
        known = options_of(command)
        for option in re.findall(r"(?<!\S)(--[a-z-]+)", rest.partition("   #")[0]):
            assert option in known, f"{page.name}: canthus {command} {option}"


def options_of(command):
    parser = _parser(command)
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {option for action in commands.choices[command]._actions for option in action.option_strings}


def test_errors_are_those_that_are_said():
    sources = [
        path.read_text()
        for folder in ("sdk", "model", "calibration", "exporter")
        for path in (ROOT / folder).rglob("*.py")
    ]
    said = re.sub(r'"\s*\n\s*f?"', "", "\n".join(sources))  # texts over several lines
    table = (ROOT / "docs" / "troubleshooting.md").read_text().partition("## No error")[0]
    messages = re.findall(r"^\| `([^`]+)`", table, re.M)
    assert len(messages) > 20
    for message in messages:
        assert message in said, message


def test_the_reference_has_every_name():
    reference = (ROOT / "docs" / "reference.md").read_text()
    listed = set(re.findall(r"^::: canthus\.(?:[\w.]+\.)?(\w+)$", reference, re.M))
    for name in canthus.__all__:
        assert name in listed or (name.endswith("Error") and "errors" in listed), name


def test_the_site_has_every_page():
    shown = set(re.findall(r"(\w+\.md)", (ROOT / "mkdocs.yml").read_text()))
    assert shown == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_the_site_is_built(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs isn't installed: make docs brings it")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "reference.html").read_text().count("canthus.stream.Stream") > 1
