"""Signals that ask a command to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: those that ask, on this platform; ctrl-C is the first
ASKING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """What a signal raises here.

    Once a plain KeyboardInterrupt has passed through `exec`, by which dataclasses are made, Python ends by SIGINT,
    whatever code it was to end with.
    """


class Stops:
    """What asked to stop.

    Attributes:
        number: of the signal, ctrl-C's unless another came.
    """

    def __init__(self) -> None:
        self.number: int = signal.SIGINT

    def __call__(self, number: int, frame: object) -> None:
        self.number = number
        raise Stopped


@contextmanager
def stops_raise() -> Iterator[Stops]:
    """Every signal that asks to stop is raised in the main thread, so that what is half done is put away.

    One that is ignored (`nohup`) or handled already stays so.
    """
    stops = Stops()

    before = {number: signal.getsignal(number) for number in ASKING}
    free = [number for number, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]
    if threading.current_thread() is not threading.main_thread():
        free = []  # Python lets nobody else handle them
    for number in free:
        signal.signal(number, stops)
    try:
        yield stops
    finally:
        for number in free:
            signal.signal(number, before[number])
