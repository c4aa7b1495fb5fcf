"""One training, epoch after epoch: what `training.loop` does, with compiled steps."""

from __future__ import annotations

import math
import time
from threading import Event
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tagfit.errors import TrainingDivergedError
from tagfit.models.dense import DenseNetwork
from tagfit.models.losses import FLOOR, MIDDLE, STEEPNESS, Formula, Loss, loss_for
from tagfit.recipes import Training
from tagfit.training.averaging import share_at
from tagfit.training.engine import kernels
from tagfit.training.engine.flat import FlatNetwork
from tagfit.training.events import EpochEnded
from tagfit.training.job import PreparedJob, Row, TrainingResult, TrainingState
from tagfit.training.loop import bad_step, prepare
from tagfit.training.optimiser import BETA_1, BETA_2, EPSILON
from tagfit.training.schedule import SCHEDULES
from tagfit.training.steps import epoch_order, mixed
from tagfit.training.stopping import EarlyStopping


class CompiledTraining:
    """A training from its first epoch to its last."""

    def __init__(self, job: PreparedJob) -> None:
        training, count = job.training, len(job.train_rows)
        prepare(job.network, job.train_rows)
        self.job = job
        self._stopping = EarlyStopping(training.patience, training.train_ceiling)
        self._history: list[Row] = []
        self._first_loss = math.nan
        self._order = torch.Generator().manual_seed(job.seed)
        self._flat = FlatNetwork(cast(DenseNetwork, job.network), min(training.batch_size, count))
        self._memory = self._flat.memory(averaged=training.averaging > 0)
        self._train, self._val = self._flat.data(job.train_rows), self._flat.data(job.val_rows)
        self._per_epoch = math.ceil(count / training.batch_size)
        self._loss = loss_for(training.loss, job.train_rows.targets_NL, job.train_rows.known_NL)
        self._rules = rules_of(training, training.epochs * self._per_epoch, self._loss)
        self._key = np.uint64(mixed(job.seed, 0))

    def go(self, stop: Event) -> TrainingResult:
        """Train until the end, or until the epoch is over in which `stop` was set; ctrl-C sets it."""
        state: TrainingState = "finished"
        job, stopping = self.job, self._stopping
        try:
            while len(self._history) < job.training.epochs and not stopping.over:
                if stop.is_set() or self._epoch(len(self._history) + 1):
                    state = "stopped"
                    break
        except KeyboardInterrupt:
            stop.set()
            state = "stopped"
        except TrainingDivergedError as error:
            return TrainingResult.diverged(job.network, error, engine="compiled")
        if best := stopping.best_weights:
            job.network.load_state_dict(best)
        job.network.eval()
        history = tuple(self._history)
        return TrainingResult(
            job.network,
            history,
            stopping.best_epoch if best else len(history),
            state,
            engine="compiled",
            seconds=sum(row["seconds"] or 0.0 for row in history),
        )

    def _epoch(self, number: int) -> bool:
        """Train for an epoch and note it; whether the listener asked to stop before the end."""
        began = time.perf_counter()
        job, memory = self.job, self._memory
        done, batch = len(self._history) * self._per_epoch, job.training.batch_size
        order = epoch_order(len(job.train_rows), self._order).numpy()
        losses = kernels.epoch(self._flat.net, self._train, memory, self._rules, order, batch, done, self._key)
        if number == 1:
            self._first_loss = float(losses[0])
        if (bad := bad_step(losses, self._first_loss)) is not None:
            raise TrainingDivergedError(done + bad + 1, number, float(losses[bad]))
        sizes = np.minimum(batch, len(order) - batch * np.arange(len(losses)))
        train_loss = float(np.average(losses, weights=sizes))
        row = self._judged(number, train_loss, done + len(losses), began)
        self._history.append(row)
        asked = job.on_event(EpochEnded(row))
        return bool(asked) and number < job.training.epochs and not self._stopping.over

    def _judged(self, epoch: int, train_loss: float, done: int, began: float) -> Row:
        """The row of an epoch, of which early stopping has taken note."""
        job = self.job
        self._flat.write_back(self._memory.average if job.training.averaging else self._memory.state)
        logits = self._logits(self._val)
        val_loss = float(self._loss(logits, job.val_rows.targets_NL, job.val_rows.known_NL))
        if job.judge is not None and job.judge.val_loss is not None and math.isfinite(val_loss):
            val_loss = job.judge.val_loss(_probabilities(logits))
        if not math.isfinite(val_loss):
            raise TrainingDivergedError(done, epoch, val_loss)
        row: dict[str, float | None] = {"epoch": epoch, "train_loss": train_loss, "val_loss": val_loss}
        on_train = None
        if job.judge is not None:
            row[f"val_{job.judge.metric}"] = job.judge.score("val", _probabilities(logits))
            if job.judge.sees_train(job.training, epoch):
                on_train = job.judge.score("train", _probabilities(self._logits(self._train)))
                row[f"train_{job.judge.metric}"] = on_train
        self._stopping.note(epoch, val_loss, on_train, job.network)
        return {**row, "seconds": time.perf_counter() - began}

    def _logits(self, data: kernels.Data) -> Tensor:
        """(n, L), by the weights that are judged."""
        memory = self._memory
        logits = np.empty(data.targets.shape, self._flat.dtype)
        state = memory.average if len(memory.average) else memory.state
        kernels.infer(self._flat.net, data, state, memory.work, logits)
        return torch.from_numpy(logits).float()


def rules_of(training: Training, steps: int, loss: Loss) -> kernels.Rules:
    """The recipe for the compiled loops; `steps` of the whole training."""
    course, numbers = SCHEDULES[training.schedule], np.arange(1, steps + 1)
    shares = [share_at(step, training.averaging) for step in numbers.tolist()] if training.averaging else []
    return kernels.Rules(
        rates=training.rate * np.array([course(done / steps) for done in range(steps)]),
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


def _probabilities(logits: Tensor) -> NDArray[np.float32]:
    return torch.sigmoid(logits).numpy()
