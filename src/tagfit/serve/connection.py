"""A connection with deadlines: for a request's head, for all of it, and for taking its answer."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tagfit.serve.problems import ProblemError

#: connections at a time, at most
MOST_CONNECTIONS = 1000

#: seconds that a request's head may take, and what is left of a body whose request was answered
HEAD_SECONDS = 10.0

#: bytes that a request's head may have
HEAD_BYTES = 32 << 10

#: seconds, after a request's own, in which its answer has to be taken, or some of it while there is more
TAKE_SECONDS = 10.0

#: bytes that the system keeps of answers that are not taken; it tells that there is room again when a third is free
_UNTAKEN = 64 << 10

#: seconds in which a connection without a request is kept when the server drains: one may be on its way
LINGER_SECONDS = 0.5

#: seconds that a client was waited for, after which its connection goes where there is no room for another
PATIENCE_SECONDS = 1.0


def most_connections() -> int:
    """As many as leave half of the files that this process may open, if the system limits them."""
    try:
        import resource
    except ImportError:  # Windows
        return MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 2)


class Connection(HttpToolsProtocol):
    """Uvicorn's, with a deadline for a request's head, one for all of it, one for its answer, and limits.

    Where there are too many connections, the address with the most of them loses the one whose client has been waited
    for longest, so that clients that send nothing or take nothing keep nobody else out.

    `seconds` is what a request may take; it is set by a subclass.
    """

    seconds = 30.0
    _looks_again_at: ClassVar[float] = 0.0
    _deadline: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _in_head = True  # or before it
    _head_bytes = 0  # of the URL and the headers that are complete
    _unfinished_bytes = 0  # that came since the head began
    _waited_since: float | None = None  # None while it is the server's turn
    _draining = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNTAKEN)
        transport.set_write_buffer_limits(0)  # `pause_writing` is called whenever something is not taken at once
        self._waited_since = self.loop.time()
        if len(self.connections) > most_connections() and not self._replaces_another():
            transport.abort()
            return
        self._end_after(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_after(None)
        self._stop_taking()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            if self._deadline is None:
                self._end_after(HEAD_SECONDS)
            self._unfinished_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._unfinished_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name + value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._unfinished_bytes = False, 0
        if self.cycle is None or self.cycle.response_complete:
            self._end_after(self.seconds + TAKE_SECONDS)
            self._waited_since = self.loop.time()
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._in_head, self._waited_since = True, None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.pipeline:  # it begins now
            self._end_after(self.seconds + TAKE_SECONDS)
        else:
            self._waited_since = self.loop.time()
            in_between = self._in_head and not self._unfinished_bytes
            self._end_after(None if in_between else HEAD_SECONDS)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """The parser's refusals, in the form of all others."""
        body = bytes(ProblemError(400, _TOO_LARGE if self._head_bytes > HEAD_BYTES else msg).response().body)
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nx-content-type-options: nosniff\r\n"
            f"cache-control: no-store\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    # ------------------------------------------------------------------------------ answers that are not taken

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waited_since = self.loop.time()
        self._demand_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_taking()
        if self.cycle is not None and not self.cycle.response_complete:
            self._waited_since = None

    def _demand_taking(self) -> None:
        size = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(TAKE_SECONDS, self._check_taking, size)

    def _check_taking(self, before: int) -> None:
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._demand_taking()

    def _stop_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    # ------------------------------------------------------------------------------------------------ deadlines

    def shutdown(self) -> None:
        self._draining = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_SECONDS, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _end_after(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)

    # --------------------------------------------------------------------------------------------------- limits

    def _count(self, part: bytes) -> None:
        self._head_bytes += len(part)
        if self._head_bytes > HEAD_BYTES:
            raise ValueError(_TOO_LARGE)  # the parser stops, and refuses

    def _replaces_another(self) -> bool:
        """Whether a connection could be ended to make room for this one; looked for now and then, as it takes time."""
        kind, now = type(self), self.loop.time()
        if now < kind._looks_again_at:
            return False
        others = [one for one in self.connections if isinstance(one, Connection) and not one.transport.is_closing()]
        held = Counter(one._address for one in others)
        since = now - PATIENCE_SECONDS
        waited = [
            (held[one._address], -one._waited_since, one)
            for one in others
            if one._waited_since is not None and one._waited_since < since
        ]
        if not waited:
            kind._looks_again_at = now + PATIENCE_SECONDS / 10
            return False
        max(waited, key=lambda found: found[:2])[2].transport.abort()
        return True

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""


_TOO_LARGE = "The head of the request is too large."
