"""A source and a client for tests of `canthus monitor`."""

import base64
import http.client
import json
import time
from urllib.parse import urlsplit

import numpy as np

import canthus
from test_stream import SENSOR, make_recording


class Recorded:
    """A recording of so many seconds; a live one sleeps as a camera does."""

    def __init__(self, seconds=1.0, sensor=SENSOR, is_live=False, breaks_off=False, view=None):
        self.view = view or canthus.View()
        self.sensor, self.is_live, self.breaks_off = sensor, is_live, breaks_off
        self.events, frames = make_recording(seconds)
        height, width = sensor[::-1]
        self.frames = [(t, np.resize(image, (height, width))) for t, image in frames]

    def __iter__(self):
        begin = 0
        for t, image in self.frames:
            if self.is_live:
                time.sleep(0.03)
            end = int(np.searchsorted(self.events[0], t, "right"))
            yield canthus.Events(*(array[begin:end] for array in self.events))
            yield canthus.Frame(image, t)
            begin = end
        # What a camera would give next: the last frame needn't wait for it.
        yield canthus.Events(*(array[begin:] for array in self.events))
        if self.breaks_off:
            raise canthus.SourceError("eye.aedat4: breaks off at 7 us")


def get(url, path="/", headers=None, method="GET"):
    """The answer, read and closed: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=60)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read() if response.length is not None else b""
    finally:
        connection.close()


def post(url, path, body, headers=None):
    """As `get`, for what the page itself would send: JSON, from its own address. A header of None is left out."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    host = (headers or {}).get("Host", urlsplit(url).netloc)
    own = {"Host": host, "Origin": f"http://{host}", "Content-Type": "application/json", "Content-Length": len(body)}
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=60)
    try:
        connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
        for name, value in (own | (headers or {})).items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


class Reader:
    """Reads a monitor's updates, as a page does."""

    def __init__(self, url, path="/live"):
        self._connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=60)
        self._connection.request("GET", path)
        self._response = self._connection.getresponse()
        assert self._response.status == 200

    def __iter__(self):
        for line in self._response:
            if line.startswith(b"data: "):
                yield json.loads(line[6:], parse_constant=_refuse)

    def until(self, *states):
        """All updates until the first of such a state."""
        updates, end = [], time.monotonic() + 60
        for update in self:
            assert time.monotonic() < end, f"nothing of {states} for 60 s"
            updates.append(update)
            if update.get("state") in states:
                return updates
        raise AssertionError(f"ended without {states}")

    def close(self):
        self._response.close()
        self._connection.close()


def decode(picture, name, sensor):
    return np.frombuffer(base64.b64decode(picture[name]), np.uint8).reshape(sensor[::-1])


def _refuse(constant):
    raise AssertionError(f"{constant} is not JSON")
