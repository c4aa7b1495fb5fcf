"""Who may ask: the token, and what keeps web pages that someone visits away from a server on their machine."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagfit.serve.problems import ProblemError

#: what is answered without a token: whether the server lives, and pages that hold nothing of the model
OPEN = frozenset(
    {
        "/",
        "/docs",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/page.css",
        "/page.js",
        "/base.css",
        "/base.js",
        "/icon.svg",
    }
)

#: the page's scripts, styles and images are its own; nothing is fetched from, sent to or framed by anyone else
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]

#: bytes that are read and thrown away after a refusal, so that a client that still sends hears it; and for how many
#: seconds more of them are waited for
_LINGER, _LINGER_SECONDS = 16 << 20, 1.0


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        token: SHA-256 of what has to come as `Authorization: Bearer`; None if nothing has to.
        hosts: names that requests may be addressed to, in small letters. Numbers always may: only a name can be made to
            lead here by someone else (DNS rebinding).
    """

    token: bytes | None = None
    hosts: frozenset[str] = frozenset({"localhost"})

    @classmethod
    def of(cls, token: str | None, hosts: Iterable[str], loopback: bool) -> Access:
        """With the names that this machine has by itself, if it is asked from outside."""
        own = {"localhost"} if loopback else {"localhost", socket.gethostname().lower(), socket.getfqdn().lower()}
        digest = None if token is None else sha256(token.encode()).digest()
        return cls(digest, frozenset(own | {host.lower() for host in hosts}))

    def check(self, scope: Scope) -> None:
        """Raises ProblemError: 400, 401, 403 or 421."""
        headers = Headers(scope=scope)
        host = self._checked_host(headers)
        _check_origin(scope, headers, host)
        if self.token is not None and scope["path"] not in OPEN and not self._has_token(headers):
            raise ProblemError(
                401,
                "A token is needed: Authorization: Bearer TOKEN.",
                headers={"www-authenticate": 'Bearer realm="tagfit"'},
            )

    def _checked_host(self, headers: Headers) -> str:
        given = headers.getlist("host")
        if len(given) != 1 or (name := _name(given[0])) is None:
            raise ProblemError(400, "A request needs one Host header that names a host.")
        if name not in self.hosts and not _is_number(name):
            raise ProblemError(
                421, "This server does not accept that host name. Allow it with --allow-host NAME.", headers=_CLOSE
            )
        return given[0].lower()

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # digests are compared, so that not even the length tells
        right = hmac.compare_digest(sha256(given.strip().encode()).digest(), self.token or b"")
        return right and scheme.lower() == "bearer"


_CLOSE = {"connection": "close"}


def _check_origin(scope: Scope, headers: Headers, host: str) -> None:
    """No other page's requests: neither by its origin nor by what the browser says of where it comes from."""
    origins = headers.getlist("origin")
    if origins and (len(origins) > 1 or not _same(origins[0], host)):
        raise ProblemError(403, "Only the page of this server may send requests from a browser.")
    site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "")
    followed = scope["method"] == "GET" and mode == "navigate" and headers.get("sec-fetch-dest") == "document"
    if site not in {"none", "same-origin"} and not followed:
        raise ProblemError(403, "Only the page of this server may send requests from a browser.")


def _same(origin: str, host: str) -> bool:
    return origin.lower() in {f"http://{host}", f"https://{host}"}


def _name(host: str) -> str | None:
    """The name in `name:port`, in small letters without a last dot, or nothing."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return name.rstrip(".") if name and parts.netloc == host and "@" not in host else None


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Around the whole app: refuses who may not ask, and adds what keeps browsers strict to every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        strict = _Strict(scope, receive, send)
        try:
            self._access.check(scope)
        except ProblemError as problem:
            await problem.response()(scope, strict.receive, strict.send)
            return
        await self._app(scope, strict.receive, strict.send)


class _Strict:
    """One request: its answer gets the headers; what is left of its body is read before the answer ends.

    A client that is still sending hears a refusal at once, and can go on with the next request; not so if more is
    left than is worth reading.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        fields = dict(scope["headers"])
        self._left = int(fields.get(b"content-length", b"0")) if b"transfer-encoding" not in fields else _LINGER + 1

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            self._left = 0
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), *_HEADERS]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            if self._left > _LINGER:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif self._left and not message.get("more_body"):
            await self._send({**message, "more_body": True})
            message = {"type": "http.response.body", "body": b"", "more_body": False}
            await self._read_rest()
        await self._send(message)

    async def _read_rest(self) -> None:
        most = _LINGER
        with suppress(TimeoutError):
            while self._left and most > 0:
                async with asyncio.timeout(_LINGER_SECONDS):
                    most -= len((await self.receive()).get("body", b""))
