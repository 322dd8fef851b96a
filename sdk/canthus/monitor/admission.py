"""Who may see the page: on this machine, who asks this machine by name; from elsewhere, who has the token."""

from __future__ import annotations

import hmac
import secrets
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit


class Admission:
    """Lets requests in, or says why not.

    Args:
        address: that the server listens at; a token is made for any but the loopback.
        port: tells the cookies of two monitors on one machine apart.
    """

    def __init__(self, address: str, port: int) -> None:
        self.token = None if is_loopback(address) else secrets.token_urlsafe(32)
        self._cookie = f"canthus-{port}"

    def refusal(self, path: str, query: str, headers: Message) -> str | None:
        """Why a request is refused; None if it isn't."""
        # A browser tells when a page of another site asks. Opening the page by a link there is fine: it isn't framed.
        if path != "/" and headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            return "another site's page asks; open the monitor's own address"
        if self.token is None:
            # A site that has its own name point to this machine is thought to be same-origin: DNS rebinding.
            return None if _is_this_machine(headers.get("Host", "")) else "the address names another machine"
        if any(_equal(self.token, given) for given in (_of_query(query), self._of_cookie(headers))):
            return None
        return "the token is missing or wrong; open the address that canthus monitor printed, with its token"

    def refusal_to_write(self, headers: Message) -> str | None:
        """Why a request that would have something written is refused, if it was let in; None if it isn't."""
        if headers.get("Content-Type") != "application/json":  # which no form of another site can send
            return "only JSON is taken"
        # Browsers that don't tell which site asks tell its origin; ours is the address that was asked.
        if _place(headers.get("Origin", "")) != headers.get("Host", ""):
            return "another site's page asks; open the monitor's own address"
        return None

    @property
    def cookie(self) -> str | None:
        """What a browser is given to keep, so that the address needn't show the token any longer."""
        return self.token and f"{self._cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    def _of_cookie(self, headers: Message) -> str:
        try:
            cookies = SimpleCookie(headers.get("Cookie", ""))
        except CookieError:
            return ""
        return cookies[self._cookie].value if self._cookie in cookies else ""


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a numeric address."""
    return ip_address(address.partition("%")[0]).is_loopback


def _is_this_machine(host: str) -> bool:
    """By the `Host` of a request, with any port: a tunnel's other end has its own."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or is_loopback(name)
    except ValueError:
        return False


def _place(origin: str) -> str | None:
    """Host and port of an origin."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _of_query(query: str) -> str:
    return parse_qs(query).get("token", [""])[0]


def _equal(token: str, given: str) -> bool:
    return hmac.compare_digest(token.encode(), given.encode("utf-8", "replace"))
