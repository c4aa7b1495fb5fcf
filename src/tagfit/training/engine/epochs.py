"""One training, epoch after epoch: what `training.loop` does, with compiled steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from threading import Event
from typing import cast

import numpy as np
import torch
from torch import Tensor

from tagfit.errors import TrainingDivergedError
from tagfit.models.dense import DenseNetwork
from tagfit.models.losses import FLOOR, MIDDLE, STEEPNESS, Formula, Loss, loss_for
from tagfit.recipes import Training
from tagfit.records.data import Part
from tagfit.training import checkpoint
from tagfit.training.engine import kernels
from tagfit.training.engine.flat import FlatNetwork
from tagfit.training.events import EpochEnded
from tagfit.training.job import PreparedJob, TrainingResult, TrainingState
from tagfit.training.loop import prepare
from tagfit.training.optimiser import BETA_1, BETA_2, EPSILON, SCHEDULES, share_at
from tagfit.training.progress import Progress, ProgressFacts
from tagfit.training.steps import epoch_order, mixed

#: of the compiled loops' memory, what outlives a step
_KEPT = ("state", "average", "first", "second")


@dataclass(frozen=True)
class _EpochEnd:
    """What a checkpoint holds beside tensors: after how many steps it was made, at the end of an epoch."""

    compiled_steps: int
    progress: ProgressFacts


class CompiledTraining:
    """A training from its first epoch, or from a checkpoint, to its last."""

    def __init__(self, job: PreparedJob) -> None:
        training, count = job.training, len(job.train_rows)
        prepare(job.network, job.train_rows)
        self._job, self._progress = job, Progress(job)
        self._order = torch.Generator().manual_seed(job.seed)
        self._flat = FlatNetwork(cast(DenseNetwork, job.network), min(training.batch_size, count))
        self._memory = self._flat.memory(averaged=training.averaging > 0)
        self._judged = self._memory.average if training.averaging else self._memory.state
        self._data: dict[Part, kernels.Data] = {
            "train": self._flat.data(job.train_rows),
            "val": self._flat.data(job.val_rows),
        }
        self._loss = loss_for(training.loss, job.train_rows.targets_NL, job.train_rows.known_NL)
        self._done = 0
        self._epoch_steps = math.ceil(count / training.batch_size)
        self._key = np.uint64(mixed(job.seed, 0))
        self._clock = checkpoint.Clock()
        self._resume()

    def go(self, stop: Event) -> TrainingResult:
        """Train until the end, or until the epoch is over in which `stop` was set; ctrl-C sets it."""
        state: TrainingState = "finished"
        try:
            while not self._progress.over:
                if stop.is_set() or self._epoch():
                    state = "stopped"
                    self._save()
                    break
                if self._clock.due():
                    self._save()
        except KeyboardInterrupt:
            stop.set()
            state = "stopped"
        except TrainingDivergedError as error:
            return TrainingResult(self._job.network, state="diverged", engine="compiled", error=error)
        return self._progress.result(self._job.network, state, "compiled")

    def _epoch(self) -> bool:
        """Train for an epoch and judge it; whether the listener asked to stop before the end."""
        job, progress, batch = self._job, self._progress, self._job.training.batch_size
        progress.began = time.perf_counter()
        order, train = epoch_order(len(job.train_rows), self._order).numpy(), self._data["train"]
        steps = range(self._done, self._done + self._epoch_steps)
        rules = rules_of(job.training, job.training.epochs * self._epoch_steps, self._loss, steps)
        losses = kernels.epoch(self._flat.net, train, self._memory, rules, order, batch, self._done, self._key)
        self._done += len(losses)
        progress.check(losses, self._done)
        sizes = np.minimum(batch, len(order) - batch * np.arange(len(losses)))
        self._flat.write_back(self._judged)
        evaluation = progress.evaluate(self._loss, self._logits)
        row = progress.end_epoch(float(np.average(losses, weights=sizes)), evaluation, job.network, self._done)
        asked = job.on_event(EpochEnded(row))
        return bool(asked) and not progress.over

    def _save(self) -> None:
        """Keep where it is, to the bit: an epoch's draws come of the seed and the number of steps."""
        if self._job.checkpoints is None or not self._progress.history:
            return
        began = time.monotonic()
        memory = {name: torch.from_numpy(getattr(self._memory, name)) for name in _KEPT}
        best = checkpoint.under("best", self._progress.stopping.best_weights)
        tensors = {**checkpoint.under("memory", memory), **best, "order": self._order.get_state()}
        self._job.checkpoints.save(checkpoint.pack(tensors, _EpochEnd(self._done, self._progress.facts())))
        self._clock.saved(began)

    def _resume(self) -> None:
        tensors, facts = checkpoint.kept_of(_EpochEnd, self._job.checkpoints)
        if facts is None:
            return
        for name, kept in checkpoint.of("memory", tensors).items():
            getattr(self._memory, name)[:] = kept.numpy()
        self._order.set_state(tensors["order"])
        self._done = facts.compiled_steps
        self._progress.restore(facts.progress, checkpoint.of("best", tensors))
        self._flat.write_back(self._judged)

    def _logits(self, part: Part) -> Tensor:
        """(n, L), by the weights that are judged."""
        data = self._data[part]
        logits = np.empty(data.targets.shape, self._flat.dtype)
        kernels.infer(self._flat.net, data, self._judged, self._memory.work, logits)
        return torch.from_numpy(logits).float()


def rules_of(training: Training, steps: int, loss: Loss, some: range | None = None) -> kernels.Rules:
    """The recipe for the compiled loops.

    Args:
        steps: of the whole training.
        some: the numbers, from 0, of the steps that come now; all unless given.
    """
    some = range(steps) if some is None else some
    schedule, numbers = SCHEDULES[training.schedule], np.arange(some.start + 1, some.stop + 1)
    shares = [share_at(step, training.averaging) for step in numbers.tolist()] if training.averaging else []
    return kernels.Rules(
        first=some.start,
        rates=training.rate * np.array([schedule(done / steps) for done in some]),
        corrections=np.sqrt(1 - BETA_2**numbers) / (1 - BETA_1**numbers),
        shares=np.array(shares, np.float64),
        beta_1=BETA_1,
        beta_2=BETA_2,
        epsilon=EPSILON,
        weight_decay=float(training.weight_decay),
        smoothing=float(training.label_smoothing),
        clip=float(training.clip),
        form=form_of(loss),
    )


def form_of(loss: Loss) -> kernels.Form:
    """A loss for the compiled loops."""
    nothing = np.empty(0)
    if not isinstance(loss, Formula):
        return kernels.Form(True, nothing, nothing, nothing, nothing, *[0.0] * 9)
    return kernels.Form(
        plain=False,
        yes=loss.yes_L.double().numpy(),
        no=loss.no_L.double().numpy(),
        shift=loss.shift_L.double().numpy(),
        rarity=nothing if loss.rarity_L is None else loss.rarity_L.double().numpy(),
        focus_yes=loss.focus_yes,
        focus_no=loss.focus_no,
        margin=loss.margin,
        sharpness=loss.sharpness,
        unknown=loss.unknown,
        entropy=loss.entropy,
        floor=FLOOR,
        steepness=STEEPNESS,
        middle=MIDDLE,
    )
