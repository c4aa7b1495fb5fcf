"""One network trained by all of a Ray cluster, with Ray Train: a rank on each of its GPUs or, without, of its cores.

Ray Train starts the ranks and starts them anew where one is lost. What they report and keep comes to the command that
asked for the training through a *desk*, an actor beside it; so checkpoints lie where they lie on one machine, and no
storage has to be shared. Samples go to the cluster's object store, which holds them once a node.

Shapes: N samples of train and val, L labels.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagfit.cluster.connection import connected, demand_version, version
from tagfit.errors import TagfitError, TrainingDivergedError
from tagfit.models.fine_tuned import FineTunedNetwork
from tagfit.recipes import Training
from tagfit.training import checkpoint, loop
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.events import EpochEnded, Event, Listener, StepEnded, Waiting
from tagfit.training.ranks import Ranks
from tagfit.training.trainer import Trainer

#: of a batch, no rank gets fewer samples: sending sums around would take longer than making them
LEAST_SHARE = 4

#: how often ranks are started anew before the training has failed
MOST_LOSSES = 3

#: seconds between two reports of steps, and that the command waits for word before it asks whether all is over
EVERY = 0.2

#: seconds after which Ray Train sees that a rank was lost or is done, and that it waits for a node that may be lost
_PATIENCE = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5", "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "5"}


@contextmanager
def rank_trainers(on: str | None, device: str) -> Iterator[Any]:
    """What makes the Trainer of a session: this machine's, or one whose torch loop runs on the cluster `on`.

    Args:
        device: `cpu` where the cluster's GPUs are not to be used.

    Raises:
        InputError: there is no such cluster.
        MissingExtraError: without Ray.
    """
    with connected(on) as ray:
        yield Trainer if on is None else partial(Trainer, loop=RayTraining(ray, device))


class RayTraining:
    """Called like `loop.train`, with the same answer."""

    def __init__(self, ray: Any, device: str) -> None:
        self._ray = ray
        self._gpus = int(ray.cluster_resources().get("GPU", 0)) if device in ("auto", "cuda") else 0

    def __call__(
        self,
        network: nn.Module,
        training: Training,
        train_rows: LabelledRows,
        val_rows: LabelledRows,
        *,
        seed: int,
        judge: loop.Judge | None = None,
        on_event: Listener = lambda event: None,
        checkpoints: checkpoint.CheckpointStore | None = None,
    ) -> loop.Trained:
        """Train `network` in place.

        Raises:
            TagfitError: ranks were lost too often, or are not of this version.
            TrainingDivergedError: as on one machine.
        """
        device = train_rows.samples.device
        if isinstance(network, FineTunedNetwork):
            network.whole.cpu()
        order = _Order(network.cpu(), training, _Rows.of(train_rows, val_rows), seed, judge)
        desk = self._desk(None if checkpoints is None else checkpoints.load())
        command = _Command(self._ray, desk, on_event, checkpoints)
        with (
            tempfile.TemporaryDirectory() as storage,
            ThreadPoolExecutor(1) as pool,  # Ray Train returns when all is over
        ):
            fitting = pool.submit(self._trainer(order, desk, storage).fit)
            answer = command.wait(fitting)
        self._ray.kill(desk)
        if isinstance(answer, TrainingDivergedError):
            raise answer
        tensors, facts = checkpoint.unpack(answer)
        network.load_state_dict(tensors)
        network.to(device).eval()
        return loop.Trained(tuple(facts["history"]), facts["delivered_epoch"], facts["state"])

    def _desk(self, kept: bytes | None) -> Any:
        """Beside this command, as Ray Train's controller is; where a client has connected, on the cluster's head."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(self._ray.get_runtime_context().get_node_id(), soft=False)
        return self._ray.remote(_Desk).options(num_cpus=0, scheduling_strategy=here).remote(kept)

    def _trainer(self, order: _Order, desk: Any, storage: str) -> Any:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        for name, seconds in _PATIENCE.items():
            os.environ.setdefault(name, seconds)
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        most = max(1, min(self._gpus or cores, order.training.batch_size // LEAST_SHARE))
        fewest_to_most: Any = (1, most)  # it goes on with fewer where nodes are lost for good
        return TorchTrainer(
            _rank,
            train_loop_config={"order": self._ray.put(order), "desk": desk, "version": version()},
            scaling_config=ScalingConfig(num_workers=fewest_to_most, use_gpu=self._gpus > 0),
            torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if self._gpus else "gloo"),
            run_config=RunConfig(storage_path=storage, failure_config=FailureConfig(max_failures=MOST_LOSSES)),
        )


# --------------------------------------------------------------------------------- where the command is


class _Desk:
    """An actor: rank 0 leaves word at it, and waits for the command's answer.

    Attributes:
        kept: the last checkpoint.
    """

    def __init__(self, kept: bytes | None) -> None:
        self.kept = kept
        self._words: asyncio.Queue[tuple[object, asyncio.Future[Any]]] = asyncio.Queue()
        self._open: tuple[object, asyncio.Future[Any]] | None = None

    async def checkpoint(self) -> bytes | None:
        return self.kept

    async def say(self, word: object) -> Any:
        """The command's answer to an Event, to a checkpoint's bytes, or to what came of it all."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self._words.put((word, answer))
        return await answer

    async def next_word(self, seconds: float) -> object:
        """The next word, the same until it is answered; None where there is none for so long."""
        if self._open is None:
            try:
                self._open = await asyncio.wait_for(self._words.get(), seconds)
            except TimeoutError:
                return None
        return self._open[0]

    async def answer(self, value: bool) -> None:
        if self._open is not None:
            word, answer = self._open
            self._open = None
            if isinstance(word, _Kept):
                self.kept = word.content
            if not answer.done():
                answer.set_result(value)


@dataclass(frozen=True)
class _Kept:
    """A checkpoint."""

    content: bytes


@dataclass(frozen=True)
class _Over:
    """What came of a training: its weights and facts, or how it diverged."""

    answer: bytes | TrainingDivergedError


class _Command:
    """The side of whoever asked for a training: hears, keeps and answers."""

    def __init__(self, ray: Any, desk: Any, on_event: Listener, checkpoints: checkpoint.CheckpointStore | None) -> None:
        self._ray, self._desk, self._on_event, self._checkpoints = ray, desk, on_event, checkpoints
        self._epochs = 0.0
        self._stop = False

    def wait(self, fitting: Future[Any]) -> bytes | TrainingDivergedError:
        """What came of the training that `fitting` waits for."""
        found: bytes | TrainingDivergedError | None = None
        while True:
            try:
                word = self._ray.get(self._desk.next_word.remote(EVERY))
                if isinstance(word, _Over):
                    found = word.answer
                if word is not None:
                    self._ray.get(self._desk.answer.remote(self._answer(word)))
                elif fitting.done():
                    break
                else:
                    self._stop = bool(self._on_event(Waiting())) or self._stop
            except KeyboardInterrupt:
                self._stop = True
        failure = fitting.exception()
        if found is None:
            raise _cause_of(failure) from failure
        return found

    def _answer(self, word: object) -> bool:
        """Whether to stop."""
        if isinstance(word, _Kept) and self._checkpoints is not None:
            self._checkpoints.save(word.content)
        elif isinstance(word, StepEnded) or (isinstance(word, EpochEnded) and self._is_new(word)):
            self._stop = bool(self._on_event(word)) or self._stop
        return self._stop

    def _is_new(self, word: EpochEnded) -> bool:
        """False of an epoch that was heard of before its ranks were lost."""
        number, before = word.row["epoch"] or 0, self._epochs
        self._epochs = max(number, before)
        return number > before


def _cause_of(failure: BaseException | None) -> TagfitError:
    """What tagfit itself raised on a rank, or else what happened last."""
    found = getattr(failure, "worker_failures", {})
    for one in found.values():
        cause = getattr(one, "cause", one)
        if isinstance(cause, TagfitError):
            return cause
    return TagfitError(f"the training failed on the cluster, and was not tried again: {failure}")


# ----------------------------------------------------------------------------------------- on the ranks


@dataclass(frozen=True, eq=False)
class _Rows:
    """The samples of train and val, and no others, as arrays that all ranks of a node share.

    Attributes:
        x: (N, ...) as `Samples` takes them.
        parts: of train and of val, the rows of `x`, the targets, and the known cells or None.
    """

    x: NDArray[Any]
    scale: float
    parts: tuple[tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None], ...]

    @classmethod
    def of(cls, *labelled: LabelledRows) -> _Rows:
        samples = labelled[0].samples
        every = np.unique(np.concatenate([one.rows_N.numpy() for one in labelled]))
        parts = tuple(
            (
                np.searchsorted(every, one.rows_N.numpy()),
                one.targets_NL.cpu().numpy(),
                None if one.known_NL is None else one.known_NL.cpu().numpy(),
            )
            for one in labelled
        )
        return cls(samples.x.numpy()[every], samples.scale, parts)

    def on(self, device: torch.device) -> list[LabelledRows]:
        samples = Samples.of(self.x, self.scale, device)
        return [
            LabelledRows(
                samples,
                torch.from_numpy(rows.copy()),
                _tensor(targets, device),
                None if known is None else _tensor(known, device),
            )
            for rows, targets, known in self.parts
        ]


def _tensor(values: NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(values.copy()).to(device)


@dataclass(frozen=True, eq=False)
class _Order:
    """What each rank is told. The network goes as it is: every rank is of this version."""

    network: nn.Module
    training: Training
    rows: _Rows
    seed: int
    judge: loop.Judge | None


def _rank(told: Mapping[str, Any]) -> None:
    """One rank's training, from the last checkpoint on; the first says what comes of it."""
    import ray
    from ray.train.torch import get_device

    demand_version(told["version"])
    ranks, device, order = Ranks.started(), get_device(), ray.get(told["order"])
    if device.type == "cpu":
        torch.set_num_threads(1)
    caller = _Caller(ray, told["desk"])
    try:
        trained = loop.train(
            order.network.to(device),
            order.training,
            *order.rows.on(device),
            seed=order.seed,
            judge=order.judge,
            on_event=caller if ranks.number == 0 else lambda event: None,
            checkpoints=caller,
            ranks=ranks,
        )
    except TrainingDivergedError as error:
        answer: bytes | TrainingDivergedError = error
    else:
        facts = {"history": trained.history, "delivered_epoch": trained.delivered_epoch, "state": trained.state}
        answer = checkpoint.pack(order.network.state_dict(), facts)
    if ranks.number == 0:
        caller.say(_Over(answer))


class _Caller:
    """Rank 0's way to the desk: a listener, and a keeper of checkpoints."""

    def __init__(self, ray: Any, desk: Any) -> None:
        self._ray, self._desk = ray, desk
        self._asked: Any = None
        self._told = time.monotonic()
        self._stop = False

    def __call__(self, event: Event) -> bool:
        """Steps are reported now and then, and the answer is taken when it comes; of an epoch it is waited for."""
        if isinstance(event, EpochEnded):
            return bool(self.say(event))
        if self._asked is None and time.monotonic() - self._told >= EVERY:
            self._asked = self._desk.say.remote(event)
        elif self._asked is not None and self._ray.wait([self._asked], timeout=0)[0]:
            self._stop = bool(self._ray.get(self._asked))
            self._asked, self._told = None, time.monotonic()
        return self._stop

    def say(self, word: object) -> Any:
        return self._ray.get(self._desk.say.remote(word))

    def load(self) -> bytes | None:
        return self._ray.get(self._desk.checkpoint.remote())  # type: ignore[no-any-return]

    def save(self, content: bytes) -> None:
        self.say(_Kept(content))
