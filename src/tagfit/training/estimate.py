"""How long a training would take, from a few steps timed here and now."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from tagfit.recipes import Training
from tagfit.training.batches import LabelledRows
from tagfit.training.inference import loss_and_probabilities
from tagfit.training.steps import Steps
from tagfit.training.threads import crew_for

TIMED_STEPS = 15


def longest_training(network: nn.Module, training: Training, train_rows: LabelledRows, val_rows: LabelledRows) -> float:
    """Seconds that all epochs of `training` would take, without early stopping; `network` is used up."""
    batch = torch.arange(min(training.batch_size, len(train_rows)))
    network.train()
    with crew_for(network, training.batch_size) as crew:
        steps = Steps(network, training, train_rows, 0, crew)
        a_step = _typical_seconds(lambda: steps.step(batch))
        a_val_pass = _typical_seconds(lambda: loss_and_probabilities(network, val_rows, steps.loss_of, crew), times=3)
    return training.epochs * (steps.per_epoch * a_step + a_val_pass)


def _typical_seconds(action: Callable[[], object], times: int = TIMED_STEPS) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return median(seconds)
