"""Many dense networks at once: compiled epochs, one network a thread.

`training.loop` trains one network of any kind; this trains dense ones several times as fast, to the same rules, with
random draws of its own. It imports Numba and, where nothing is cached yet, compiles for some seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event

import torch

from tagfit.errors import TrainingDivergedError
from tagfit.recipes import DenseModel, Recipe
from tagfit.training.engine.schedule import Course, Job
from tagfit.training.loop import Trained
from tagfit.training.thread_pool import ThreadPool

__all__ = ["Job", "train_all", "usable"]


def usable(recipe: Recipe, device: str = "cpu") -> bool:
    """Whether this engine can train `recipe` on `device`; `training.loop` trains the others."""
    return (
        isinstance(recipe.model, DenseModel)
        and not recipe.training.augmentation
        and not recipe.training.autocast
        and device == "cpu"
    )


Outcome = Trained | TrainingDivergedError


def train_all(
    jobs: Sequence[Job], *, threads: int | None = None, on_done: Callable[[int, Outcome], None] | None = None
) -> list[Outcome]:
    """Train every network in place, as `training.loop.train` would, and say in the same order how it went.

    A network's weights depend on its job and seed alone: not on the number of threads, nor on the other jobs.
    Interrupted, every job ends after its epoch, and those that have not begun stay as they are.

    Args:
        threads: networks trained at a time; as many as torch would use unless given.
        on_done: told the number of a job that is over and how it went, from the thread that trained it.
    """
    stop = Event()
    outcomes: list[Outcome] = [Trained((), 0, "stopped") for _ in jobs]

    def train(number: int) -> None:
        try:
            outcomes[number] = Course(jobs[number]).go(stop)
        except TrainingDivergedError as error:
            outcomes[number] = error
        if on_done is not None:
            on_done(number, outcomes[number])

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
    return outcomes
