"""Trains tasks: dense networks by the compiled engine, many at once; others by the torch loop, one by one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tagfit.decisions.recalibration import STRAIGHT, fit_recalibration, recalibrated
from tagfit.errors import TrainingDivergedError
from tagfit.metrics.scores import score_one
from tagfit.models.dense import DenseNetwork
from tagfit.models.registry import build_network
from tagfit.recipes import Recipe, Training
from tagfit.records.data import LockedData, Part
from tagfit.search.sampler import Pruner
from tagfit.training import checkpoint, loop
from tagfit.training import engine as dense_engine
from tagfit.training.batches import LabelledRows
from tagfit.training.estimate import longest_compiled, longest_training
from tagfit.training.events import EpochEnded, Event, Listener, RunEnded, RunStarted
from tagfit.training.inputs import NetworkInputs

#: a larger memory map stays with the torch loop, which lets pages go while it reads
MOST_MAPPED = 2**29

#: scores of train in the history of a training whose curve is shown
CURVE_POINTS = 20

#: what a refit is trained on
REFITTED: tuple[Part, ...] = ("train", "val", "calibrate")

#: wider inputs, such as images of 64 x 64, stay with it too: there the matrix products are nearly all of a step
MOST_INPUTS = 4096

Engine = Literal["compiled", "torch"]

#: what trains by the torch loop: `loop.train` here, or on a cluster
TorchLoop = Callable[..., loop.Trained]


@dataclass(frozen=True, eq=False)
class Task:
    """One network to train, on the train and val of `data`.

    Attributes:
        name: for progress bars; `number` of `of` as well, and the `best` score so far.
        keeper: where its checkpoint is kept, and what it was when it is over.
        laggards: says when it is not worth going on.
        curve: whether its history shows train's score as well, some 20 times, where no ceiling asks for it anyhow.
        refit: how many epochs to train on all labelled rows but test, with nothing left to stop it or to score it by.
    """

    recipe: Recipe
    data: LockedData
    seed: int
    name: str
    number: int = 1
    of: int = 1
    best: float | None = None
    checkpoints: checkpoint.CheckpointStore | None = None
    pruner: Pruner | None = None
    refit: int | None = None
    curve: bool = False

    @property
    def training(self) -> Training:
        """How to train it: a refit neither stops early nor restores an earlier epoch."""
        plain = self.recipe.training
        return plain if self.refit is None else replace(plain, patience=0, train_ceiling=1.0)


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a task went; where it diverged, or failed with the machine that it was trained on, there are no weights."""

    task: Task
    network: nn.Module
    trained: loop.Trained
    engine: Engine
    seconds: float
    diverged: TrainingDivergedError | None = None
    failed: str = ""

    @property
    def state(self) -> str:
        return "failed" if self.failed else "diverged" if self.diverged else self.trained.state


class Trainer:
    """Trains for one metric on one device, and remembers whether it was asked to stop.

    Args:
        loop: called in place of `loop.train`, with the same arguments and the same answer: a cluster.
    """

    def __init__(self, inputs: NetworkInputs, metric: str, on_event: Listener, loop: TorchLoop = loop.train) -> None:
        self.stopped, self._loop = False, loop
        self._inputs, self._device, self._metric, self._on_event = inputs, inputs.device, metric, on_event
        self._lock = Lock()

    def train(self, task: Task) -> Outcome:
        """Train one network, by whatever can."""
        return self._compiled([task])[0] if self.compiles([task]) else self._alone(task)

    def side_by_side(self, tasks: Sequence[Task]) -> bool:
        """Whether `train_together` is for them, rather than one `train` after the other."""
        return self.compiles(tasks)

    def compiles(self, tasks: Sequence[Task]) -> bool:
        """Whether the compiled engine can train all of them."""
        x = tasks[0].data.dataset.x
        mapped = isinstance(x, np.memmap) and x.nbytes > MOST_MAPPED
        if mapped or math.prod(x.shape[1:]) > MOST_INPUTS:
            return False
        return all(dense_engine.usable(task.recipe, self._device.type) for task in tasks)

    def listen(self, event: Event) -> bool:
        with self._lock:
            self.stopped = bool(self._on_event(event)) or self.stopped
            return self.stopped

    def network(self, recipe: Recipe, data: LockedData, seed: int) -> nn.Module:
        """With freshly drawn weights, on the device."""
        dataset = data.dataset
        shape, labels = dataset.preprocessing.shape, len(dataset.label_names)
        network = build_network(recipe, shape, labels, seed=seed, pretrained=dataset.pretrained)
        return network.to(self._device)

    def _alone(self, task: Task) -> Outcome:
        """By the torch loop."""
        began = time.perf_counter()
        self._announce([task])
        network = self.network(task.recipe, task.data, task.seed)
        known = self._finished_before(task, network)
        if known is not None:
            return self._ended(known)
        watch = _Watch(self.listen, task)
        diverged = None
        try:
            trained = self._loop(
                network,
                task.training,
                *self._rows(task, network),
                seed=task.seed,
                judge=self._judge(task),
                on_event=watch,
                checkpoints=task.checkpoints,
            )
        except TrainingDivergedError as error:
            trained, diverged = loop.Trained((), 0, "stopped"), error
        trained = watch.judged(trained, self.stopped)
        return self._ended(Outcome(task, network, trained, "torch", time.perf_counter() - began, diverged))

    def train_together(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Tasks that are trained side by side; fewer outcomes where it was asked to stop."""
        return self._compiled(tasks)

    def _compiled(self, tasks: Sequence[Task]) -> list[Outcome]:
        """By the compiled engine, as many at a time as there are threads."""
        self._announce(tasks)
        networks = [self.network(task.recipe, task.data, task.seed) for task in tasks]
        known = self._known(tasks, networks)
        waiting = [number for number in range(len(tasks)) if number not in known]
        watches = {number: _Watch(self.listen, tasks[number]) for number in waiting}

        def ended(place: int, result: dense_engine.Outcome) -> None:
            number = waiting[place]
            failed = result if isinstance(result, TrainingDivergedError) else None
            trained = loop.Trained((), 0, "stopped") if isinstance(result, TrainingDivergedError) else result
            trained = watches[number].judged(trained, self.stopped)
            seconds = sum(row["seconds"] or 0.0 for row in trained.history)
            outcome = Outcome(tasks[number], networks[number], trained, "compiled", seconds, failed)
            known[number] = self._ended(outcome)

        dense_engine.train_all(
            [
                dense_engine.Job(
                    cast(DenseNetwork, networks[number]),
                    tasks[number].training,
                    *self._rows(tasks[number], networks[number]),
                    seed=tasks[number].seed,
                    judge=self._judge(tasks[number]),
                    on_event=watches[number],
                )
                for number in waiting
            ],
            on_done=ended,
        )
        return _until_stopped([known[number] for number in range(len(tasks)) if number in known])

    def _known(self, tasks: Sequence[Task], networks: Sequence[nn.Module]) -> dict[int, Outcome]:
        """Those that were over before, by their place."""
        return {
            number: self._ended(outcome)
            for number, (task, network) in enumerate(zip(tasks, networks, strict=True))
            if (outcome := self._finished_before(task, network)) is not None
        }

    def longest(self, tasks: Sequence[Task], times: int = 1) -> float:
        """Seconds that all of them would train, each so many times, without early stopping."""
        alone, together = 0.0, []
        for task in tasks:
            network = self.network(task.recipe, task.data, task.seed)
            rows = self._rows(task, network)
            if self.compiles([task]):
                together.append(longest_compiled(cast(DenseNetwork, network), task.training, *rows))
            else:
                alone += longest_training(network, task.training, *rows)
        at_a_time = max(1, min(torch.get_num_threads(), len(together) * times))
        return times * (alone + sum(together) / at_a_time)

    def _announce(self, tasks: Sequence[Task]) -> None:
        first = tasks[0]
        epochs = sum(task.recipe.training.epochs for task in tasks)
        name = first.name if len(tasks) == 1 else f"{len(tasks)} networks"
        self.listen(RunStarted(name, epochs, first.number, first.of))

    def _ended(self, outcome: Outcome) -> Outcome:
        task, state = outcome.task, outcome.state
        with self._lock:
            self.stopped = self.stopped or state == "stopped"
        if task.checkpoints is not None and state in ("finished", "pruned"):
            task.checkpoints.save(finished(outcome))
        self.listen(RunEnded(task.name, state, task.number, task.of, task.best))
        return outcome

    def _rows(self, task: Task, network: nn.Module) -> tuple[LabelledRows, LabelledRows]:
        samples = self._inputs.samples(network)
        fitted: tuple[Part, ...] = ("train",) if task.refit is None else REFITTED
        train, val = (LabelledRows.of(task.data, parts, self._device, samples) for parts in (fitted, ("val",)))
        return train, val

    def _judge(self, task: Task) -> loop.Judge:
        parts: tuple[Part, ...] = ("train", "val")
        every = -(-task.training.epochs // CURVE_POINTS) if task.curve else 0
        return judge_of(self._metric, {part: task.data.labels(part) for part in parts}, task.recipe.shifts, every)

    def _finished_before(self, task: Task, network: nn.Module) -> Outcome | None:
        """How a training went that was over before, with its weights put into `network`; None if it is not over."""
        tensors, facts = checkpoint.kept(task.checkpoints) or ({}, {})
        return _restored(task, network, tensors, facts["finished"]) if "finished" in facts else None


def judge_of(metric: str, labels: Mapping[Part, NDArray[np.int8]], shifts: bool, train_every: int) -> loop.Judge:
    """Scores at 0.5; where the loss shifts probabilities, of what is levelled on val, and its log-loss there.

    It holds the labels and nothing else, so that it can be sent to where a network is trained.
    """
    level = STRAIGHT

    def scored(part: Part, probabilities_NL: NDArray[np.float32]) -> float | None:
        return score_one(metric, labels[part], recalibrated(level, probabilities_NL))

    def log_loss(probabilities_NL: NDArray[np.float32]) -> float:
        nonlocal level  # val's loss is asked for before its score, and before any of train
        level = fit_recalibration(labels["val"], probabilities_NL)
        return score_one("log_loss", labels["val"], recalibrated(level, probabilities_NL)) or 0.0

    return loop.Judge(metric, scored, log_loss if shifts else None, train_every)


def _until_stopped(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """What came before it was asked to stop, and what was in training then; one at least."""
    done: list[Outcome] = []
    for outcome in outcomes:
        stopped = outcome.state == "stopped"
        if not (done and stopped and not outcome.trained.history):
            done.append(outcome)
        if stopped:
            break
    return done


def restored(task: Task, network: nn.Module, content: bytes) -> Outcome:
    """The inverse of `finished`: how it went, and `network` with its weights.

    Raises:
        ValueError: not what `finished` made.
    """
    tensors, facts = checkpoint.unpack(content)
    return _restored(task, network, tensors, facts["finished"])


def _restored(task: Task, network: nn.Module, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> Outcome:
    network.load_state_dict(tensors)
    network.eval()
    trained = loop.Trained(tuple(facts["history"]), facts["delivered_epoch"], facts["state"])
    return Outcome(task, network, trained, facts["engine"], facts["seconds"])


def finished(outcome: Outcome) -> bytes:
    """What is kept of a training that is over, in place of its checkpoint."""
    trained = outcome.trained
    facts = {
        "history": trained.history,
        "delivered_epoch": trained.delivered_epoch,
        "state": trained.state,
        "seconds": outcome.seconds,
        "engine": outcome.engine,
    }
    return checkpoint.pack(outcome.network.state_dict(), {"finished": facts})


class _Watch:
    """Listens to one training, and ends it where it lags behind."""

    def __init__(self, listen: Listener, task: Task) -> None:
        self._listen, self._pruner, self._epochs = listen, task.pruner, task.recipe.training.epochs
        self._last, self._name, self._number = task.refit, task.name, task.number
        self._rows: list[Mapping[str, float | None]] = []
        self._lagged = False

    def __call__(self, event: Event) -> bool:
        if isinstance(event, EpochEnded):
            self._rows.append(event.row)
            event = replace(event, recipe=self._name, number=self._number)
            self._lagged = self._pruner is not None and self._pruner.prunes(self._rows, self._epochs)
        return bool(self._listen(event)) or self._lagged or len(self._rows) == self._last

    def judged(self, trained: loop.Trained, stopped: bool) -> loop.Trained:
        """What lagged behind was pruned, and a refit is over after its last epoch, unless all was stopped."""
        if self._last is not None and not stopped:
            return replace(trained, state="finished")
        return replace(trained, state="pruned") if self._lagged and not stopped else trained
