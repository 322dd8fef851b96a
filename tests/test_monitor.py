"""The monitor and its server: who is let in, what is told, and that nobody is in the way of the stream."""

import contextlib
import http.client
import socket
import threading
import time
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

import canthus
from canthus._native import EventWindow
from canthus.errors import MonitorError
from canthus.events import prepare
from canthus.monitor.monitor import Monitor
from canthus.monitor.pictures import Pictures
from canthus.monitor.repeated import Repeated
from canthus.monitor.server import WATCHERS, PageServer
from monitoring import Reader, Recorded, decode, get
from test_stream import FRAME_US, SENSOR, WINDOW_US, StandInEngine

pytestmark = pytest.mark.alone


@contextlib.contextmanager
def served(source=None, host="127.0.0.1", engine=None):
    with (
        Monitor(engine or StandInEngine(), source or Recorded(), "eye on eye") as monitor,
        PageServer(monitor, host, port=0) as server,
    ):
        yield monitor, server.url


def until(condition):
    """Whether it comes to hold; after a minute something hangs."""
    end = time.monotonic() + 60
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return holds


@pytest.fixture(scope="module")
def local():
    with served() as (_, url):
        yield url


@pytest.fixture(scope="module")
def remote():
    """Listens to all; its address has a token."""
    with served(host="0.0.0.0") as (_, url):
        yield url


@pytest.mark.parametrize(
    "path, kind", [("/", "text/html"), ("/style.css", "text/css"), ("/main.js", "text/javascript")]
)
def test_page_is_served_so_that_it_can_do_no_harm(local, path, kind):
    status, headers, body = get(local, path)
    assert status == 200 and len(body) > 500
    assert headers["Content-Type"] == f"{kind}; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Set-Cookie"] is None
    assert headers["Server"] == "canthus"  # no versions


@pytest.mark.parametrize("path", ["/none", "/index.html", "/../server.py", "/page/main.js", "/live/"])
def test_nothing_else_is_served(local, path):
    status, headers, body = get(local, path)
    assert (status, body) == (404, b"404 there is no such page\n")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_only_get_is_answered(local, method):
    assert get(local, method=method)[0] == 501


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:9000", "[::1]:80", "127.0.0.7:1"])
def test_this_machine_may_be_named_in_any_way_and_through_a_tunnel(local, host):
    assert get(local, headers={"Host": host})[0] == 200


@pytest.mark.parametrize("host", ["eye.example", "eye.example:80", "127.0.0.1.eye.example", "192.0.2.1", "", "[", "["])
@pytest.mark.parametrize("path", ["/", "/live"])
def test_a_name_that_was_pointed_here_is_refused(local, host, path):
    status, _, body = get(local, path, {"Host": host})
    assert status == 403 and b"another machine" in body


def test_other_sites_may_link_to_the_page_but_not_read_it(local):
    for site in ("cross-site", "same-site"):
        assert get(local, "/live", {"Sec-Fetch-Site": site})[0] == 403
        assert get(local, "/main.js", {"Sec-Fetch-Site": site})[0] == 403
        assert get(local, "/", {"Sec-Fetch-Site": site})[0] == 200


def test_address_on_the_loopback_has_no_token(local):
    assert urlsplit(local).hostname == "127.0.0.1" and urlsplit(local).query == ""


@pytest.mark.parametrize("path", ["/", "/live", "/style.css", "/none"])
def test_from_elsewhere_nothing_without_the_token(remote, path):
    token = parse_qs(urlsplit(remote).query)["token"][0]
    cookie = f"canthus-{urlsplit(remote).port}"
    assert len(token) >= 32
    for query in ("", "?token=", f"?token={token[:-1]}", f"?token={token}x", "?token=%ff%00", "?" + token):
        assert get(remote, path + query)[0] == 403, query
    for given in (f"{cookie}=", f"{cookie}={token[1:]}", f"other={token}", "=;;\x7f"):
        assert get(remote, path, {"Cookie": given})[0] == 403, given


def test_token_is_exchanged_for_a_cookie(remote):
    query = urlsplit(remote).query
    status, headers, _ = get(remote, f"/?{query}")
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert status == 200
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict"]
    for path in ("/", "/main.js"):
        assert get(remote, path, {"Cookie": f"other=1; {cookie}", "Host": "eye.example"})[0] == 200


def test_two_servers_have_two_tokens(remote):
    with served(host="0.0.0.0") as (_, url):
        assert urlsplit(url).query != urlsplit(remote).query


def test_nothing_of_a_request_is_logged(remote, capfd):
    get(remote, "/?" + urlsplit(remote).query)
    get(remote, "/none")
    assert capfd.readouterr() == ("", "")


@pytest.mark.wall_time
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000,
        b"\x16\x03\x01\r\n\r\n",
        b"GET\r\n\r\n",
        b"\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_request_is_let_go(local, request_bytes, capfd):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", urlsplit(local).port), timeout=5) as connection:
        connection.sendall(request_bytes)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(4096):
                answer += part
    assert b"200" not in answer and b"canthus monitor" not in answer
    assert time.monotonic() - began < 3  # before the time for a request is over
    assert get(local)[0] == 200
    assert capfd.readouterr().err == ""


def test_who_sends_no_request_is_let_go(monkeypatch):
    monkeypatch.setattr("canthus.monitor.server._HEAD_SECONDS", 0.2)
    with served() as (_, url), socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert connection.recv(1) == b""


def is_let_in(url):
    try:
        return get(url)[0] == 200
    except (ConnectionError, http.client.HTTPException):
        return False


def test_connections_are_bounded(monkeypatch):
    monkeypatch.setattr("canthus.monitor.server._CONNECTIONS", 3)
    with served() as (_, url), contextlib.ExitStack() as stack:
        port = urlsplit(url).port
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5)) for _ in range(4)]
        assert idle[3].recv(1) == b""
        idle[0].close()
        assert until(lambda: is_let_in(url))


@pytest.mark.parametrize("host, port", [("192.0.2.1", 0), ("no.such.host.invalid", 0), ("127.0.0.1", 99_999), ("", -1)])
def test_an_address_that_is_not_to_be_had_is_one_clear_error(host, port):
    with Monitor(StandInEngine(), Recorded(), "") as monitor, pytest.raises(MonitorError, match="--host an address"):
        PageServer(monitor, host, port)


def test_a_port_that_is_taken_is_one_clear_error(local):
    port = urlsplit(local).port
    with Monitor(StandInEngine(), Recorded(), "") as monitor, pytest.raises(MonitorError, match=f"port {port}: .*use"):
        PageServer(monitor, "127.0.0.1", port)


def test_page_is_told_every_answer_the_newest_images_and_how_it_ended():
    source = Recorded(1.5)
    with served(source) as (_, url):
        about, *updates = Reader(url).until("ended")
    assert about["about"]["labels"] == list(StandInEngine.labels)
    assert about["about"]["roi"] == [4, 0, 26, 26]
    answers = [answer for update in updates for answer in update["answers"]]
    by_time = {e.time_us: e for e in canthus.watch(StandInEngine(), source)}
    # A machine that does much else leaves out frames: compared are the answers that had the frame 0.4 s before theirs.
    a_span_before = {t: before for (before, _), (t, _) in zip(source.frames, source.frames[12:], strict=False)}
    answered = {answer["time_us"] for answer in answers}
    compared = 0
    for answer in answers:
        e = by_time[answer["time_us"]]
        if a_span_before[e.time_us] in answered:
            compared += 1
            assert e.labels[answer["label"]] == e.label
            assert answer["probabilities"] == pytest.approx(e.probabilities.tolist(), abs=1e-4)
    assert compared > 5
    assert [a["at"] for a in answers] == sorted(a["at"] for a in answers)
    pictures = [update["picture"] for update in updates if "picture" in update]
    assert len({p["time_us"] for p in pictures}) == len(pictures) > 5
    window, begin = EventWindow(*SENSOR), 0
    frames = dict(source.frames)
    for picture in pictures[1:]:  # before the first, no events were kept
        end = int(np.searchsorted(source.events[0], picture["time_us"], "right"))
        window.push(*prepare(canthus.Events(*(array[begin:end] for array in source.events))))
        begin = end
        np.testing.assert_array_equal(decode(picture, "frame", SENSOR), frames[picture["time_us"]])
        np.testing.assert_array_equal(decode(picture, "event", SENSOR), window.image(picture["time_us"], WINDOW_US))
    assert pictures[-1]["time_us"] == source.frames[-1][0]
    health = updates[-1]["health"]
    for book, came in (("frames", len(source.frames)), ("events", len(source.events[0]))):
        assert health[book]["came"] == came == sum(health[book]["ended"].values())
    assert len(answers) == health["frames"]["ended"]["answered"]
    assert updates[-1]["costs_us"].keys() == {"accumulate", "resize", "react", "prime"}


def test_a_page_that_comes_late_is_told_what_it_missed():
    with served() as (_, url):
        first = Reader(url).until("ended")
        late = Reader(url).until("ended")
    assert sum(len(u.get("answers", ())) for u in first) == len(late[1]["answers"]) > 10
    assert late[1]["now"] == first[-1]["now"]  # time stands still


def test_a_recording_waits_for_the_first_page():
    with Monitor(StandInEngine(), Recorded(), "") as monitor:
        assert not monitor.over.wait(0.3)
        assert monitor._live.health.frames.came == 0
        next(monitor.updates())
        assert monitor.over.wait(60)


@pytest.mark.parametrize("damaged", [2**61, -(2**61), 10**15 + 3600 * 10**6])
def test_a_damaged_time_in_a_recording_is_not_waited_for(damaged):
    source = Recorded(0.5)
    source.frames[4] = damaged, source.frames[4][1]
    with served(source) as (monitor, url):
        Reader(url).until("ended")
        assert monitor._live.health.frames.came == len(source.frames)


def test_a_camera_waits_for_nobody():
    with Monitor(StandInEngine(), Recorded(is_live=True), "") as monitor:
        assert monitor.over.wait(60)
        assert monitor._live.health.frames.came > 10


def test_a_recording_that_breaks_off_says_so():
    with served(Recorded(0.3, breaks_off=True)) as (monitor, url):
        last = Reader(url).until("failed", "ended")[-1]
    assert (last["state"], last["message"]) == ("failed", "eye.aedat4: breaks off at 7 us")
    assert isinstance(monitor.failure, canthus.SourceError)


def test_what_is_no_number_is_told_as_none():
    engine = StandInEngine()
    react = engine.react

    def broken(*arguments):
        answer = react(*arguments)
        answer.probabilities[0, 3:5] = np.nan, np.inf
        return answer

    engine.react = broken
    with served(engine=engine) as (_, url):
        answers = [answer for update in Reader(url).until("ended")[1:] for answer in update["answers"]]
    assert len(answers) > 10
    assert all([p is None for p in a["probabilities"]] == [i in (3, 4) for i in range(7)] for a in answers)


@pytest.mark.wall_time
def test_pages_that_take_nothing_are_in_nobodys_way():
    large = (640, 480)
    source = Recorded(4.0, sensor=large, is_live=True)  # many more pictures than connections hold
    with contextlib.ExitStack() as stack:
        _, url = stack.enter_context(served(source))
        slow = [stack.enter_context(_deaf(url)) for _ in range(WATCHERS - 1)]
        updates = Reader(url).until("ended")
        answers = [answer for update in updates[1:] for answer in update["answers"]]
        # As many as without them, and soon: the slow ones' threads hang in the middle of a picture meanwhile.
        assert len(answers) > 0.8 * (len(source.frames) - 12)
        assert np.median([a["latency_us"] for a in answers]) < 30_000
        assert len(updates) > 12
        # Who begins to take again skips what is old, but for the answers.
        late = _messages(slow[0])
        assert len(late) < len(updates) / 2
        assert b'"state":"ended"' in late[-1]
        assert sum(message.count(b'"latency_us"') for message in late) == len(answers)


def test_who_takes_nothing_for_long_is_let_go(monkeypatch):
    monkeypatch.setattr("canthus.monitor.server._WRITE_SECONDS", 0.2)
    with served(Recorded(1.0, sensor=(640, 480), is_live=True)) as (monitor, url), _deaf(url):
        assert monitor.over.wait(60)
        assert until(lambda: not [t for t in threading.enumerate() if "process_request_thread" in t.name])


def test_pages_beyond_a_few_wait_for_a_place():
    with served(Recorded(3.0)) as (_, url):
        readers = [Reader(url) for _ in range(WATCHERS)]
        for reader in readers:
            assert "about" in next(iter(reader))
        assert [update["state"] for update in Reader(url)] == ["full"]
        readers[1].close()
        assert until(lambda: "about" in next(iter(Reader(url)))), "the place of one that left is given to nobody"


@pytest.mark.wall_time
def test_closing_ends_pages_threads_and_port_at_once():
    before = set(threading.enumerate())
    with contextlib.ExitStack() as stack:
        _, url = stack.enter_context(served(Recorded(30.0, sensor=(640, 480))))
        slow, reader = stack.enter_context(_deaf(url)), Reader(url)
        for _, _update in zip(range(8), reader, strict=False):
            pass
        assert slow and len(set(threading.enumerate()) - before) >= 5
        began = time.monotonic()
        stack.close()
    assert time.monotonic() - began < 1
    assert set(threading.enumerate()) == before
    assert all("state" in update for update in reader)  # what was sent, and then the end
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=1)


def test_a_repeated_recording_goes_on_in_time():
    source, stream = Recorded(0.5), canthus.Stream(StandInEngine(), SENSOR)
    times, repeated = [], Repeated(source)
    for packet in repeated:
        if isinstance(packet, canthus.Events):
            stream.push_events(*packet)  # refuses what goes back in time
        else:
            stream.push_frame(*packet)
            times.append(packet.time_us)
        if len(times) == 3 * len(source.frames):
            break
    first = [t for t, _ in source.frames]
    assert times[: len(first)] == first
    assert max(np.diff(times)) < 3 * FRAME_US
    assert repeated.sensor == SENSOR and not repeated.is_live


def test_pictures_follow_a_clock_that_was_set_and_leave_out_what_is_none():
    pictures = Pictures(StandInEngine(), SENSOR)
    image = np.zeros(SENSOR[::-1], np.uint8)

    def event(t):
        return canthus.Events(*(np.array([v]) for v in (t, 3, 4)), np.array([True]))

    assert pictures.newest() is None
    for begin in (10**15, 50, -(10**12)):
        pictures.take(canthus.Frame(image, begin))
        pictures.take(event(begin + 10))
        pictures.take(canthus.Frame(image, begin + 20))
        newest = pictures.newest()
        assert newest["time_us"] == begin + 20
        assert decode(newest, "event", SENSOR)[4, 3] == 255
        assert pictures.newest() is newest
    for none in (image[1:], image.astype(float), image[..., None]):
        pictures.take(canthus.Frame(none, 7))
    pictures.take(canthus.Frame(image, 2**63))
    pictures.take(canthus.Events(*[np.zeros(2)] * 4))
    assert pictures.newest() is newest


def _deaf(url):
    """Asks for updates, and takes next to none."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(5)
    connection.connect(("127.0.0.1", urlsplit(url).port))
    connection.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


def _messages(connection):
    """All that is still to be read, until the end was told."""
    read = b""
    while b'"state":"ended"' not in read[-2000:] or not read.endswith(b"\n\n"):
        read += connection.recv(1 << 20)
    return [line for line in read.split(b"\n\n") if line.startswith(b"data: ")]
