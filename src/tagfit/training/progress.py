"""How far a training has come, whoever takes its steps: its history, when it ends, and whose weights are delivered."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagfit.errors import TrainingDivergedError
from tagfit.models.losses import Loss
from tagfit.records.data import Part
from tagfit.records.runs import Row
from tagfit.training.job import Engine, PreparedJob, TrainingResult, TrainingState

#: a step's loss this many times above the first step's (or above 1, if that is more) has exploded
EXPLODED = 1e4

#: the loss of val, and the judge's scores by their names in the history
Evaluation = tuple[float, Mapping[str, float | None]]


@dataclass
class EarlyStopping:
    """Two rules.

    Keras's: stop once `patience` epochs in a row brought no val loss below the best, and deliver the best; 0 never
    stops and delivers the last. The ceiling: stop at the first epoch whose score on train reaches it, and do not
    deliver that one, unless it is the first of all; 1 never stops.

    Attributes:
        best_epoch: the epoch (from 1) to deliver so far.
        best_weights: parameters and buffers of that epoch, where one of the rules is on.
        over: whether training should end.
    """

    patience: int
    train_ceiling: float = 1.0
    best_loss: float = math.inf
    best_epoch: int = 0
    best_weights: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    over: bool = False

    def note(self, epoch: int, val_loss: float, on_train: float | None, network: nn.Module) -> None:
        """Take note of an epoch.

        Args:
            on_train: its score on train; not needed where there is no ceiling.
        """
        if self.train_ceiling < 1 and on_train is not None and on_train >= self.train_ceiling and epoch > 1:
            self.over = True
            return
        if val_loss < self.best_loss or not self.patience:
            self.best_loss, self.best_epoch = val_loss, epoch
            if self.patience or self.train_ceiling < 1:
                state = network.state_dict()
                self.best_weights = {name: tensor.detach().clone() for name, tensor in state.items()}
        self.over = bool(self.patience) and epoch - self.best_epoch >= self.patience


@dataclass(frozen=True)
class ProgressFacts:
    """What a checkpoint holds of a training's progress, beside the best weights."""

    history: tuple[Row, ...]
    first_loss: float
    best_loss: float
    best_epoch: int
    over: bool


class Progress:
    """The epochs of one training, judged as they end.

    Attributes:
        began: when the epoch began, in seconds of `time.perf_counter`.
        first_loss: of the first step; NaN before it.
    """

    def __init__(self, job: PreparedJob) -> None:
        self._job, self._judge = job, job.judge
        self.stopping = EarlyStopping(job.training.patience, job.training.train_ceiling)
        self.history: list[Row] = []
        self.first_loss = math.nan
        self.began = 0.0

    @property
    def epoch(self) -> int:
        """The number of the epoch at work, from 1."""
        return len(self.history) + 1

    @property
    def over(self) -> bool:
        return self.stopping.over or len(self.history) >= self._job.training.epochs

    def check(self, losses: NDArray[np.float64], done: int) -> None:
        """Look at the losses of the last steps, of which `done` have been taken in all.

        Raises:
            TrainingDivergedError: one is NaN, infinite or has exploded; it names the first.
        """
        if math.isnan(self.first_loss) and len(losses):
            self.first_loss = float(losses[0])
        bad = ~np.isfinite(losses) | (losses > EXPLODED * max(1.0, self.first_loss))
        if bad.any():
            place = int(np.argmax(bad))
            raise TrainingDivergedError(done - len(losses) + place + 1, self.epoch, float(losses[place]))

    def evaluate(self, loss: Loss, logits: Callable[[Part], Tensor]) -> Evaluation:
        """Judge the epoch by the logits (n, L) of val and, if due, of train; no scores where the loss is not finite."""
        judge, val = self._judge, self._job.val_rows
        of_val = logits("val")
        val_loss = float(loss(of_val, val.targets_NL, val.known_NL))
        if judge is None or not math.isfinite(val_loss):
            return val_loss, {}
        predictions = _probabilities(of_val)
        if judge.val_loss is not None:
            val_loss = judge.val_loss(predictions)
        scores = {f"val_{judge.metric}": judge.score("val", predictions)}
        if judge.sees_train(self._job.training, self.epoch):
            scores[f"train_{judge.metric}"] = judge.score("train", _probabilities(logits("train")))
        return val_loss, scores

    def end_epoch(self, train_loss: float, evaluation: Evaluation, network: nn.Module, done: int) -> Row:
        """The epoch's row of the history, once early stopping has taken note of `network`.

        Raises:
            TrainingDivergedError: the loss of val is not finite after `done` steps.
        """
        val_loss, scores = evaluation
        if not math.isfinite(val_loss):
            raise TrainingDivergedError(done, self.epoch, val_loss)
        on_train = None if self._judge is None else scores.get(f"train_{self._judge.metric}")
        self.stopping.note(self.epoch, val_loss, on_train, network)
        losses = {"epoch": self.epoch, "train_loss": train_loss, "val_loss": val_loss}
        self.history.append({**losses, **scores, "seconds": time.perf_counter() - self.began})
        return self.history[-1]

    def facts(self) -> ProgressFacts:
        stopping = self.stopping
        return ProgressFacts(
            tuple(self.history), self.first_loss, stopping.best_loss, stopping.best_epoch, stopping.over
        )

    def restore(self, facts: ProgressFacts, best_weights: Mapping[str, Tensor]) -> None:
        """Go on from where a checkpoint was made."""
        self.history, self.first_loss = list(facts.history), facts.first_loss
        self.stopping = replace(
            self.stopping,
            best_loss=facts.best_loss,
            best_epoch=facts.best_epoch,
            best_weights=best_weights,
            over=facts.over,
        )

    def result(self, judged: nn.Module, state: TrainingState, engine: Engine) -> TrainingResult:
        """The job's network with the best weights or, where no rule has chosen any, those of `judged`."""
        network, best = self._job.network, self.stopping.best_weights
        network.load_state_dict(best or judged.state_dict())
        network.eval()
        delivered = self.stopping.best_epoch if best else len(self.history)
        seconds = sum(row["seconds"] or 0.0 for row in self.history)
        return TrainingResult(network, tuple(self.history), delivered, state, engine, seconds)


def _probabilities(logits: Tensor) -> NDArray[np.float32]:
    return torch.sigmoid(logits).float().cpu().numpy()
