"""A connection with deadlines."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: connections at a time, at most
MOST_CONNECTIONS = 1000

#: seconds that a request's head may take
HEAD_SECONDS = 10.0

#: bytes that a request's head may have
HEAD_BYTES = 32 << 10

#: seconds, after a request's own, in which its answer has to be taken
TAKE_SECONDS = 5.0

#: seconds in which a connection without a request is kept when the server drains: one may be on its way
LINGER_SECONDS = 0.5


def most_connections() -> int:
    """As many as leave half of the files that this process may open, where the system limits them."""
    try:
        import resource
    except ImportError:  # Windows
        return MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 2)


class Connection(HttpToolsProtocol):
    """Uvicorn's, with a deadline for a request's head, one for all of it, and a limit of connections.

    `seconds` is what a request may take; it is set by a subclass.
    """

    seconds = 30.0
    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    _draining = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
            return
        self._end_after(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_after(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            if self._deadline is None:
                self._end_after(HEAD_SECONDS)
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._end_after(self.seconds + TAKE_SECONDS)
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        self._in_head = True
        self._end_after(None)
        super().on_response_complete()

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
