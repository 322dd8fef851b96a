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
def camera(ports, begin=1):
    server = subprocess.Popen([sys.executable, SERVER, *map(str, [*ports, begin])], stdout=subprocess.PIPE)
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
        guard = threading.Timer(30, source.close)
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


@pytest.mark.parametrize("content", [b"", b"\xff\xff\xff\x7f" * 25_000])
def test_a_sender_that_lies_or_is_silent_is_an_error_and_hangs_nothing(content, monkeypatch):
    monkeypatch.setattr(dv_link, "ANSWERS_WITHIN_S", 1.0)
    ticks = []
    ticking = threading.Thread(target=lambda: [ticks.append(time.sleep(0.01)) for _ in range(100)])
    with sender(content, 2) as ports:
        ticking.start()
        with pytest.raises(SourceError, match=rf"tcp://localhost:{ports[0]}.*; check host and ports"):
            canthus.open(address(ports))
        ticking.join(3)
    assert len(ticks) == 100
    assert children() == []


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
            frames, end = 0, time.monotonic() + 10
            while source.unplugged < 1 or frames < 10:
                frames += isinstance(next(packets), Frame)
                assert time.monotonic() < end
            take(packets, Events, 1)  # of the next connection
    assert children() == []


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
        _, error = run.communicate(timeout=10)
    assert all(re.match(r" +\d+\.\d{3} s  \w+ +\d+%", line) for line in lines)
    assert run.returncode == 130 and "Traceback" not in error
    assert re.search(r"\d+ frames came: .*\d+ answered", error) and "expressions; frame to answer p50" in error
