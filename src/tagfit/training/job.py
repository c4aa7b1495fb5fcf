"""The hand-off: a TrainingJob goes in, a TrainingResult comes out, whoever trains: here, compiled, or a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Protocol

import msgspec
from torch import Tensor, nn

from tagfit.errors import TagfitError
from tagfit.recipes import Recipe, Training
from tagfit.records.data import LockedData, Part
from tagfit.records.runs import Row
from tagfit.training import checkpoint
from tagfit.training.batches import LabelledRows
from tagfit.training.events import Listener
from tagfit.training.judge import Judge

Engine = Literal["compiled", "torch"]
TrainingState = Literal["finished", "stopped", "pruned", "diverged", "failed"]

#: what a refit is trained on
REFITTED: tuple[Part, ...] = ("train", "val", "calibrate")


class Pruner(Protocol):
    """Decides whether a training that is not over is worth going on with."""

    def prunes(self, rows: Sequence[Row], epochs: int) -> bool:
        """Whether to stop one of `epochs` epochs after these rows."""
        ...


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """One network to train, on the train and val of `data`.

    Attributes:
        name: for progress bars; `number` of `of` as well, and the `best` score on val so far.
        checkpoints: where its checkpoint is kept, and its result when it is over.
        pruner: stops it early where it is not worth going on.
        curve: whether its history shows train's score as well, some 20 times, where no ceiling asks for it anyhow.
        refit: how many epochs to train on all labelled rows but test, with nothing left to stop it or to score it by.
    """

    recipe: Recipe
    data: LockedData
    seed: int = 0
    name: str = ""
    number: int = 1
    of: int = 1
    best: float | None = None
    checkpoints: checkpoint.CheckpointStore | None = None
    pruner: Pruner | None = None
    curve: bool = False
    refit: int | None = None

    @property
    def training(self) -> Training:
        """How to train it: a refit neither stops early nor restores an earlier epoch."""
        plain = self.recipe.training
        return plain if self.refit is None else replace(plain, patience=0, train_ceiling=1.0)

    @property
    def fitted_parts(self) -> tuple[Part, ...]:
        """The parts that the network learns from."""
        return ("train",) if self.refit is None else REFITTED


def ignore(event: object) -> None:
    """A listener that never asks to stop."""


@dataclass(frozen=True, eq=False)
class PreparedJob:
    """A job made ready for this machine: what a training loop is given.

    Attributes:
        network: trained in place, on its device.
        judge: scores every epoch; needed where the recipe has a train ceiling.
        on_event: told what happens; when it returns True, training stops. The compiled engine reports epochs, not
            steps, from the thread that trains.
        checkpoints: where a checkpoint is kept every few seconds of work. What it holds is gone on with: a training
            that was killed, and goes on on the same machine, ends with the same weights to the bit.
    """

    network: nn.Module
    training: Training
    train_rows: LabelledRows
    val_rows: LabelledRows
    seed: int = 0
    judge: Judge | None = None
    on_event: Listener = ignore
    checkpoints: checkpoint.CheckpointStore | None = None


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """How a training went.

    Attributes:
        network: in inference mode with the weights to deliver; of no use where it diverged or failed.
        history: a row an epoch: epoch (from 1), train_loss (the mean over the epoch's steps, in training mode, as
            training logs show it), val_loss and the judge's score of val (in inference mode, at the epoch's end), its
            score of train where it looked at train, seconds.
        delivered_epoch: the epoch whose weights were delivered.
        state: finished; stopped, where a listener or ctrl-C asked for it; pruned; diverged; or failed, with the
            machine that it was trained on.
        engine: what trained it.
        error: why it diverged or failed.
    """

    network: nn.Module
    history: tuple[Row, ...] = ()
    delivered_epoch: int = 0
    state: TrainingState = "stopped"
    engine: Engine = "torch"
    seconds: float = 0.0
    error: TagfitError | None = None

    def pack(self) -> bytes:
        """Weights and facts, to be kept in place of a checkpoint, or sent; `unpack_result` gives them back."""
        facts = {field.name: getattr(self, field.name) for field in fields(_Finished)}
        return checkpoint.pack(self.network.state_dict(), {"finished": facts})


@dataclass(frozen=True)
class _Finished:
    """What is kept of a result beside its weights."""

    history: tuple[Row, ...]
    delivered_epoch: int
    state: TrainingState
    seconds: float
    engine: Engine


def unpack_result(
    network: nn.Module, tensors: Mapping[str, Tensor], facts: Mapping[str, object]
) -> TrainingResult | None:
    """The result among what a checkpoint holds, its weights put into `network`; None where training is not over."""
    if "finished" not in facts:
        return None
    network.load_state_dict(tensors)
    network.eval()
    return TrainingResult(network, **vars(msgspec.convert(facts["finished"], _Finished)))
