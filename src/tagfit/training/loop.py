"""The training loop."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tagfit.errors import TrainingDivergedError
from tagfit.models.layers import Standardise
from tagfit.records.data import Part
from tagfit.training import checkpoint
from tagfit.training.batches import LabelledRows
from tagfit.training.events import EpochEnded, StepEnded
from tagfit.training.inference import logits_of
from tagfit.training.job import PreparedJob, TrainingResult, TrainingState
from tagfit.training.progress import Progress, ProgressFacts
from tagfit.training.steps import Steps
from tagfit.training.thread_pool import thread_pool_for

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
    prepare(job.network, job.train_rows)  # before the network is copied: for each thread, and to be averaged
    with thread_pool_for(job.network, job.training.batch_size) as pool:
        steps = steps_type(job.network, job.training, job.train_rows, job.seed, pool)
        epochs = _Epochs(steps, job)
        state: TrainingState = "finished"
        try:
            epochs.go()
        except (_Stopped, KeyboardInterrupt):
            state = "stopped"
        except TrainingDivergedError as error:
            return TrainingResult(job.network, state="diverged", error=error)
    return epochs.progress.result(steps.judged, state, "torch")


def prepare(network: nn.Module, rows: LabelledRows) -> None:
    """Fit the layers that look at train before training begins."""
    for layer in network.modules():
        if isinstance(layer, Standardise):
            layer.fit(rows.samples.take(rows.rows_N[part]) for part in rows.in_order())


class _Stopped(Exception):  # noqa: N818 (nothing went wrong)
    """A listener asked training to stop."""


@dataclass(frozen=True)
class _Facts:
    """What a checkpoint holds beside tensors; the losses are those of the epoch at work."""

    threads: int
    done: int
    losses: tuple[float, ...]
    seconds: float
    progress: ProgressFacts


class _Epochs:
    """Epoch after epoch, from the beginning or from a checkpoint."""

    def __init__(self, steps: Steps, job: PreparedJob) -> None:
        self.progress = Progress(job)
        self._steps, self._on_event, self._checkpoints = steps, job.on_event, job.checkpoints
        self._rows: dict[Part, LabelledRows] = {"train": steps.rows, "val": job.val_rows}
        self._order_state = steps.order.get_state()
        self._losses: list[float] = []
        self._pending: list[Tensor] = []
        self._seconds = 0.0
        self._clock = checkpoint.Clock()

    def go(self) -> None:
        self._resume()
        while not self.progress.over:
            self._epoch()

    def _epoch(self) -> None:
        progress, steps = self.progress, self._steps
        progress.began = time.perf_counter() - self._seconds
        batches = steps.batches(progress.epoch)
        steps.network.train()
        for batch in batches[len(self._losses) :]:
            self._pending.append(steps.step(batch))
            asked, due = steps.decide(lambda: (bool(self._on_event(StepEnded(steps.done))), self._clock.due()))
            save = asked or (due and self._checkpoints is not None)
            if save or len(self._pending) == LOSSES_AT_ONCE:
                self._settle()
            if save:
                self._seconds = time.perf_counter() - progress.began
                self._save()
            if asked:
                raise _Stopped
        self._settle()
        train_loss = float(np.average(self._losses, weights=[len(batch) for batch in batches]))
        evaluation = steps.decide(lambda: progress.evaluate(steps.loss_of, self._logits))
        row = progress.end_epoch(train_loss, evaluation, steps.judged, steps.done)
        self._losses, self._seconds = [], 0.0
        self._order_state = steps.order.get_state()
        asked = steps.decide(lambda: bool(self._on_event(EpochEnded(row))))
        if asked and not progress.over:
            self._save()
            raise _Stopped

    def _logits(self, part: Part) -> Tensor:
        return logits_of(self._steps.judged, self._rows[part], self._steps.pool)

    def _settle(self) -> None:
        """Look at the losses of the last steps: not at each, so that a GPU need not wait."""
        values = torch.stack(self._pending).double().cpu().numpy() if self._pending else np.empty(0)
        self._pending = []
        self.progress.check(values, self._steps.done)
        self._losses += values.tolist()

    def _save(self) -> None:
        if self._checkpoints is None:
            return
        began, steps = time.monotonic(), self._steps
        best = checkpoint.under("best", self.progress.stopping.best_weights)
        tensors = {**steps.tensors(), **best, "order": self._order_state}
        facts = _Facts(steps.pool.size, steps.done, tuple(self._losses), self._seconds, self.progress.facts())
        self._checkpoints.save(checkpoint.pack(tensors, facts))
        self._clock.saved(began)

    def _resume(self) -> None:
        """Restore the checkpoint, if there is one and as many threads made it."""
        tensors, facts = checkpoint.kept_of(_Facts, self._checkpoints)
        if facts is None or facts.threads != self._steps.pool.size:
            return
        self._steps.restore(tensors, facts.done)
        self._order_state = tensors["order"]
        self._steps.order.set_state(self._order_state)
        self._losses, self._seconds = list(facts.losses), facts.seconds
        self.progress.restore(facts.progress, checkpoint.of("best", tensors))
