"""Requests gathered into batches: while the network is at one, the next gathers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tagfit.inference.tagger import Prediction, Tagger
from tagfit.serve.limits import Limits
from tagfit.serve.priority import step_back
from tagfit.serve.problems import busy

#: rows of a batch; a request is never parted, so that the last one of a batch may bring it above
BATCH = 64

#: weight of the last request in the running mean of the pace
_NEWS = 0.1

Answer = TypeVar("Answer")

#: (n, ...) images or feature rows
Samples = NDArray[np.generic]


@dataclass(eq=False)
class _Asked:
    """Rows of one request, and who waits for them."""

    x: Samples
    answer: asyncio.Future[Prediction]


class Batcher:
    """One network, asked by many. It belongs to the loop that it was made in; the network works in one thread.

    Args:
        on_batch: called with the rows of each batch and the seconds that it took.
    """

    def __init__(self, tagger: Tagger, limits: Limits, on_batch: Callable[[int, float], None]) -> None:
        self._tagger, self._limits, self._on_batch = tagger, limits, on_batch
        self._network = ThreadPoolExecutor(max_workers=1, thread_name_prefix="network", initializer=step_back)
        self._asked: deque[_Asked] = deque()
        self._at_work = False
        self._pace = 0.0
        self.waiting = 0

    @property
    def expected_wait(self) -> float:
        """Seconds until what waits is answered, by how it went of late."""
        return self.waiting * self._pace

    def demand_room(self, rows: int) -> None:
        """Refuse what could not be answered in time.

        Raises:
            ProblemError: 429.
        """
        late = self.waiting and self.expected_wait > self._limits.seconds / 2
        if late or self.waiting + rows > self._limits.queue:
            raise busy(self.expected_wait)

    @contextmanager
    def room_for(self, rows: int) -> Iterator[None]:
        """Within, these rows wait.

        Raises:
            ProblemError: 429.
        """
        self.demand_room(rows)
        self.waiting += rows
        ahead, begun = self.waiting, time.monotonic()
        try:
            yield
            pace = (time.monotonic() - begun) / ahead
            self._pace += _NEWS * (pace - self._pace) if self._pace else pace
        finally:
            self.waiting -= rows

    async def predict(self, x: Samples) -> Prediction:
        """What the network makes of rows that it takes."""
        asked = _Asked(x, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        self._pump()
        return await asked.answer

    async def alone(self, work: Callable[[], Answer]) -> Answer:
        """Something else in the network's thread, between batches."""
        return await asyncio.get_running_loop().run_in_executor(self._network, work)

    def close(self) -> None:
        self._network.shutdown(cancel_futures=True)

    def _pump(self) -> None:
        if not self._at_work and (batch := self._next_batch()):
            self._at_work = True
            task = asyncio.get_running_loop().run_in_executor(self._network, self._answered, batch)
            task.add_done_callback(lambda done: self._hand_out(batch, done))

    def _next_batch(self) -> list[_Asked]:
        batch: list[_Asked] = []
        rows = 0
        while self._asked and rows < BATCH and (not batch or _alike(batch[0].x, self._asked[0].x)):
            asked = self._asked.popleft()
            if not asked.answer.done():  # nobody waits for it any more
                batch.append(asked)
                rows += len(asked.x)
        return batch

    def _answered(self, batch: list[_Asked]) -> tuple[Prediction, float]:
        begun = time.perf_counter()
        prediction = self._tagger.predict_array(np.concatenate([asked.x for asked in batch]))
        return prediction, time.perf_counter() - begun

    def _hand_out(self, batch: list[_Asked], done: asyncio.Future[tuple[Prediction, float]]) -> None:
        self._at_work = False
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            prediction, seconds = done.result()
            self._on_batch(len(prediction), seconds)
        start = 0
        for asked in batch:
            if not asked.answer.done():
                if error is None:
                    asked.answer.set_result(_rows(prediction, slice(start, start + len(asked.x))))
                else:
                    asked.answer.set_exception(error)
            start += len(asked.x)
        self._pump()


def _alike(first: Samples, second: Samples) -> bool:
    """Whether both are images, or both feature rows: a bundle with a backbone takes both."""
    return first.shape[1:] == second.shape[1:]


def _rows(whole: Prediction, rows: slice) -> Prediction:
    errors = {row - rows.start: why for row, why in whole.errors.items() if rows.start <= row < rows.stop}
    return Prediction(whole.scores[rows], whole.probabilities[rows], whole.decisions[rows], whole.label_names, errors)
