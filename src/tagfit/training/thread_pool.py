"""Threads of our own, each running torch on one core.

Torch shares one operation among OpenMP threads, which wait for each other some hundred times a step by spinning: on a
machine with anything else to do, a step of a small network takes several times as long as on one thread. A pool
shares the *samples* of a step instead and waits once (`training.steps`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

#: multiply-adds of a forward step below which handing work to a second thread costs more than it saves
WORTH_SHARING = 100_000_000

#: a step's samples are not shared among more threads than this: batches are small
MOST = 4

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class ThreadPool:
    """Some threads that do the same to different things; a pool of one works where it is called."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool = ThreadPoolExecutor(size, initializer=torch.set_num_threads, initargs=(1,)) if size > 1 else None

    def map(self, action: Callable[[Item], Outcome], items: Iterable[Item]) -> list[Outcome]:
        """`action` of every item, in order."""
        return list(map(action, items)) if self._pool is None else list(self._pool.map(action, items))

    def __enter__(self) -> ThreadPool:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()


@contextmanager
def thread_pool_for(network: nn.Module, batch_size: int) -> Iterator[ThreadPool]:
    """The threads that `network` is worth while it is trained or run; torch's own number comes back afterwards.

    Convolutions on the CPU: a pool of as many as torch would take (one a core, unless OMP_NUM_THREADS says otherwise),
    at most `MOST`. Small fully connected networks: one thread. Everything else: torch's own threads.
    """
    before = torch.get_num_threads()
    parameters = list(network.parameters())
    on_cpu = all(parameter.device.type == "cpu" for parameter in parameters)
    convolutional = any(parameter.ndim > 2 for parameter in parameters)
    small = batch_size * sum(parameter.numel() for parameter in parameters) < WORTH_SHARING
    if on_cpu and (convolutional or small):
        torch.set_num_threads(1)
    try:
        with ThreadPool(min(MOST, before) if on_cpu and convolutional else 1) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)
