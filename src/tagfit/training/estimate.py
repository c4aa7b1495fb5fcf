"""How long a training would take, from a few steps timed here and now."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from tagfit.recipes import Training
from tagfit.training.batches import LabelledRows
from tagfit.training.inference import logits_of
from tagfit.training.steps import Steps
from tagfit.training.threads import crew_for

TIMED_STEPS, TIMED_PASSES = 7, 3

#: rows of a pass that is timed; a longer one is scaled up from it
TIMED_ROWS = 256


def longest_training(network: nn.Module, training: Training, train_rows: LabelledRows, val_rows: LabelledRows) -> float:
    """Seconds that all epochs of `training` would take, without early stopping; `network` is used up."""
    batch = torch.arange(min(training.batch_size, len(train_rows)))
    network.train()
    with crew_for(network, training.batch_size) as crew:
        steps = Steps(network, training, train_rows, 0, crew)
        a_step = _typical_seconds(lambda: steps.step(batch), TIMED_STEPS)
        some = val_rows.first(TIMED_ROWS)
        a_row = _typical_seconds(lambda: logits_of(network, some, crew), TIMED_PASSES) / len(some)
    judged = len(val_rows) + (len(train_rows) if training.train_ceiling < 1 else 0)
    return training.epochs * (steps.per_epoch * a_step + judged * a_row)


def _typical_seconds(action: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return median(seconds)
