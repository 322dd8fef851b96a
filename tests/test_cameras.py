"""Live sources: a camera on the network that comes and goes, senders that lie, and no camera at all."""

import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import canthus
from canthus import Events, Frame, SourceError
from canthus.cli import main
from canthus.sources import dv_link
from interrupts import listen

pytestmark = pytest.mark.alone

dv = pytest.importorskip("dv_processing")

SERVER = Path(__file__).parent / "camera_server.py"
CANTHUS = Path(sys.executable).with_name("canthus")
SENSOR = (34, 26)


def free_ports():
    with socket.socket() as one, socket.socket() as other:
        for held in (one, other):
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in (one, other)]


@contextlib.contextmanager
def camera(ports, begin=1, kind="grey"):
    server = subprocess.Popen([sys.executable, SERVER, *map(str, [*ports, begin]), kind], stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"up\n"
        yield server
    finally:
        server.kill()
        server.communicate()


@contextlib.contextmanager
def sender(content, ports=1):
    """What answers every connection with the same bytes, and then is silent."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(ports)]
        connections = []

        def serve(listener):
            with contextlib.suppress(OSError):
                while True:
                    connections.append(listener.accept()[0])
                    connections[-1].sendall(content)

        for listener in listeners:
            threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield [listener.getsockname()[1] for listener in listeners]
        for connection in connections:
            connection.close()


def address(ports):
    return f"tcp://localhost:{ports[0]},{ports[1]}"


def children():
    """Child processes that read cameras, of this process."""
    found = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True)
    return [line for line in found.stdout.splitlines() if "dv_child" in line]


def take(packets, kind, count):
    """That many of a kind, as they come."""
    got = []
    while len(got) < count:
        packet = next(packets)
        if isinstance(packet, kind):
            got.append(packet)
    return got


def test_a_camera_on_the_network_comes_goes_and_comes_back(caplog):
    ports = free_ports()
    with camera(ports, begin=1_000_000):
        source = canthus.open(address(ports))
        guard = threading.Timer(120, source.close)
        guard.start()  # ends what would else wait for ever
        packets = iter(source)
        assert source.sensor == SENSOR and source.is_live and source.unplugged == 0
        for events in take(packets, Events, 5):
            time_us = int(events.t[-1])
            assert time_us % 10_000 == 0
            np.testing.assert_array_equal(events.t[-5:], time_us + np.arange(-4, 1))
            np.testing.assert_array_equal(events.x[-5:], range(5))
            assert set(events.y[-5:]) == {time_us // 10_000 % SENSOR[1]}
            np.testing.assert_array_equal(events.p[-5:], [0, 1, 0, 1, 0])
        for frame in take(packets, Frame, 3):
            newest_us = frame.time_us
            assert frame.image.shape == SENSOR[::-1] and frame.image.dtype == np.uint8
            assert (frame.image == frame.time_us // 30_000 % 256).all()
    with contextlib.ExitStack() as stack, caplog.at_level(logging.WARNING, "canthus.sources"):
        threading.Timer(0.7, lambda: stack.enter_context(camera(ports))).start()
        while (again := take(packets, Frame, 1)[0].time_us) >= newest_us:  # what was under way comes first
            newest_us = again
        take(packets, Events, 1)
        guard.cancel()
        source.close()
        assert next(packets, None) is None
    assert source.unplugged == 2  # both streams
    assert "is gone (" in caplog.text and "is back" in caplog.text
    assert children() == []


@pytest.mark.parametrize("content, why", [(b"", "it doesn't answer"), (b"\xff\xff\xff\x7f" * 25_000, "")])
def test_a_sender_that_lies_or_is_silent_is_an_error_and_hangs_nothing(content, why, monkeypatch):
    monkeypatch.setattr(dv_link, "ANSWERS_WITHIN_S", 1.0)
    ticks = []
    ticking = threading.Thread(target=lambda: [ticks.append(time.sleep(0.01)) for _ in range(100)])
    with sender(content, 2) as ports:
        ticking.start()
        with pytest.raises(SourceError, match=rf"tcp://localhost:{ports[0]},\d+: {why}.*; check host and ports"):
            canthus.open(address(ports))
        ticking.join(60)
    assert len(ticks) == 100
    assert children() == []


SLOW_IMPORT = """\
import sys, time
time.sleep(4)
sys.path.remove({!r})
del sys.modules["dv_processing"]
import dv_processing
"""


@pytest.mark.parametrize(
    "file, code", [("sitecustomize.py", "import time; time.sleep(4)"), ("dv_processing.py", SLOW_IMPORT)]
)
def test_who_is_slow_to_start_is_waited_for(file, code, tmp_path, monkeypatch):
    """As on a slow device, or in emulation."""
    (tmp_path / file).write_text(code.format(str(tmp_path)))
    ports = free_ports()
    with camera(ports):
        monkeypatch.setattr(dv_link, "ANSWERS_WITHIN_S", 3.0)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        began = time.monotonic()
        with canthus.open(address(ports)) as source:
            assert time.monotonic() - began > 4  # else nothing was slow
            assert take(iter(source), Frame, 1) and source.unplugged == 0
    assert children() == []


@pytest.mark.parametrize(
    "code, why",
    [
        ("import time; time.sleep(1000)", "the process that reads it hasn't started within 2 s"),
        ("import os; os._exit(3)", "the process that reads it ended at its start, with status 3"),
        ("import os; os.abort()", "the process that reads it ended at its start, with status -6"),
    ],
)
def test_who_hangs_or_dies_at_its_start_is_an_error_that_says_so(code, why, tmp_path, monkeypatch):
    monkeypatch.setattr(dv_link, "STARTS_WITHIN_S", 2.0 if "sleep" in code else 60.0)
    (tmp_path / "dv_processing.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SourceError) as raised:
        canthus.open("camera")
    assert str(raised.value) == f"camera: {why}; to see why: python -c 'import dv_processing'"
    assert children() == []


def test_an_app_that_pauses_doesnt_lose_the_camera(monkeypatch):
    ports = free_ports()
    with camera(ports), canthus.open(address(ports)) as source:
        packets = iter(source)
        take(packets, Frame, 1)
        monkeypatch.setattr(dv_link, "ANSWERS_WITHIN_S", 1.5)
        time.sleep(2)
        take(packets, Frame, 20)
        assert source.unplugged == 0


class Tampering(threading.Thread):
    """Between the camera's port and the reader: passes on the bytes, and after so many sends others."""

    def __init__(self, port, after, content):
        super().__init__(daemon=True)
        self._port, self._after, self._content = port, after, content
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            to, _ = self._listener.accept()
            threading.Thread(target=self._pass_on, args=(to,), daemon=True).start()

    def _pass_on(self, to):
        left = self._after
        with contextlib.suppress(OSError), to, socket.create_connection(("127.0.0.1", self._port)) as camera:
            while left and (content := camera.recv(min(left, 4096))):
                to.sendall(content)
                left -= len(content)
            to.sendall(self._content)


def test_damage_that_ends_dv_processing_doesnt_end_the_app():
    ports = free_ports()
    with camera(ports):
        damaged = Tampering(ports[0], 6000, b"\xff" * 100_000)
        with canthus.open(address([damaged.port, ports[1]])) as source:
            packets = iter(source)
            frames, end = 0, time.monotonic() + 60
            while source.unplugged < 1 or frames < 10:
                frames += isinstance(next(packets), Frame)
                assert time.monotonic() < end
            take(packets, Events, 1)  # of the next connection
    assert children() == []


@pytest.mark.parametrize("kind, says", [("colour", "its frames are in colour"), ("float", "are of float32")])
def test_frames_that_never_can_be_read_end_the_source(kind, says, caplog):
    ports = free_ports()
    never = pytest.raises(SourceError, match=rf"localhost {ports[1]}: .*{says}.*set the camera")
    with camera(ports, kind=kind), never:  # noqa: SIM117
        with canthus.open(address(ports)) as source:
            for _ in zip(source, range(300), strict=False):
                pass
    assert "gone" not in caplog.text
    assert children() == []


@pytest.mark.parametrize("kind, shape", [("12 bits", (26, 34)), ("empty", (0, 0))])
def test_frames_of_more_bits_are_read_and_empty_ones_passed_on(kind, shape):
    ports = free_ports()
    with camera(ports, begin=270, kind=kind), canthus.open(address(ports)) as source:
        frames = take(iter(source), Frame, 5)
    assert all(frame.image.dtype == np.uint8 and frame.image.shape == shape for frame in frames)
    assert all((frame.image == frame.time_us // 30_000 % 256).all() for frame in frames)


def test_no_camera_is_an_error_with_the_remedy():
    if dv.io.camera.discover():
        pytest.skip("a camera is connected")
    with pytest.raises(SourceError, match=r"camera: no camera is found; connect .* udev rules"):
        canthus.open("camera")


@pytest.mark.parametrize("bad", ["tcp://localhost:77", "tcp://:1,2", "tcp://host:1,99999", "tcp:host:1,2"])
def test_addresses_are_checked(bad):
    with pytest.raises(SourceError, match=re.escape(f"{bad}: not tcp://HOST:PORT,PORT")):
        canthus.open(bad)


def test_nobody_listening_is_an_error(capsys, small_bundle):
    ports = free_ports()
    assert main(["run", str(small_bundle), address(ports)]) == 2
    out, error = capsys.readouterr()
    assert out == "" and "Connection refused; check host and ports" in error


def test_a_camera_cant_be_repeated(capsys, small_bundle):
    ports = free_ports()
    with camera(ports):
        assert main(["monitor", str(small_bundle), address(ports), "--loop"]) == 2
    assert "a camera doesn't end: leave out --loop" in capsys.readouterr().err
    assert children() == []


def test_run_on_a_camera_until_interrupted(small_bundle):
    ports = free_ports()
    with camera(ports):
        command = [CANTHUS, "run", str(small_bundle), address(ports)]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
        lines = [run.stdout.readline() for _ in range(3)]
        run.send_signal(signal.SIGINT)
        _, error = run.communicate(timeout=60)
    assert all(re.match(r" +\d+\.\d{3} s  \w+ +\d+%", line) for line in lines)
    assert run.returncode == 130 and "Traceback" not in error
    assert re.search(r"\d+ frames came: .*\d+ answered", error) and "expressions; frame to answer p50" in error
