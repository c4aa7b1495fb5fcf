"""Images of requests, decoded in processes that may crash without harm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread

from tagfit.errors import TagfitError
from tagfit.images.workers import DecodeOutcome, Decoder, cores
from tagfit.records.form import ImageForm
from tagfit.serve.priority import step_back
from tagfit.serve.problems import ProblemError

log = logging.getLogger(__name__)


class _Request:
    """The images of one request."""

    def __init__(self, images: Sequence[bytes]) -> None:
        self.images = images
        self.outcomes = [DecodeOutcome() for _ in images]
        self.left = len(images)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.given_up = False

    def put(self, number: int, outcome: DecodeOutcome | None) -> None:
        """In the thread of the loop; None if there is no process that could open images."""
        if self.done.done():
            return
        if outcome is None:
            self.done.set_exception(ProblemError(503, "The server cannot open images at the moment. Its log says why."))
            return
        self.outcomes[number] = outcome
        self.left -= 1
        if not self.left:
            self.done.set_result(None)


class RequestDecoders:
    """One process a core. What a request gives up is left, or, if a process is at it, that process is ended.

    Args:
        on_crash: told, in a thread of its own, when an image has taken its process down.
    """

    def __init__(self, form: ImageForm, max_pixels: int, on_crash: Callable[[], None] = lambda: None) -> None:
        self._form, self._max_pixels, self._on_crash = form, max_pixels, on_crash
        self._waiting: SimpleQueue[tuple[_Request, int] | None] = SimpleQueue()
        self._at: list[tuple[_Request, Decoder] | None] = [None] * cores()
        self._threads = [Thread(target=self._work, args=(number,), daemon=True) for number in range(len(self._at))]
        for thread in self._threads:
            thread.start()

    async def decode(self, images: Sequence[bytes]) -> list[DecodeOutcome]:
        """What came of each image, in order.

        Raises:
            ProblemError: 503.
        """
        job = _Request(images)
        for number in range(len(images)):
            self._waiting.put((job, number))
        try:
            await job.done
        except (asyncio.CancelledError, ProblemError):
            job.given_up = True
            for at in self._at:
                if at is not None and at[0] is job:
                    at[1].abandon()
            raise
        return job.outcomes

    def close(self) -> None:
        """End the processes."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=10)

    def _work(self, number: int) -> None:
        step_back()
        decoder = Decoder(self._form, self._max_pixels)
        while (task := self._waiting.get()) is not None:
            job, image = task
            self._at[number] = job, decoder  # first this, then the question: who gives up does both the other way round
            outcome = DecodeOutcome() if job.given_up else self._outcome(decoder, job.images[image])
            self._at[number] = None
            if decoder.abandoned:
                decoder.close()
                decoder = Decoder(self._form, self._max_pixels)
                if not job.given_up:  # it was meant for the image before
                    outcome = self._outcome(decoder, job.images[image])
            if not job.given_up:
                job.done.get_loop().call_soon_threadsafe(job.put, image, outcome)
        decoder.close()

    def _outcome(self, decoder: Decoder, image: bytes) -> DecodeOutcome | None:
        try:
            outcome = decoder.read(image)
        except TagfitError as error:  # no process can be started: this request is refused, the next one tries again
            log.error("images cannot be opened: %s", error)
            return None
        if outcome.reason.startswith("the decoder crashed"):
            self._on_crash()
        return outcome
