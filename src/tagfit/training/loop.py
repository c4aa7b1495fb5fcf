"""The training loop."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagfit.errors import TrainingDivergedError
from tagfit.models.layers import Standardise
from tagfit.training import checkpoint
from tagfit.training.batches import LabelledRows
from tagfit.training.events import EpochEnded, StepEnded
from tagfit.training.inference import logits_of
from tagfit.training.job import PreparedJob, Row, TrainingResult, TrainingState
from tagfit.training.steps import Steps
from tagfit.training.stopping import EarlyStopping
from tagfit.training.thread_pool import thread_pool_for

#: a step's loss this many times above the first step's (or above 1, if that is more) has exploded
EXPLODED = 1e4

#: losses that are left on the device before they are looked at: small tensors that lie between large ones keep memory
LOSSES_AT_ONCE = 256


def train(job: PreparedJob, *, steps_type: type[Steps] = Steps) -> TrainingResult:
    """Train a network in place, and leave it in inference mode with the weights to deliver.

    Order of samples, dropout and augmentation depend on the job's seed alone, and on generators of their own, one of
    each thread. Called to stop, it delivers the best weights so far (with patience) or those it has reached. It
    diverges where a step's loss is NaN, infinite or exploded, or an epoch's val loss not finite.

    Args:
        steps_type: how steps are taken; another one where several processes take them together.
    """
    network = job.network
    prepare(network, job.train_rows)  # before the network is copied: for each thread, and to be averaged
    with thread_pool_for(network, job.training.batch_size) as pool:
        steps = steps_type(network, job.training, job.train_rows, job.seed, pool)
        epochs = _Epochs(steps, job)
        state: TrainingState = "finished"
        try:
            epochs.go()
        except (_Stopped, KeyboardInterrupt):
            state = "stopped"
        except TrainingDivergedError as error:
            return TrainingResult.diverged(network, error)
    best = epochs.stopping.best_weights
    network.load_state_dict(best or steps.judged.state_dict())
    network.eval()
    history = epochs.history
    return TrainingResult(network, tuple(history), epochs.stopping.best_epoch if best else len(history), state)


def prepare(network: nn.Module, rows: LabelledRows) -> None:
    """Fit the layers that look at train before training begins."""
    for layer in network.modules():
        if isinstance(layer, Standardise):
            layer.fit(rows.samples.take(rows.rows_N[part]) for part in rows.in_order())


def bad_step(losses: NDArray[np.float64], first_loss: float) -> int | None:
    """The first of the steps' losses that is NaN, infinite or has exploded.

    Args:
        first_loss: of the training's first step.
    """
    bad = ~np.isfinite(losses) | (losses > EXPLODED * max(1.0, first_loss))
    return int(np.argmax(bad)) if bad.any() else None


class _Stopped(Exception):  # noqa: N818 (nothing went wrong)
    """A listener asked training to stop."""


class _Epochs:
    """Epoch after epoch, from the beginning or from a checkpoint."""

    def __init__(self, steps: Steps, job: PreparedJob) -> None:
        training = steps.training
        self.stopping = EarlyStopping(training.patience, training.train_ceiling)
        self.history: list[Row] = []
        self._steps, self._training, self._val_rows = steps, training, job.val_rows
        self._judge, self._on_event, self._checkpoints = job.judge, job.on_event, job.checkpoints
        self._order_state = steps.order.get_state()
        self._losses: list[float] = []
        self._pending: list[Tensor] = []
        self._first_loss = math.nan
        self._seconds = 0.0
        self._clock = checkpoint.Clock()

    def go(self) -> None:
        self._resume()
        while len(self.history) < self._training.epochs and not self.stopping.over:
            self._epoch(len(self.history) + 1)

    def _epoch(self, number: int) -> None:
        began = time.perf_counter() - self._seconds
        steps, training = self._steps, self._training
        batches = steps.batches(number)
        steps.network.train()
        for batch in batches[len(self._losses) :]:
            self._pending.append(steps.step(batch))
            asked, due = steps.decide(lambda: (bool(self._on_event(StepEnded(steps.done))), self._clock.due()))
            if len(self._pending) == LOSSES_AT_ONCE:
                self._settle(number)
            if asked or (self._checkpoints is not None and due):
                self._settle(number)
                self._seconds = time.perf_counter() - began
                self._save()
            if asked:
                raise _Stopped
        self._settle(number)
        train_loss = float(np.average(self._losses, weights=[len(batch) for batch in batches]))
        row = self._judged(number, train_loss, began)
        self.history.append(row)
        self._losses, self._seconds = [], 0.0
        self._order_state = steps.order.get_state()
        asked = steps.decide(lambda: bool(self._on_event(EpochEnded(row))))
        if asked and len(self.history) < training.epochs and not self.stopping.over:
            self._save()
            raise _Stopped

    def _judged(self, epoch: int, train_loss: float, began: float) -> Row:
        """The row of an epoch, of which early stopping has taken note."""
        steps, judge = self._steps, self._judge
        val_loss, scores = steps.decide(lambda: self._scores(epoch))
        if not math.isfinite(val_loss):
            raise TrainingDivergedError(steps.done, epoch, val_loss)
        on_train = None if judge is None else scores.get(f"train_{judge.metric}")
        self.stopping.note(epoch, val_loss, on_train, steps.judged)
        seconds = time.perf_counter() - began
        return {"epoch": epoch, "train_loss": train_loss, "val_loss": val_loss, **scores, "seconds": seconds}

    def _scores(self, epoch: int) -> tuple[float, dict[str, float | None]]:
        """The loss of val, and the judge's scores; no scores where the loss is not finite."""
        steps, judge, rows = self._steps, self._judge, self._val_rows
        logits = logits_of(steps.judged, rows, steps.pool)
        val_loss, predictions = float(steps.loss_of(logits, rows.targets_NL, rows.known_NL)), _probabilities(logits)
        if judge is None or not math.isfinite(val_loss):
            return val_loss, {}
        if judge.val_loss is not None:
            val_loss = judge.val_loss(predictions)
        scores = {f"val_{judge.metric}": judge.score("val", predictions)}
        if judge.sees_train(self._training, epoch):
            train = logits_of(steps.judged, steps.rows, steps.pool)
            scores[f"train_{judge.metric}"] = judge.score("train", _probabilities(train))
        return val_loss, scores

    def _settle(self, epoch: int) -> None:
        """Look at the losses of the last steps: not at each, so that a GPU need not wait; the bad one is named."""
        values = torch.stack(self._pending).double().cpu().numpy() if self._pending else np.empty(0)
        self._pending = []
        if math.isnan(self._first_loss) and len(values):
            self._first_loss = float(values[0])
        if (bad := bad_step(values, self._first_loss)) is not None:
            raise TrainingDivergedError(self._steps.done - len(values) + bad + 1, epoch, float(values[bad]))
        self._losses += values.tolist()

    def _save(self) -> None:
        if self._checkpoints is None:
            return
        began = time.monotonic()
        tensors = {
            **self._steps.tensors(),
            **checkpoint.under("best", self.stopping.best_weights),
            "order": self._order_state,
        }
        facts: dict[str, Any] = {
            "crew": self._steps.pool.size,
            "done": self._steps.done,
            "history": self.history,
            "losses": self._losses,
            "first_loss": self._first_loss,
            "seconds": self._seconds,
            "stopping": self.stopping.facts(),
        }
        self._checkpoints.save(checkpoint.pack(tensors, facts))
        self._clock.saved(began)

    def _resume(self) -> None:
        """Restore the checkpoint, if there is one and as many threads made it."""
        tensors, facts = checkpoint.kept(self._checkpoints) or ({}, {})
        if facts.get("crew") != self._steps.pool.size:
            return
        self._steps.restore(tensors, facts["done"])
        self._order_state = tensors["order"]
        self._steps.order.set_state(self._order_state)
        self.history, self._losses = list(facts["history"]), list(facts["losses"])
        self._first_loss, self._seconds = facts["first_loss"], facts["seconds"]
        self.stopping.restore(facts["stopping"], checkpoint.of("best", tensors))


def _probabilities(logits: Tensor) -> NDArray[np.float32]:
    return torch.sigmoid(logits).float().cpu().numpy()
