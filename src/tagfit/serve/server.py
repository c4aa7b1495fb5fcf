"""Binds, serves and, when told to end, answers what it has accepted first."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import os
import shlex
import signal
import socket
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import numpy as np
from starlette.types import ASGIApp
from uvicorn import Config, Server

from tagfit.errors import DataError, OutputError
from tagfit.inference.tagger import Tagger
from tagfit.serve.app import create_app
from tagfit.serve.connection import Connection
from tagfit.serve.guard import Access
from tagfit.serve.limits import Limits

#: seconds in which what was accepted is answered after SIGTERM
DRAIN_SECONDS = 30

#: seconds that a request to a page may take
SECONDS = 30.0

#: a token that is shorter could be guessed
SHORTEST_TOKEN = 16

#: bytes of a token file that are read
_LONGEST_TOKEN = 4096

#: connections that may wait to be accepted
_BACKLOG = 1024


def read_token(file: Path) -> str:
    """The token that a file holds.

    Raises:
        DataError: it cannot be read, others can read it, or it does not hold a token.
    """
    named = shlex.quote(str(file))
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            content = opened.read(_LONGEST_TOKEN)
    except OSError as error:
        raise DataError(f"the token file {file} cannot be read: {error.strerror or error}") from None
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        raise DataError(
            f"other users of this machine can read the token file {file}", f"chmod 600 {shlex.quote(str(file))}"
        )
    token = content.decode("ascii", "replace").strip()
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise DataError(
            f"the token file {file} must hold one word of at least {SHORTEST_TOKEN} letters, digits or signs of ASCII",
            f'Make one: (umask 077; python -c "import secrets; print(secrets.token_urlsafe())" > {named})',
        )
    return token


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        OutputError: the address is not this machine's, or the port is taken.
    """
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)  # here: two may bind a port that none listens at
    except OSError as error:
        if listener is not None:
            listener.close()
        todo = "Choose another with --host and --port; --port 0 takes a free one."
        raise OutputError(f"cannot listen on {host} port {port}: {error.strerror or error}", todo) from None
    return listener


def access_to(listener: socket.socket, token: str | None, hosts: Sequence[str] = ()) -> Access:
    """Who may ask: by `hosts` beside this machine's own names, with the token if there is one.

    Raises:
        DataError: other machines can reach it, and there is no token.
    """
    address = listener.getsockname()[0]
    loopback = ipaddress.ip_address(address).is_loopback
    if token is None and not loopback:
        raise DataError(
            f"{address} can be reached from other machines, so it needs a token",
            "Name a file that holds one with --token-file, or remove --host.",
        )
    return Access.of(token, hosts, loopback)


def make_server(
    name: str,
    tagger: Tagger,
    listener: socket.socket,
    limits: Limits,
    access: Access,
    say: Callable[[str], None] = lambda text: None,
) -> Server:
    """What `serve` runs; it ends once its `should_exit` is set.

    Args:
        name: what the model is called.
        say: called with a sentence that a person should know.
    """
    server: Server
    app = create_app(name, tagger, limits, access, lambda: server.should_exit)
    server = listening(app, listener, limits.seconds, f"serving {name}", say)
    return server


def listening(
    app: ASGIApp, listener: socket.socket, seconds: float, what: str, say: Callable[[str], None] = lambda text: None
) -> Server:
    """A server of any app; it ends once its `should_exit` is set.

    Args:
        seconds: that a request may take.
        what: what it does, for the sentence that names its address.
        say: as in `make_server`.
    """
    config = Config(
        app,
        http=type("Timed", (Connection,), {"seconds": 2 * seconds}),  # its body, then its answer
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=_BACKLOG,
    )
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    return _Server(config, f"{what} at {address} (ctrl-C ends it)", say)


def serve(server: Server, tagger: Tagger, listener: socket.socket) -> None:
    """Serve until SIGTERM or ctrl-C; the network is asked once before, as its first answer takes longest."""
    size = tagger.form.size
    image, row = np.zeros((1, size, size, 3), np.uint8), np.zeros((1, *tagger.preprocessing.shape), np.float32)
    tagger.predict_array(image if tagger.takes_images else row)
    run(server, listener)


def run(server: Server, listener: socket.socket) -> None:
    """Answer until SIGTERM or ctrl-C."""
    gc.collect()
    gc.freeze()  # looking through what is loaded for garbage would hold all requests up for a tenth of a second
    logging.basicConfig(format="tagfit: %(message)s", level=logging.ERROR)  # clients hear of their own mistakes
    asyncio.run(server.serve([listener]))


class _Server(Server):
    """Uvicorn's, that announces when it serves and when it ends; a signal that made it end is not raised again."""

    def __init__(self, config: Config, greeting: str, say: Callable[[str], None]) -> None:
        super().__init__(config)
        self._greeting, self._say = greeting, say

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._say(self._greeting)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._say("Stopping once accepted requests are answered.")
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
