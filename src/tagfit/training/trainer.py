"""Trains jobs: dense networks by the compiled engine, many at once; others by the torch loop, one by one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock

import numpy as np
import torch
from torch import nn

from tagfit.models.backbones import pretrained_of
from tagfit.models.registry import build_network
from tagfit.records.data import Part
from tagfit.records.runs import Row
from tagfit.training import checkpoint, loop
from tagfit.training import engine as dense_engine
from tagfit.training.batches import LabelledRows
from tagfit.training.estimate import longest_compiled, longest_training
from tagfit.training.events import EpochEnded, Event, Listener, RunEnded, RunStarted
from tagfit.training.inputs import NetworkInputs
from tagfit.training.job import PreparedJob, TrainingJob, TrainingResult, unpack_result
from tagfit.training.judge import Judge, judge_of

#: a larger memory map stays with the torch loop, which lets pages go while it reads
MOST_MAPPED = 2**29

#: scores of train in the history of a training whose curve is shown
CURVE_POINTS = 20

#: wider inputs, such as images of 64 x 64, stay with it too: there the matrix products are nearly all of a step
MOST_INPUTS = 4096

#: what trains by the torch loop: `loop.train` here, or on a cluster
TorchLoop = Callable[[PreparedJob], TrainingResult]


class Trainer:
    """Trains for one metric on one device, and remembers whether it was asked to stop.

    Args:
        loop: called in place of `loop.train`: a cluster.
    """

    def __init__(self, inputs: NetworkInputs, metric: str, on_event: Listener, loop: TorchLoop = loop.train) -> None:
        self.stopped, self._loop = False, loop
        self._inputs, self._device, self._metric, self._on_event = inputs, inputs.device, metric, on_event
        self._lock = Lock()

    def train(self, job: TrainingJob) -> TrainingResult:
        """Train one network, by whatever can."""
        return self._compiled([job])[0] if self.compiles([job]) else self._alone(job)

    def train_together(self, jobs: Sequence[TrainingJob]) -> Sequence[TrainingResult | None]:
        """Jobs that are trained side by side, in their order; some None, or fewer, where it was asked to stop."""
        return self._compiled(jobs)

    def side_by_side(self, jobs: Sequence[TrainingJob]) -> bool:
        """Whether `train_together` is for them, rather than one `train` after the other."""
        return self.compiles(jobs)

    def compiles(self, jobs: Sequence[TrainingJob]) -> bool:
        """Whether the compiled engine can train all of them."""
        x = jobs[0].data.dataset.x
        mapped = isinstance(x, np.memmap) and x.nbytes > MOST_MAPPED
        if mapped or math.prod(x.shape[1:]) > MOST_INPUTS:
            return False
        return all(dense_engine.usable(job.recipe, self._device.type) for job in jobs)

    def listen(self, event: Event) -> bool:
        with self._lock:
            self.stopped = bool(self._on_event(event)) or self.stopped
            return self.stopped

    def longest(self, jobs: Sequence[TrainingJob], times: int = 1) -> float:
        """Seconds that all of them would train, each so many times, without early stopping."""
        alone, together = 0.0, []
        for job in jobs:
            prepared = self._prepared(job, self.network(job))
            if self.compiles([job]):
                together.append(longest_compiled(prepared))
            else:
                alone += longest_training(prepared)
        at_a_time = max(1, min(torch.get_num_threads(), len(together) * times))
        return times * (alone + sum(together) / at_a_time)

    def network(self, job: TrainingJob) -> nn.Module:
        """With freshly drawn weights, on the device."""
        dataset = job.data.dataset
        shape, labels = dataset.preprocessing.shape, len(dataset.label_names)
        network = build_network(job.recipe, shape, labels, seed=job.seed, pretrained=pretrained_of(dataset))
        return network.to(self._device)

    def _alone(self, job: TrainingJob) -> TrainingResult:
        """By the torch loop."""
        began = time.perf_counter()
        self._announce([job])
        network = self.network(job)
        if known := _finished_before(job, network):
            return self._ended(job, known)
        watch = _Watch(self.listen, job)
        result = self._loop(self._prepared(job, network, watch))
        return self._ended(job, replace(watch.judged(result, self.stopped), seconds=time.perf_counter() - began))

    def _compiled(self, jobs: Sequence[TrainingJob]) -> list[TrainingResult]:
        """By the compiled engine, as many at a time as there are threads."""
        self._announce(jobs)
        networks = [self.network(job) for job in jobs]
        results = self._known(jobs, networks)
        waiting = [number for number in range(len(jobs)) if number not in results]
        watches = [_Watch(self.listen, jobs[number]) for number in waiting]

        def ended(place: int, result: TrainingResult) -> None:
            number = waiting[place]
            results[number] = self._ended(jobs[number], watches[place].judged(result, self.stopped))

        dense_engine.train_all(
            [
                self._prepared(jobs[number], networks[number], watch)
                for number, watch in zip(waiting, watches, strict=True)
            ],
            on_done=ended,
        )
        return _until_stopped([results[number] for number in range(len(jobs)) if number in results])

    def _known(self, jobs: Sequence[TrainingJob], networks: Sequence[nn.Module]) -> dict[int, TrainingResult]:
        """Those that were over before, by their place."""
        return {
            number: self._ended(job, known)
            for number, (job, network) in enumerate(zip(jobs, networks, strict=True))
            if (known := _finished_before(job, network)) is not None
        }

    def _prepared(self, job: TrainingJob, network: nn.Module, on_event: Listener | None = None) -> PreparedJob:
        samples = self._inputs.samples(network)
        train, val = (LabelledRows.of(job.data, parts, self._device, samples) for parts in (job.fitted_parts, ("val",)))
        prepared = PreparedJob(network, job.training, train, val, job.seed, self._judge(job))
        return prepared if on_event is None else replace(prepared, on_event=on_event, checkpoints=job.checkpoints)

    def _announce(self, jobs: Sequence[TrainingJob]) -> None:
        first = jobs[0]
        epochs = sum(job.recipe.training.epochs for job in jobs)
        name = first.name if len(jobs) == 1 else f"{len(jobs)} networks"
        self.listen(RunStarted(name, epochs, first.number, first.of))

    def _ended(self, job: TrainingJob, result: TrainingResult) -> TrainingResult:
        with self._lock:
            self.stopped = self.stopped or result.state == "stopped"
        if job.checkpoints is not None and result.state in ("finished", "pruned"):
            job.checkpoints.save(result.pack())
        self.listen(RunEnded(job.name, result.state, job.number, job.of, job.best))
        return result

    def _judge(self, job: TrainingJob) -> Judge:
        parts: tuple[Part, ...] = ("train", "val")
        labels: Mapping[Part, np.ndarray[tuple[int, ...], np.dtype[np.int8]]] = {
            part: job.data.labels(part) for part in parts
        }
        every = -(-job.training.epochs // CURVE_POINTS) if job.curve else 0
        return judge_of(self._metric, labels, shifted=job.recipe.shifts, train_every=every)


def _finished_before(job: TrainingJob, network: nn.Module) -> TrainingResult | None:
    """How a training went that was over before, with its weights in `network`; None if it is not over."""
    found = checkpoint.kept(job.checkpoints)
    return None if found is None else unpack_result(network, *found)


def _until_stopped(results: Sequence[TrainingResult]) -> list[TrainingResult]:
    """What came before it was asked to stop, and what was in training then; one at least."""
    done: list[TrainingResult] = []
    for result in results:
        stopped = result.state == "stopped"
        if not (done and stopped and not result.history):
            done.append(result)
        if stopped:
            break
    return done


class _Watch:
    """Listens to one training, and ends it where its pruner says so, or a refit is over."""

    def __init__(self, listen: Listener, job: TrainingJob) -> None:
        self._listen, self._job = listen, job
        self._rows: list[Row] = []
        self._pruned = False

    def __call__(self, event: Event) -> bool:
        job = self._job
        if isinstance(event, EpochEnded):
            self._rows.append(event.row)
            event = replace(event, recipe=job.name, number=job.number)
            self._pruned = job.pruner is not None and job.pruner.prunes(self._rows, job.recipe.training.epochs)
        return bool(self._listen(event)) or self._pruned or len(self._rows) == job.refit

    def judged(self, result: TrainingResult, stopped: bool) -> TrainingResult:
        """What lagged behind was pruned, and a refit is over after its last epoch, unless all was stopped."""
        if stopped or result.error is not None:
            return result
        if self._job.refit is not None:
            return replace(result, state="finished")
        return replace(result, state="pruned") if self._pruned else result
