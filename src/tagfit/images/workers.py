"""Many images decoded at a time, each in a process that may crash.

The processes are started as programs of their own (`python -m tagfit.images.worker`), so that neither a script
without a main guard nor a notebook is run a second time, and nothing but NumPy and Pillow is loaded.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from queue import Queue
from threading import Event, Lock, Thread
from typing import BinaryIO, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from tagfit.errors import TagfitError
from tagfit.images.worker import BYTES, DIGEST, FILE, KNOWN, PIXELS, WANTED, receive, send
from tagfit.io.forks import demand_own_threads
from tagfit.records.form import ImageForm

log = logging.getLogger(__name__)

#: images that are worth the start of one more process
_WORTH_A_PROCESS = 48

#: images that wait to be taken, and bytes of their pixels
_MOST_WAITING, _WAITING = 64, 16 << 20

Source = Path | bytes

#: told the SHA-256 of a file, says whether its pixels are wanted
Wanted = Callable[[bytes], bool]


@dataclass(frozen=True, eq=False)
class DecodeOutcome:
    """What came of one image.

    Attributes:
        digest: SHA-256 of the encoded bytes; empty if none was asked for, they could not be read, or crashed the
            decoder.
        stamp: size, times and number of the file that was read; None if it changed meanwhile, or is no file.
        pixels: (size, size, 3) uint8; None if there are none, or none were wanted.
        time: when it was taken, as ISO text, or nothing.
        reason: why there are no pixels, or nothing.
    """

    digest: bytes = b""
    stamp: tuple[int, ...] | None = None
    pixels: NDArray[np.uint8] | None = None
    time: str = ""
    reason: str = ""


class Decode(Protocol):
    """Decodes many images: `decoded`, or its like elsewhere."""

    def __call__(
        self, sources: Iterable[Source], form: ImageForm, max_pixels: int, wanted: Wanted = ...
    ) -> Generator[tuple[int, DecodeOutcome]]: ...


def decoded(
    sources: Iterable[Source],
    form: ImageForm,
    max_pixels: int,
    wanted: Wanted = lambda digest: True,
) -> Generator[tuple[int, DecodeOutcome]]:
    """The number and the outcome of each of `sources`, as they come, by processes that end with them."""
    with closing(Decoders(form, max_pixels)) as decoders:
        yield from decoders.decoded(sources, wanted)


class Decoders:
    """Processes that open images, one for each core unless set otherwise, and stay for the next ones.

    May be used from several threads.
    """

    def __init__(self, form: ImageForm, max_pixels: int, processes: int | None = None) -> None:
        self._form, self._max_pixels, self._most = form, max_pixels, processes or cores()
        self._idle: deque[Decoder] = deque()

    def decoded(self, sources: Iterable[Source], wanted: Wanted | None = None) -> Generator[tuple[int, DecodeOutcome]]:
        """The number and the outcome of each of `sources`, as they come.

        `sources` are taken, and `wanted` is called, from several threads; without it nothing is hashed.
        """
        demand_own_threads()
        numbered = enumerate(sources)
        first = list(islice(numbered, _WORTH_A_PROCESS * (self._most - 1) + 1))
        decoders = [self._taken() for _ in range(max(1, -(-len(first) // _WORTH_A_PROCESS)))]
        coming, lock, stop = chain(first, numbered), Lock(), Event()
        room = max(2, min(_MOST_WAITING, _WAITING // (3 * self._form.size**2)))
        outcomes: Queue[tuple[int, DecodeOutcome] | BaseException | None] = Queue(room)

        def work(decoder: Decoder) -> None:
            try:
                while not stop.is_set():
                    with lock:
                        item = next(coming, None)
                    if item is None:
                        break
                    outcomes.put((item[0], decoder.read(item[1], wanted)))
            except BaseException as error:  # raised again where the outcomes are taken
                outcomes.put(error)
            outcomes.put(None)

        threads = [Thread(target=work, args=(decoder,), daemon=True) for decoder in decoders]
        for thread in threads:
            thread.start()
        running = len(threads)
        try:
            while running:
                outcome = outcomes.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is None:
                    running -= 1
                else:
                    yield outcome
        finally:
            stop.set()
            if running:  # nobody wants the rest
                for decoder in decoders:
                    decoder.abandon()
            while any(thread.is_alive() for thread in threads):
                with suppress(Exception):
                    outcomes.get(timeout=0.05)  # so that no thread waits for room
            if running:
                for decoder in decoders:
                    decoder.close()
            else:
                self._idle.extend(decoders)

    def close(self) -> None:
        """End those that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _taken(self) -> Decoder:
        try:
            return self._idle.pop()
        except IndexError:
            return Decoder(self._form, self._max_pixels)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Decoder:
    """One process that opens images; if an image takes it down, the next one gets a new process.

    Attributes:
        abandoned: whether it was given up, and opens no more images.
    """

    def __init__(self, form: ImageForm, max_pixels: int) -> None:
        self._form, self._max_pixels = form, max_pixels
        self._process: subprocess.Popen[bytes] | None = None
        self.abandoned = False

    def read(self, source: Source, wanted: Wanted | None = None) -> DecodeOutcome:
        """Read and decode one image, and hash it if `wanted` is to be told.

        A crash is tried once more, as memory may have been short.
        """
        try:
            return self._read(source, wanted)
        except (EOFError, OSError):
            status = self.close()
        if self.abandoned:
            return DecodeOutcome()
        named = source if isinstance(source, Path) else f"an image of {len(source):,} bytes"
        log.warning("the decoder crashed at %s (%s); it is tried once more", named, _ended(status))
        try:
            return self._read(source, wanted)
        except (EOFError, OSError):
            return DecodeOutcome(reason=f"the decoder crashed: {_ended(self.close())}")

    def abandon(self) -> None:
        """Give up what it is at, from another thread."""
        self.abandoned = True
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> int | None:
        """End the process; its exit status, if there was one."""
        process, self._process = self._process, None
        if process is None:
            return None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            return process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _read(self, source: Source, wanted: Wanted | None) -> DecodeOutcome:
        requests, answers = self._pipes()
        asked = PIXELS if wanted is None else DIGEST
        send(requests, asked + (BYTES + source if isinstance(source, bytes) else FILE + os.fsencode(source.absolute())))
        told, digest, stamp = json.loads(receive(answers)), b"", None
        if wanted is not None and "reason" not in told:
            digest, stamp = bytes.fromhex(told["digest"]), told["stamp"] and tuple(told["stamp"])
            if not wanted(digest):
                send(requests, KNOWN)
                return DecodeOutcome(digest, stamp)
            send(requests, WANTED)
            told = json.loads(receive(answers))
        if "reason" in told:
            return DecodeOutcome(digest, stamp, reason=told["reason"])
        shape = (self._form.size, self._form.size, 3)
        return DecodeOutcome(digest, stamp, np.frombuffer(receive(answers), np.uint8).reshape(shape), told["time"])

    def _pipes(self) -> tuple[BinaryIO, BinaryIO]:
        if self._process is None:
            self._process = self._started()
        if self.abandoned:  # while it was started
            raise EOFError
        return cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)

    def _started(self) -> subprocess.Popen[bytes]:
        command = [*worker_command(), json.dumps(asdict(self._form)), str(self._max_pixels)]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        env = environment(OPENBLAS_NUM_THREADS="1")  # NumPy starts no threads of its own
        try:
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=env)
        except OSError as error:
            raise TagfitError(f"{command[0]} does not start: {error}") from error
        try:
            receive(cast(BinaryIO, process.stdout))
        except EOFError:
            self._process = process
            raise TagfitError(f"{' '.join(command)} does not start: {_ended(self.close())}") from None
        return process


def worker_command() -> Sequence[str]:
    """What is run for each process."""
    return (sys.executable, "-P", "-m", "tagfit.images.worker")


def environment(**variables: str) -> Mapping[str, str]:
    """This process's own, for another Python that finds the same modules, with further variables."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables}


def _ended(status: int | None) -> str:
    return f"signal {-status}" if status is not None and status < 0 else f"exit code {status}"
