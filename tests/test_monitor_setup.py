"""What the set-up page may write, and who may have it written."""

import contextlib
import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from canthus import MonitorError, View, ViewError
from canthus.cli import main
from canthus.cli.monitor import _setup
from canthus.monitor.monitor import Monitor
from canthus.monitor.server import PageServer
from canthus.monitor.setup import SetUp
from monitoring import Recorded, get, post
from test_stream import SENSOR, StandInEngine

pytestmark = pytest.mark.alone

TURNED = {"roi": [5, 6, 10, 11], "rotate": 90, "mirror": True}


@contextlib.contextmanager
def served(path, host="127.0.0.1", view=None):
    source = Recorded(view=view)
    with (
        Monitor(StandInEngine(), source, "eye on eye") as monitor,
        PageServer(monitor, host, port=0, setup=SetUp(path, source.view, SENSOR, (10, 10))) as server,
    ):
        yield server.url


@pytest.fixture
def path(tmp_path):
    return tmp_path / "eye.yaml"


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    """Of a server to which nothing is sent that it should write: its url, and the folder of its file."""
    folder = tmp_path_factory.mktemp("refusing")
    with served(folder / "eye.yaml") as url:
        yield url, folder


@pytest.fixture
def local(refusing):
    yield refusing[0]
    assert list(refusing[1].iterdir()) == []


def test_the_page_is_the_set_up_page_and_nothing_else_is_changed(local):
    status, headers, body = get(local)
    assert status == 200 and b"setup.js" in body and b"main.js" not in body
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    for name in ("/setup.html", "/index.html"):
        assert get(local, name)[0] == 404


def test_it_is_told_what_there_is_and_what_was_saved(path):
    with served(path, view=View(rotate=180)) as url:
        status, headers, body = get(url, "/view")
        assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
        assert json.loads(body) == {"file": str(path), "roi": None, "rotate": 180, "mirror": False}
        assert not path.exists()
        status, headers, body = post(url, "/view", TURNED)
        assert (status, json.loads(body)) == (200, {"file": str(path), **TURNED})
        assert View.read(path) == View((5, 6, 10, 11), 90, True)
        assert json.loads(get(url, "/view")[2]) == {"file": str(path), **TURNED}
        assert post(url, "/view", {"rotate": 270})[0] == 200
        assert View.read(path) == View(rotate=270)
    assert [p.name for p in path.parent.iterdir()] == ["eye.yaml"]


@pytest.mark.parametrize(
    "body, message",
    [
        (b"", b"no JSON"),
        (b"{", b"no JSON"),
        (b"[" * 4000, b"no JSON"),
        (b"\xff", b"no JSON"),
        (b"[]", b"holds no fields"),
        (b'{"file": "/etc/passwd"}', b"no field is called 'file'"),
        (b'{"rotate": 45}', b"rotate is 45"),
        (b'{"roi": [0, 0, 1e400, 3]}', b"roi is"),
        (b'{"roi": [30, 0, 10, 10]}', b"outside the sensor"),
    ],
)
def test_what_is_no_view_is_refused_and_nothing_is_written(local, body, message):
    status, _, told = post(local, "/view", body)
    assert status == 400 and message in told and told.count(b"\n") == 1


def test_what_is_too_long_or_of_no_length_is_refused(local):
    assert post(local, "/view", b" " * 5000)[0] == 413
    for length in ("-1", "x", "1e3", "\xb2", ""):
        assert post(local, "/view", b"{}", {"Content-Length": length})[0] == 413, length
    assert (
        post(local, "/view", b"2\r\n{}\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked", "Content-Length": None})[0]
        == 413
    )


def test_who_does_not_send_what_was_announced_is_let_go(path, monkeypatch):
    monkeypatch.setattr("canthus.monitor.server._HEAD_SECONDS", 0.2)
    with served(path) as url, socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=5) as connection:
        host = urlsplit(url).netloc
        head = f"POST /view HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n"
        connection.sendall((head + "Content-Length: 20\r\n\r\n{}").encode())
        began, answer = time.monotonic(), b""
        while part := connection.recv(4096):
            answer += part
        assert b" 413 " in answer.partition(b"\r\n")[0] and time.monotonic() - began < 3
        assert get(url)[0] == 200
    assert not path.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://eye.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": None},
        {"Origin": "http://localhost:1"},
        {"Host": "eye.example", "Origin": "http://eye.example"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": None},
    ],
)
def test_no_other_site_can_have_it_written(local, headers):
    assert post(local, "/view", TURNED, headers)[0] == 403


def test_through_a_tunnel_it_can(path):
    with served(path) as url:
        assert post(url, "/view", TURNED, {"Host": "localhost:9000", "Origin": "http://localhost:9000"})[0] == 200
    assert path.exists()


def test_from_elsewhere_only_with_the_token(path):
    with served(path, host="0.0.0.0") as url:
        port, query = urlsplit(url).port, urlsplit(url).query
        assert get(url, "/view")[0] == post(url, "/view", TURNED)[0] == 403
        wrong = {"Cookie": f"canthus-{port}=wrong"}
        assert post(url, "/view", TURNED, wrong)[0] == post(url, "/view?token=wrong", TURNED)[0] == 403
        assert not path.exists()
        cookie = get(url, f"/?{query}")[1]["Set-Cookie"].partition(";")[0]
        assert post(url, "/view", TURNED, {"Cookie": cookie, "Origin": "http://eye.example"})[0] == 403
        assert not path.exists()
        assert post(url, "/view", TURNED, {"Cookie": cookie})[0] == 200
        assert path.exists()


@pytest.mark.parametrize("place", ["/", "/live", "/eye.yaml", "/view/", "/../view"])
def test_nothing_else_can_be_written(local, place):
    assert post(local, place, TURNED)[0] == 404


def test_a_monitor_that_sets_nothing_up_writes_nothing(tmp_path):
    with Monitor(StandInEngine(), Recorded(), "eye") as monitor, PageServer(monitor, port=0) as server:
        assert post(server.url, "/view", TURNED)[0] == 501
        assert get(server.url, "/view")[0] == get(server.url, "/setup.html")[0] == 404


def test_a_disk_that_is_full_is_told(local, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    status, _, body = post(local, "/view", TURNED)
    assert status == 400 and b"No space left" in body


def test_a_file_that_can_not_be_written_is_refused_before_anything_is_shown(tmp_path):
    for path in (tmp_path, tmp_path / "none" / "eye.yaml"):
        with pytest.raises(MonitorError, match="can't be written there"):
            SetUp(path, View(), SENSOR, (10, 10))


def test_the_command_refuses_it_too(small_bundle, recording, tmp_path, capsys):
    command = ["monitor", str(small_bundle), str(recording), "--port", "0", "--backend", "onnxruntime", "--setup"]
    assert main([*command, str(tmp_path / "none" / "eye.yaml")]) == 2
    assert "can't be written there" in capsys.readouterr().err
    (tmp_path / "eye.yaml").write_text("rotate: 1")
    assert main([*command, str(tmp_path / "eye.yaml")]) == 2
    assert "rotate is 1" in capsys.readouterr().err


def test_no_other_file_is_overwritten(tmp_path):
    path = tmp_path / "mine.aedat4"
    path.write_bytes(b"#!AER-DAT4.0\r\n")
    with pytest.raises(ViewError, match=r"mine\.aedat4: "):
        SetUp(path, View(), SENSOR, (10, 10))
    assert path.read_bytes() == b"#!AER-DAT4.0\r\n"


def test_a_view_of_another_camera_is_set_up_from_the_middle(tmp_path, capsys):
    class Opened:
        sensor, view = SENSOR, View(roi=(0, 0, 640, 480), rotate=90)

    engine = StandInEngine()
    setup = _setup(tmp_path / "eye.yaml", Opened, engine)
    assert setup.told()["roi"] is None and setup.told()["rotate"] == 90
    assert "(0, 0, 640, 480) reaches outside the sensor" in capsys.readouterr().err
