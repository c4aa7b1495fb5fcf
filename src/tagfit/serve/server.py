"""Binds, serves and, when told to end, answers what it has accepted first."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from uvicorn import Config, Server

from tagfit.delivery.predictor import Tagger
from tagfit.errors import DataError, OutputError
from tagfit.serve.app import create_app
from tagfit.serve.connection import Connection
from tagfit.serve.guard import Access
from tagfit.serve.limits import Limits

#: seconds in which what was accepted is answered after SIGTERM
DRAIN_SECONDS = 30

#: a token that is shorter could be guessed
SHORTEST_TOKEN = 16


def read_token(file: Path) -> str:
    """The token that a file holds.

    Raises:
        DataError: it cannot be read, or does not hold one.
    """
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the token file {file} cannot be read: {error}") from None
    if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise DataError(
            f"the token file {file} must hold one word of at least {SHORTEST_TOKEN} letters",
            f'Make one: python -c "import secrets; print(secrets.token_urlsafe())" > {file}',
        )
    return token


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        OutputError: the address is not this machine's, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        todo = "Choose another with --host and --port; --port 0 takes a free one."
        raise OutputError(f"cannot listen on {host} port {port}: {error.strerror or error}", todo) from None
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def demand_token(listener: socket.socket, token: str | None) -> None:
    """Raises DataError: other machines can reach it, and there is no token."""
    if token is None and not is_loopback(listener):
        raise DataError(
            f"{listener.getsockname()[0]} can be reached from other machines: a token is needed",
            "Name a file that holds one with --token-file, or leave --host away.",
        )


def serve(
    name: str,
    tagger: Tagger,
    listener: socket.socket,
    limits: Limits,
    *,
    token: str | None,
    hosts: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or ctrl-C.

    Args:
        name: what the model is called.
        say: told, in a sentence each, what a person should know.

    """
    logging.basicConfig(format="tagfit: %(message)s", level=logging.WARNING)
    server = _Server(
        Config(
            create_app(name, tagger, limits, Access.of(token, hosts, is_loopback(listener)), lambda: server.should_exit),
            http=type("Timed", (Connection,), {"seconds": 2 * limits.seconds}),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            backlog=1024,
        ),
        lambda: say(f"serving {name} at {_address(listener)} (ctrl-C ends it)"),
        lambda: say("ending, once what was accepted is answered"),
    )
    asyncio.run(server.serve([listener]))


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Server(Server):
    """Uvicorn's, that says when it serves and when it ends; a signal that made it end is not raised again."""

    def __init__(self, config: Config, on_start: Callable[[], None], on_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start, self._on_end = on_start, on_end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_end()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        again = self.should_exit
        super().handle_exit(sig, frame)
        self._captured_signals.clear()
        self.force_exit = again and sig == signal.SIGINT
