"""Trials of a cure on a Ray cluster: a task each, of one CPU (and one GPU where the cure trains on one).

What a cure trains side by side goes there: its dense candidates, each generation of a search, repeats of the finalists,
ingredients, the networks of folds. What it trains alone is trained where the command runs.

The data goes into the cluster's object store once. A task trains one network with the code that trains it here, and
gives back its weights and its history; what is kept of it in the run folder, the driver writes. A worker that dies
costs its trial's time: Ray starts it again, twice at most, and then the trial is `failed`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from tagfit.cluster.connection import connected, demand_version, told, version
from tagfit.data.lock import fingerprint, verify
from tagfit.errors import TagfitError, TrainingDivergedError
from tagfit.recipes import FineTunedModel
from tagfit.records.data import LockedData
from tagfit.training import checkpoint
from tagfit.training.device import find_device
from tagfit.training.events import EpochEnded, Listener, Waiting
from tagfit.training.inputs import NetworkInputs
from tagfit.training.job import TrainingJob, TrainingResult, unpack_result
from tagfit.training.trainer import Trainer

#: how often a trial is begun again whose worker has died
RETRIES = 2

#: trials that are sent ahead, for each CPU: so that none waits for the driver
AHEAD = 2

#: locks of what this process, a worker, has looked through already
_VERIFIED: set[str] = set()

#: seconds between two looks at whether somebody asked to stop
PATIENCE = 0.5


@contextmanager
def trainers(on: str | None) -> Iterator[Any]:
    """What makes the Trainer of a session: this machine's, or one that sends trials to the cluster `on`.

    Raises:
        InputError: there is no such cluster.
        MissingExtraError: without Ray.
    """
    if on is None:
        yield Trainer
        return
    with connected(on) as ray:
        yield partial(ClusterTrainer, ray)


@dataclass(frozen=True)
class _Order:
    """What a worker is told beside the data, which is sent once and not with every job."""

    job: TrainingJob
    metric: str
    device: str
    threads: int
    version: tuple[str, str]


@dataclass(frozen=True)
class _Answer:
    """What it gives back: a packed result, or where its loss became unusable."""

    content: bytes
    seconds: float
    diverged: tuple[int, int, float] | None = None


class ClusterTrainer(Trainer):
    """Sends what is trained side by side to a cluster; a single training is done where the command runs."""

    def __init__(self, ray: Any, inputs: NetworkInputs, metric: str, on_event: Listener) -> None:
        super().__init__(inputs, metric, on_event)
        self._ray = ray
        self._sent: dict[int, tuple[LockedData, Any]] = {}

    def side_by_side(self, jobs: Sequence[TrainingJob]) -> bool:
        """Several, but for those that look at images through a backbone: what its lower blocks make stays here."""
        return len(jobs) > 1 and not any(isinstance(job.recipe.model, FineTunedModel) for job in jobs)

    def train_together(self, jobs: Sequence[TrainingJob]) -> Sequence[TrainingResult | None]:
        """As many at a time as the cluster has CPUs; None for those that were not over when it was asked to stop."""
        self._announce(jobs)
        networks = [self.network(job) for job in jobs]
        known = self._known(jobs, networks)
        waiting = deque(number for number in range(len(jobs)) if number not in known)
        running: dict[Any, int] = {}
        while waiting or running:
            while waiting and len(running) < AHEAD * self._cpus():
                number = waiting.popleft()
                running[self._send(jobs[number])] = number
            ended, _ = self._ray.wait(list(running), timeout=PATIENCE)
            for reference in ended:
                number = running.pop(reference)
                job = jobs[number]
                known[number] = self._ended(job, self._received(job, networks[number], reference))
            if self.listen(Waiting()):
                for reference in running:
                    self._ray.cancel(reference, force=True)
                break
        if not known:  # stopped before anything came back
            return [self.train(jobs[0])]
        return [known.get(number) for number in range(len(jobs))]

    def _cpus(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _send(self, job: TrainingJob) -> Any:
        nowhere = cast(LockedData, None)
        alone = replace(job, data=nowhere, checkpoints=None)
        order = _Order(alone, self._metric, self._device.type, torch.get_num_threads(), version())
        gpus = 1 if self._device.type == "cuda" else 0
        remote = self._ray.remote(_trained).options(num_cpus=1, num_gpus=gpus, max_retries=RETRIES, name=job.name)
        return remote.remote(self._put(job.data), order)

    def _put(self, data: LockedData) -> Any:
        """Where the cluster finds the data; without what only a backbone's own training needs."""
        if id(data) not in self._sent:
            dataset = replace(data.dataset, pretrained=None, pixels=None)
            # of folds, each is locked by itself: that is what a worker can compute again
            own = replace(data, dataset=dataset, lock=fingerprint(dataset, data.split))
            self._sent[id(data)] = data, self._ray.put(own)
        return self._sent[id(data)][1]

    def _received(self, job: TrainingJob, network: nn.Module, reference: Any) -> TrainingResult:
        """The result of a job that is over; its weights in `network`.

        Raises:
            TagfitError: the code on the worker is another, or fails.
        """
        errors = self._ray.exceptions
        try:
            answer: _Answer = self._ray.get(reference)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError) as error:
            reason = TagfitError(f"{job.name}: {str(error).splitlines()[0]}")
            return TrainingResult(network, state="failed", error=reason)
        except errors.RayError as error:
            raise told(error, f"{job.name}: the cluster could not train it") from error
        if answer.diverged is not None:
            diverged = TrainingDivergedError(*answer.diverged)
            return TrainingResult(network, state="diverged", seconds=answer.seconds, error=diverged)
        result = unpack_result(network, *checkpoint.unpack(answer.content))
        assert result is not None
        for row in result.history:
            self.listen(EpochEnded(row, job.name, job.number))
        return result


def _trained(data: LockedData, order: _Order) -> _Answer:
    """On a worker: train one network.

    Raises:
        TagfitError: another version of tagfit or Python is at work here.
        LockChangedError: the data is not what was sent.
    """
    demand_version(order.version)
    if data.lock not in _VERIFIED:
        verify(data)
        _VERIFIED.add(data.lock)  # the object store's memory cannot be written to
    torch.set_num_threads(order.threads)  # a CNN's sums depend on it
    device, began = find_device(order.device), time.perf_counter()
    trainer = Trainer(NetworkInputs.of(data.dataset, device), order.metric, lambda event: None)
    result = trainer.train(replace(order.job, data=data))
    if isinstance(error := result.error, TrainingDivergedError):
        return _Answer(b"", time.perf_counter() - began, (error.step, error.epoch, error.loss))
    return _Answer(result.pack(), result.seconds)
