"""How long a training would take, from a little of it timed here and now."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch

from tagfit.errors import TrainingDivergedError
from tagfit.training import engine as dense_engine
from tagfit.training.inference import logits_of
from tagfit.training.job import PreparedJob
from tagfit.training.steps import Steps
from tagfit.training.thread_pool import thread_pool_for

TIMED_STEPS, TIMED_PASSES = 7, 3

#: rows of a pass that is timed; a longer one is scaled up from it
TIMED_ROWS = 256

#: epochs of the compiled engine that are timed, after a first, and of how many rows of train at most
TIMED_EPOCHS, ROWS_OF_AN_EPOCH = 2, 2048


def longest_training(job: PreparedJob) -> float:
    """Seconds that all epochs of a job would take the torch loop, without early stopping; its network is used up."""
    network, training, train_rows, val_rows = job.network, job.training, job.train_rows, job.val_rows
    batch = torch.arange(min(training.batch_size, len(train_rows)))
    network.train()
    with thread_pool_for(network, training.batch_size) as pool:
        steps = Steps(network, training, train_rows, 0, pool)
        a_step = _typical_seconds(lambda: steps.step(batch), TIMED_STEPS)
        some = val_rows.first(TIMED_ROWS)
        a_row = _typical_seconds(lambda: logits_of(network, some, pool), TIMED_PASSES) / len(some)
    judged = len(val_rows) + (len(train_rows) if training.train_ceiling < 1 else 0)
    return training.epochs * (steps.per_epoch * a_step + judged * a_row)


def longest_compiled(job: PreparedJob) -> float:
    """The same, by the compiled engine on one thread."""
    share = min(1.0, ROWS_OF_AN_EPOCH / len(job.train_rows))
    some, few = (rows.first(max(1, round(share * len(rows)))) for rows in (job.train_rows, job.val_rows))
    short = replace(job.training, epochs=1 + TIMED_EPOCHS, patience=0)
    began = time.perf_counter()
    result = dense_engine.train_all([PreparedJob(job.network, short, some, few)])[0]
    if isinstance(result.error, TrainingDivergedError):
        an_epoch = (time.perf_counter() - began) / result.error.epoch
    elif result.state == "stopped":
        raise KeyboardInterrupt
    else:
        an_epoch = median(row["seconds"] or 0.0 for row in result.history[1:])
    return job.training.epochs * an_epoch / share


def _typical_seconds(action: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return median(seconds)
