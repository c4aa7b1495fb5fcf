"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagfit.errors import TrainingDivergedError
from tagfit.models.layers import Standardise
from tagfit.recipes import Training
from tagfit.records.data import Part
from tagfit.training import checkpoint
from tagfit.training.batches import LabelledRows
from tagfit.training.events import EpochEnded, Listener, StepEnded
from tagfit.training.inference import logits_of
from tagfit.training.steps import Steps
from tagfit.training.stopping import EarlyStopping
from tagfit.training.thread_pool import thread_pool_for

#: a step's loss this many times above the first step's (or above 1, if that is more) has exploded
EXPLODED = 1e4

#: losses that are left on the device before they are looked at: small tensors that lie between large ones keep memory
LOSSES_AT_ONCE = 256

Row = Mapping[str, float | None]


@dataclass(frozen=True)
class Judge:
    """What an epoch is judged by: a score of the probabilities (n, L) of train or val, and its name.

    Attributes:
        val_loss: what early stopping looks at, of the probabilities of val; None: the recipe's loss.
        train_every: so many epochs lie between two scores of train, for a curve of it; 0: only a ceiling asks for them.
    """

    metric: str
    score: Callable[[Part, NDArray[np.float32]], float | None]
    val_loss: Callable[[NDArray[np.float32]], float] | None = None
    train_every: int = 0

    def sees_train(self, training: Training, epoch: int) -> bool:
        """Whether train is scored at the end of this epoch."""
        return training.train_ceiling < 1 or (self.train_every > 0 and epoch % self.train_every == 0)


@dataclass(frozen=True)
class Trained:
    """How a training went; the network itself holds the delivered weights.

    Attributes:
        history: a row an epoch: epoch (from 1), train_loss (the mean over the epoch's steps, in training mode, as
            training logs show it), val_loss and the judge's score of val (in inference mode, at the epoch's end), its
            score of train where it looked at train, seconds.
        delivered_epoch: the epoch whose weights were delivered.
        state: `finished`, or `stopped` where a listener or ctrl-C asked for it; `pruned` is a search's word for the
            latter.
    """

    history: tuple[Row, ...]
    delivered_epoch: int
    state: Literal["finished", "stopped", "pruned"]


def train(
    network: nn.Module,
    training: Training,
    train_rows: LabelledRows,
    val_rows: LabelledRows,
    *,
    seed: int,
    judge: Judge | None = None,
    on_event: Listener = lambda event: None,
    checkpoints: checkpoint.CheckpointStore | None = None,
    steps_type: type[Steps] = Steps,
) -> Trained:
    """Train `network` in place, and leave it in inference mode with the weights to deliver.

    Order of samples, dropout and augmentation depend on `seed` alone, and on generators of their own, one of each
    thread. Called to stop, it delivers the best weights so far (with patience) or those it has reached.

    Args:
        judge: scores every epoch; needed where the recipe has a train ceiling.
        checkpoints: where a checkpoint is kept every few seconds of work. What it holds is gone on with: a training
            that was killed, and goes on on the same machine, ends with the same weights to the bit.
        steps_type: how steps are taken; another one where several processes take them together.

    Raises:
        TrainingDivergedError: a step's loss was NaN, infinite or exploded, or an epoch's val loss not finite.
    """
    prepare(network, train_rows)  # before the network is copied: for each thread, and to be averaged
    with thread_pool_for(network, training.batch_size) as pool:
        steps = steps_type(network, training, train_rows, seed, pool)
        course = _Course(steps, val_rows, judge, on_event, checkpoints)
        state: Literal["finished", "stopped"] = "finished"
        try:
            course.go()
        except (_Stopped, KeyboardInterrupt):
            state = "stopped"
    best = course.stopping.best_weights
    network.load_state_dict(best or steps.judged.state_dict())
    network.eval()
    history = course.history
    return Trained(tuple(history), course.stopping.best_epoch if best else len(history), state)


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


class _Course:
    """Epoch after epoch, from the beginning or from a checkpoint."""

    def __init__(
        self,
        steps: Steps,
        val_rows: LabelledRows,
        judge: Judge | None,
        on_event: Listener,
        checkpoints: checkpoint.CheckpointStore | None,
    ) -> None:
        training = steps.training
        self.stopping = EarlyStopping(training.patience, training.train_ceiling)
        self.history: list[Row] = []
        self._steps, self._training, self._val_rows = steps, training, val_rows
        self._judge, self._on_event, self._checkpoints = judge, on_event, checkpoints
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
        row, losses = self._judged(number, train_loss, began), tuple(self._losses)
        self.history.append(row)
        self._losses, self._seconds = [], 0.0
        self._order_state = steps.order.get_state()
        asked = steps.decide(lambda: bool(self._on_event(EpochEnded(row, losses))))
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
