"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagfit.errors import TrainingDivergedError
from tagfit.models.losses import LOSSES
from tagfit.recipes import Training
from tagfit.training.batches import LabelledRows
from tagfit.training.events import EpochEnded, Listener, StepEnded
from tagfit.training.inference import loss_and_probabilities
from tagfit.training.optimiser import KerasAdam
from tagfit.training.stopping import EarlyStopping
from tagfit.training.threads import threads_for

#: a step's loss this many times above the first step's (or above 1, if that is more) has exploded
EXPLODED = 1e4

#: val probabilities (n, L) -> further columns of the history, e.g. {"val_micro_f1": 0.8}
ScoreVal = Callable[[NDArray[np.float32]], Mapping[str, float | None]]


@dataclass(frozen=True)
class Trained:
    """How a training went; the network itself holds the delivered weights.

    Attributes:
        history: a row an epoch: epoch (from 1), train_loss (the mean over the epoch's steps, in training mode, as
            training logs show it), val_loss and the val scores (in inference mode, at the epoch's end), seconds.
        delivered_epoch: the epoch whose weights were delivered.
        state: `finished`, or `stopped` where a listener or ctrl-C asked for it.
    """

    history: tuple[Mapping[str, float | None], ...]
    delivered_epoch: int
    state: Literal["finished", "stopped"]


def train(
    network: nn.Module,
    training: Training,
    train_rows: LabelledRows,
    val_rows: LabelledRows,
    *,
    seed: int,
    score_val: ScoreVal = lambda probabilities: {},
    on_event: Listener = lambda event: None,
) -> Trained:
    """Train `network` in place, and leave it in inference mode with the weights to deliver.

    Order of samples and dropout depend on `seed` alone; torch's global random state comes back as it was. Called to
    stop, it delivers the best weights so far (with patience) or those it has reached.

    Raises:
        TrainingDivergedError: a step's loss was NaN, infinite or exploded, or an epoch's val loss not finite.
    """
    stopping = EarlyStopping(training.patience)
    history: list[Mapping[str, float | None]] = []
    state: Literal["finished", "stopped"] = "finished"
    with _own_random_state(seed, train_rows.targets_NL.device), threads_for(network, training.batch_size):
        steps = Steps(network, training, train_rows, on_event)
        try:
            for epoch in range(1, training.epochs + 1):
                began = time.perf_counter()
                losses, train_loss = steps.epoch(epoch)
                val_loss, val_probabilities = loss_and_probabilities(network, val_rows, LOSSES[training.loss])
                if not math.isfinite(val_loss):
                    raise TrainingDivergedError(steps.done, epoch, val_loss)
                row = {
                    "epoch": epoch,
                    "train_loss": train_loss,
                    "val_loss": val_loss,
                    **score_val(val_probabilities),
                    "seconds": time.perf_counter() - began,
                }
                history.append(row)
                enough = stopping.should_stop(epoch, val_loss, network) or epoch == training.epochs
                asked = on_event(EpochEnded(row, losses))
                if enough:
                    break
                if asked:
                    raise _Stopped
        except (_Stopped, KeyboardInterrupt):
            state = "stopped"
    if stopping.best_weights:
        network.load_state_dict(stopping.best_weights)
    network.eval()
    return Trained(tuple(history), stopping.best_epoch if stopping.best_weights else len(history), state)


class _Stopped(Exception):  # noqa: N818 (nothing went wrong)
    """A listener asked training to stop."""


@dataclass
class Steps:
    """Optimiser steps, epoch by epoch."""

    network: nn.Module
    training: Training
    rows: LabelledRows
    on_event: Listener
    done: int = 0
    first_loss: float = math.nan

    def __post_init__(self) -> None:
        self.adam = KerasAdam(self.network, self.training)
        self.loss_of = LOSSES[self.training.loss]

    def epoch(self, number: int) -> tuple[tuple[float, ...], float]:
        """Go once over train; the loss of every step, and their mean by samples, as Keras logs it."""
        self.network.train()
        batches = torch.split(epoch_order(len(self.rows)), self.training.batch_size)
        losses: list[Tensor] = []
        try:
            for batch in batches:
                losses.append(self.step(batch))
                if self.on_event(StepEnded(self.done)):
                    raise _Stopped
        finally:
            values = self._checked(losses, number)
        return tuple(values.tolist()), float(np.average(values, weights=[len(batch) for batch in batches]))

    def step(self, batch: Tensor) -> Tensor:
        """One step on the rows at `batch`; its loss, still on the device."""
        x, targets, known = self.rows.take(batch)
        loss = self.loss_of(self.network(x), _smoothed(targets, self.training.label_smoothing), known)
        loss.backward()  # type: ignore[no-untyped-call]
        self.adam.step()
        self.done += 1
        return loss.detach()

    def _checked(self, losses: list[Tensor], epoch: int) -> NDArray[np.float64]:
        """Losses are looked at once an epoch, so that a GPU need not wait for each; the step is named all the same."""
        values: NDArray[np.float64] = torch.stack(losses).double().cpu().numpy() if losses else np.empty(0)
        if math.isnan(self.first_loss) and len(values):
            self.first_loss = float(values[0])
        bad = ~np.isfinite(values) | (values > EXPLODED * max(1.0, self.first_loss))
        if bad.any():
            first = int(np.argmax(bad))
            raise TrainingDivergedError(self.done - len(values) + first + 1, epoch, float(values[first]))
        return values


@contextmanager
def _own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def epoch_order(count: int) -> Tensor:
    """(count,) int64: the order in which an epoch takes its samples."""
    return torch.randperm(count)


def _smoothed(targets_BL: Tensor, smoothing: float) -> Tensor:
    return targets_BL if smoothing == 0 else targets_BL * (1 - smoothing) + smoothing / 2
