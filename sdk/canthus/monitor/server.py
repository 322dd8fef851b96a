"""Serves the page and its stream of updates, to few, and to nobody's harm."""

from __future__ import annotations

import io
import json
import re
import socket
import socketserver
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from canthus.errors import MonitorError, ViewError
from canthus.monitor.admission import Admission
from canthus.monitor.monitor import Monitor
from canthus.monitor.setup import SetUp

WATCHERS = 4
"""So many pages get updates at once; a browser has at most six connections to one server."""

_CONNECTIONS = 32
_HEAD_BYTES = 16_384
_HEAD_SECONDS = 5.0
_BODY_BYTES = 4096  # of a view that is to be written
_WRITE_SECONDS = 10.0  # a page that takes nothing for so long is gone
_UNSENT_BYTES = 1 << 18  # what the system may hold back for a slow page; more would only be older

_PAGE = Path(__file__).parent / "page"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Connection": "close",
}


class PageServer:
    """The page of a monitor, on threads of its own, until `close`.

    Args:
        monitor: what is shown.
        host: a name or address of this machine. Any but the loopback is reached from elsewhere: the page is then
            shown only to who has the token in `url`.
        port: 0 takes a free one.
        setup: shows the page that sets up how the camera is mounted instead, which may have its file written.

    Raises:
        MonitorError: the address is not this machine's, or the port is taken.
    """

    def __init__(self, monitor: Monitor, host: str = "127.0.0.1", port: int = 8765, setup: SetUp | None = None) -> None:
        self._listener = _Listener(monitor, host, port, setup)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.05,), name="canthus-monitor-server", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """What to open, with the token if there is one."""
        address, port = self._listener.server_address[:2]
        token = self._listener.admission.token
        return f"http://{_reachable(str(address))}:{port}/" + (f"?token={token}" if token else "")

    def close(self) -> None:
        """Stop listening, and let go of every page at once."""
        self._listener.shutdown()
        for connection in tuple(self._listener.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.server_close()
        self._thread.join()

    def __enter__(self) -> PageServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Listener(socketserver.ThreadingTCPServer):
    """Takes connections, a bounded number at once."""

    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, monitor: Monitor, host: str, port: int, setup: SetUp | None) -> None:
        self.monitor = monitor
        self.setup = setup
        self.watching = threading.Semaphore(WATCHERS)
        self.connections: set[socket.socket] = set()
        first, other = ("index.html", "setup.html") if setup is None else ("setup.html", "index.html")
        self.files = {
            "/" if file.name == first else f"/{file.name}": (_KINDS[file.suffix], file.read_bytes())
            for file in _PAGE.iterdir()
            if file.name != other
        }
        try:
            if not 0 <= port < 1 << 16:  # some systems would take another
                raise OverflowError("a port is 0 to 65535")
            self.address_family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            super().__init__(address, _Request)  # type: ignore[arg-type]
        except (OSError, OverflowError, UnicodeError) as error:
            raise MonitorError(
                f"{host}, port {port}: can't listen there ({getattr(error, 'strerror', None) or error}); give "
                "--host an address of this machine, and --port another one, or 0 for any that is free"
            ) from error
        self.admission = Admission(str(self.server_address[0]), int(self.server_address[1]))

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        if len(self.connections) > _CONNECTIONS:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)


class _Request(BaseHTTPRequestHandler):
    """One request; its connection is closed after the answer."""

    server: _Listener
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BytesIO(self._read_head())
        self.connection.settimeout(_WRITE_SECONDS)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT_BYTES)

    def _read_head(self) -> bytes:
        """The request up to its empty line; nothing if it is too long or too slow to come."""
        head = b""
        end = time.monotonic() + _HEAD_SECONDS
        with suppress(OSError):
            while len(head) <= _HEAD_BYTES and (left := end - time.monotonic()) > 0:
                self.connection.settimeout(left)
                part: bytes = self.connection.recv(4096)
                head += part
                if b"\r\n\r\n" in head:
                    return head
                if not part:
                    break
        return b""

    def handle(self) -> None:
        with suppress(OSError):  # it is no longer there
            super().handle()

    def do_GET(self) -> None:
        path, query = self._address()
        refusal = self.server.admission.refusal(path, query, self.headers)
        if refusal is not None:
            self.send_error(HTTPStatus.FORBIDDEN, refusal)
        elif path == "/live":
            self._stream()
        elif path == "/view" and self.server.setup is not None:
            self._tell_view(self.server.setup)
        elif path in self.server.files:
            self._reply(HTTPStatus.OK, *self.server.files[path])
        else:
            self.send_error(HTTPStatus.NOT_FOUND, "there is no such page")

    def do_POST(self) -> None:
        setup = self.server.setup
        path, query = self._address()
        admission = self.server.admission
        refusal = admission.refusal(path, query, self.headers) or admission.refusal_to_write(self.headers)
        if setup is None:
            self.send_error(HTTPStatus.NOT_IMPLEMENTED, "this page changes nothing")
        elif refusal is not None:
            self.send_error(HTTPStatus.FORBIDDEN, refusal)
        elif path != "/view":
            self.send_error(HTTPStatus.NOT_FOUND, "there is no such page")
        elif (body := self._read_body()) is None:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {_BODY_BYTES} bytes, and their number")
        else:
            try:
                setup.save(body)
            except ViewError as error:
                self.send_error(HTTPStatus.BAD_REQUEST, str(error))
            else:
                self._tell_view(setup)

    def _address(self) -> tuple[str, str]:
        """Path and query that are asked for; of what is no address, nothing that there is."""
        try:
            parts = urlsplit(self.path)
        except ValueError:
            return "", ""
        return parts.path, parts.query

    def _read_body(self) -> bytes | None:
        """What was announced; None if it is too long, of no length, or too slow to come."""
        announced = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,4}", announced) or (length := int(announced)) > _BODY_BYTES:
            return None
        body = self.rfile.read(length)  # what came together with the head
        end = time.monotonic() + _HEAD_SECONDS
        with suppress(OSError):
            while len(body) < length and (left := end - time.monotonic()) > 0:
                self.connection.settimeout(left)
                part: bytes = self.connection.recv(length - len(body))
                if not part:
                    break
                body += part
        self.connection.settimeout(_WRITE_SECONDS)
        return body if len(body) == length else None

    def _tell_view(self, setup: SetUp) -> None:
        self._reply(HTTPStatus.OK, "application/json", json.dumps(setup.told()).encode())

    def _stream(self) -> None:
        self._begin(HTTPStatus.OK, "text/event-stream")
        self.wfile.write(b"retry: 1000\n\n")
        if not self.server.watching.acquire(blocking=False):
            self._tell({"state": "full", "message": f"{WATCHERS} pages watch already"})
            return
        try:
            for update in self.server.monitor.updates():
                self._tell(update)
        finally:
            self.server.watching.release()

    def _tell(self, update: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(update, separators=(",", ":")).encode() + b"\n\n")

    def _reply(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self._begin(status, kind, len(body))
        self.wfile.write(body)

    def _begin(self, status: HTTPStatus, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        if length is not None:
            self.send_header("Content-Length", str(length))
        if status is HTTPStatus.OK and self.server.admission.cookie:
            self.send_header("Set-Cookie", self.server.admission.cookie)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        status = HTTPStatus(code)
        self._reply(status, "text/plain", f"{status.value} {message or status.phrase}\n".encode())

    def version_string(self) -> str:
        return "canthus"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: an address may hold the token."""


def _reachable(address: str) -> str:
    """How a browser names an address; for one that stands for all of this machine's, the one that others reach."""
    if address in ("0.0.0.0", "::"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as route:
            # Sends nothing: asks which address a packet to elsewhere would go out from. These are for examples.
            route.connect(("2001:db8::1" if ":" in address else "192.0.2.1", 9))
            address = str(route.getsockname()[0])
    return f"[{address}]" if ":" in address else address
