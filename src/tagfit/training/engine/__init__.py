"""Many dense networks at once: compiled epochs, one network a thread.

`training.loop` trains one network of any kind; this trains dense ones several times as fast, to the same rules, with
random draws of its own. It imports Numba and, where nothing is cached yet, compiles for some seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event

import torch
from numba import config

from tagfit.io.forks import demand_own_threads
from tagfit.recipes import DenseModel, Recipe
from tagfit.training import loop
from tagfit.training.engine.epochs import CompiledTraining
from tagfit.training.job import PreparedJob, TrainingResult
from tagfit.training.thread_pool import ThreadPool

__all__ = ["train_all", "usable"]


def usable(recipe: Recipe, device: str = "cpu") -> bool:
    """Whether this engine can train `recipe` on `device`; `training.loop` trains the others."""
    return (
        not config.DISABLE_JIT
        and isinstance(recipe.model, DenseModel)
        and not recipe.training.augmentation
        and not recipe.training.autocast
        and device == "cpu"
    )


def train_all(
    jobs: Sequence[PreparedJob],
    *,
    threads: int | None = None,
    on_done: Callable[[int, TrainingResult], None] | None = None,
) -> list[TrainingResult]:
    """Train every network in place, as `training.loop.train` would; the results are in the same order.

    Where NUMBA_DISABLE_JIT is set, `training.loop` trains them, one after the other.

    A network's weights depend on its job and seed alone: not on the number of threads, nor on the other jobs.
    Interrupted, every job ends after its epoch, and those that have not begun stay as they are.

    Args:
        threads: networks trained at a time; as many as torch would use unless given.
        on_done: called with the number of a job that is over and its result, from the thread that trained it.
    """
    demand_own_threads()
    if config.DISABLE_JIT:
        return _by_torch(jobs, on_done)
    stop = Event()
    results = [TrainingResult(job.network, engine="compiled") for job in jobs]

    def train(number: int) -> None:
        results[number] = CompiledTraining(jobs[number]).go(stop)
        if on_done is not None:
            on_done(number, results[number])

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPool(min(threads or before, max(1, len(jobs)))) as pool:
            try:
                pool.map(train, range(len(jobs)))
            except KeyboardInterrupt:
                stop.set()
    finally:
        torch.set_num_threads(before)
    return results


def _by_torch(
    jobs: Sequence[PreparedJob], on_done: Callable[[int, TrainingResult], None] | None
) -> list[TrainingResult]:
    results = [TrainingResult(job.network) for job in jobs]
    for number, job in enumerate(jobs):
        results[number] = loop.train(job)
        if on_done is not None:
            on_done(number, results[number])
        if results[number].state == "stopped":
            break
    return results
