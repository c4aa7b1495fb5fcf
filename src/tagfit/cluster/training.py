"""One network trained by all of a Ray cluster, with Ray Train's TorchTrainer and torch's DistributedDataParallel.

Ray Train starts a process, a *rank*, on each GPU or, where there are none, on each CPU. Every rank runs the loop of one
machine on its share of each batch, with gradients averaged over all; rank 0 alone scores, reports and decides.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

from tagfit.cluster.connection import connected, demand_version, told, version
from tagfit.errors import TagfitError, TrainingDivergedError
from tagfit.models.fine_tuned import FineTunedNetwork
from tagfit.recipes import Training
from tagfit.records.data import UNKNOWN, Array
from tagfit.runs.folder import CheckpointFile
from tagfit.training import loop
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.checkpoint import unpack
from tagfit.training.events import EpochEnded, Event, Listener, Waiting
from tagfit.training.job import PreparedJob, TrainingResult, unpack_result
from tagfit.training.steps import Answer, Steps, mixed
from tagfit.training.thread_pool import ThreadPool
from tagfit.training.trainer import Trainer

#: of a batch, no rank gets fewer samples: averaging gradients would take longer than making them
LEAST_SHARE = 4
MOST_RESTARTS = 3


@contextmanager
def rank_trainers(on: str | None, device: str) -> Iterator[Any]:
    """What makes the Trainer of a session: this machine's, or one whose torch loop runs on the cluster `on`."""
    with connected(on) as ray:
        yield Trainer if on is None else partial(Trainer, loop=partial(_train, ray, device in ("auto", "cuda")))


def _train(ray: Any, on_gpus: bool, job: PreparedJob) -> TrainingResult:
    """As `loop.train`; where ranks are lost too often, or are of another version of tagfit, a TagfitError."""
    from ray.util.queue import Queue

    network = job.network
    if isinstance(network, FineTunedNetwork):
        network.whole.cpu()
    rows = [_packed(part) for part in (job.train_rows, job.val_rows)]
    work = ray.put((network.cpu(), job.training, rows, job.seed, job.judge))  # held once a node
    events = Queue(1, {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}})  # whatever node is lost
    kept = job.checkpoints.path.resolve().with_suffix("") if isinstance(job.checkpoints, CheckpointFile) else None
    config = {"work": work, "events": events, "version": version(), "kept": kept}
    gpus, cpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("GPU", "CPU"))
    most = max(1, min((on_gpus and gpus) or cpus, job.training.batch_size // LEAST_SHARE))
    with tempfile.TemporaryDirectory() as passing, ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        fitting = pool.submit(_fit, config, most, on_gpus and gpus > 0, kept or Path(passing, "training"))
        stack.callback(events.shutdown, force=True)  # which asks the ranks to stop
        _listen(events, fitting, job.on_event)
    if (failure := fitting.exception()) is not None:
        raise told(failure, "the training failed on the cluster, and was not tried again") from failure
    answer = fitting.result().return_value
    network.to(job.train_rows.samples.device)
    if isinstance(answer, TrainingDivergedError):
        return TrainingResult(network, state="diverged", error=answer)
    result = unpack_result(network, *unpack(answer))
    assert result is not None
    return result


def _packed(rows: LabelledRows) -> tuple[Array, float, NDArray[np.int8]]:
    labels_NL = rows.targets_NL if rows.known_NL is None else torch.where(rows.known_NL > 0, rows.targets_NL, UNKNOWN)
    return rows.samples.x[rows.rows_N].numpy(), rows.samples.scale, labels_NL.to("cpu", torch.int8).numpy()


def _fit(config: dict[str, Any], most: int, on_gpus: bool, storage: Path) -> Any:
    """Ray's Result of `most` ranks, or fewer where nodes are lost; they go on from what `storage` holds already."""
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    every = 60.0 if config["kept"] else 1e9  # more ranks mean a restart, which without checkpoints costs all
    return TorchTrainer(
        _rank,  # type: ignore[arg-type]
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=(1, most), use_gpu=on_gpus, elastic_resize_monitor_interval_s=every),  # type: ignore[arg-type,call-arg]
        torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if on_gpus else "gloo"),
        run_config=RunConfig(
            name=storage.name,
            storage_path=str(storage.parent),
            failure_config=FailureConfig(max_failures=MOST_RESTARTS),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    ).fit()


def _listen(events: Any, fitting: Future[Any], on_event: Listener) -> None:
    """Hand on what rank 0 reports, each epoch once, until all is over or `on_event` asks for the end."""
    epochs: set[float | None] = set()
    with suppress(KeyboardInterrupt):
        while not (on_event(Waiting()) or (fitting.done() and events.empty())):
            with suppress(Empty):
                event = events.get(timeout=0.2)
                known = isinstance(event, EpochEnded) and event.row["epoch"] in epochs
                if not known and on_event(event):
                    break
                epochs |= {event.row["epoch"]} if isinstance(event, EpochEnded) else set()


def _report(events: Any, event: Event) -> bool:
    """Rank 0's listener; True where nobody listens any more."""
    from ray.exceptions import RayActorError

    with suppress(RayActorError):
        events.put(event)
        return False
    return True


def _rank(config: Mapping[str, Any]) -> bytes | TrainingDivergedError:
    """Train as one rank, from the last checkpoint on; what rank 0 returns counts."""
    import ray
    from ray.train.torch import get_device

    demand_version(config["version"])
    if config["kept"] is not None and not config["kept"].is_dir():
        raise TagfitError(f"a node has no folder {config['kept']}: choose one with -o that all nodes see")
    (network, training, parts, seed, judge), device = ray.get(config["work"]), get_device()
    torch.set_num_threads(1)
    train, val = (LabelledRows.labelled(Samples.of(x, scale, device), np.arange(len(x)), y) for x, scale, y in parts)
    report = partial(_report, config["events"])
    checkpoints = None if config["kept"] is None else _Checkpoints()
    job = PreparedJob(network.to(device), training, train, val, seed, judge, report, checkpoints)
    result = loop.train(job, steps_type=_RankSteps)
    if isinstance(result.error, TrainingDivergedError):
        return result.error
    return result.pack() if distributed.get_rank() == 0 else b""


class _RankSteps(Steps):
    """Steps that all ranks take together."""

    def __init__(self, network: nn.Module, training: Training, rows: LabelledRows, seed: int, pool: ThreadPool) -> None:
        super().__init__(network, training, rows, seed, pool)
        self._replicas = [DistributedDataParallel(network, static_graph=True)]
        self._sampler: DistributedSampler[Tensor] = DistributedSampler(rows, seed=seed)  # type: ignore[arg-type]

    def batches(self, epoch: int) -> Sequence[Tensor]:
        """Of this rank's share of an epoch: as many as one machine takes, and of the same size on all ranks."""
        self._draws[0].manual_seed(mixed(mixed(self._sampler.seed, epoch), distributed.get_rank()))
        self._sampler.set_epoch(epoch)
        return torch.tensor_split(torch.tensor(list(self._sampler)), self.per_epoch)

    def step(self, batch: Tensor) -> Tensor:
        loss = super().step(batch)
        distributed.all_reduce(loss)
        return loss / distributed.get_world_size()

    def decide(self, question: Callable[[], Answer]) -> Answer:
        answers: list[Any] = [question() if distributed.get_rank() == 0 else None]
        distributed.broadcast_object_list(answers)
        return answers[0]  # type: ignore[no-any-return]


class _Checkpoints:
    """A CheckpointStore: Ray Train's, of what rank 0 saves."""

    def load(self) -> bytes | None:
        from ray.train import get_checkpoint

        found = get_checkpoint()
        return None if found is None else Path(found.path, "training.safetensors").read_bytes()

    def save(self, content: bytes) -> None:
        from ray.train import Checkpoint, report

        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "training.safetensors").write_bytes(content)
            report({}, checkpoint=Checkpoint.from_directory(folder) if distributed.get_rank() == 0 else None)
