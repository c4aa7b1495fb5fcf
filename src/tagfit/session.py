"""A session: recipes trained on one lock with one seed, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import tagfit
from tagfit.curing.verdict import judge, meets
from tagfit.data.lock import verify
from tagfit.delivery.bundle import Bundle, write_bundle
from tagfit.delivery.predictor import Tagger
from tagfit.delivery.run_folder import SCHEMA, RunFolder, claim, writable
from tagfit.errors import TrainingDivergedError
from tagfit.models.registry import build_network
from tagfit.recipes import Recipe
from tagfit.records import LockedData, Part, Run, Scores, Target
from tagfit.report.table import result_text
from tagfit.scoring.constant import ConstantAnswer
from tagfit.scoring.metrics import score, score_one
from tagfit.training import checkpoint, loop
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.estimate import longest_training
from tagfit.training.events import Event, Listener, RunEnded, RunStarted
from tagfit.training.inference import probabilities
from tagfit.training.loop import Judge, train


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What a fit or a cure came to.

    Attributes:
        record: what result.json holds (see docs/result.md).
        tagger: the delivered model, ready to predict.
        folder: the run folder, where one was written.
        fresh: False where the folder held the finished result already and nothing was done.
    """

    record: Mapping[str, Any]
    tagger: Tagger
    folder: Path | None = None
    fresh: bool = True

    def __str__(self) -> str:
        return result_text(self.record)

    def __repr__(self) -> str:
        record = self.record
        return f"<{record['command']} on {record['data']['name']}: {record['verdict']['state']}>"


@dataclass(frozen=True, eq=False)
class Trained:
    """A run and its network; a diverged run's is of no use."""

    run: Run
    network: nn.Module


@dataclass(frozen=True, eq=False)
class Work:
    """What a session did.

    Attributes:
        before: None where there was nothing to compare with.
        complete: False where it was asked to stop before all was done.
    """

    before: Trained | None
    after: Trained
    tried: tuple[Run, ...]
    complete: bool


@dataclass
class Session:
    """Trains recipes on one lock with one seed, and remembers whether it was asked to stop."""

    data: LockedData
    target: Target
    seed: int
    device: torch.device
    on_event: Listener
    stopped: bool = False
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.constant = ConstantAnswer.choose(self.data.labels("train"))
        self._constant_scores: dict[Part, Scores | None] = {}
        self._folder: RunFolder | None = None

    def listen(self, event: Event) -> bool:
        self.stopped = bool(self.on_event(event)) or self.stopped
        return self.stopped

    def run(self, recipe: Recipe, number: int = 1, of: int = 1) -> Trained:
        """Train `recipe` and score it on train and val; test is not touched.

        In a run folder it goes on where a checkpoint was left, and takes what was finished already as it is.
        """
        verify(self.data)
        began = time.perf_counter()
        train_rows, val_rows = (LabelledRows.of(self.data, part, self.device) for part in ("train", "val"))
        steps = -(-len(train_rows) // recipe.training.batch_size)
        self.listen(RunStarted(recipe.name, recipe.training.epochs, steps, number, of))
        network = self._network(recipe)
        keeper = None if self._folder is None else self._folder.checkpoint(recipe)
        trained, seconds = _finished_before(keeper, network)
        if trained is None:
            try:
                trained = train(
                    network,
                    recipe.training,
                    train_rows,
                    val_rows,
                    seed=self.seed,
                    judge=Judge(self.target.metric, self._judge),
                    on_event=self.listen,
                    keeper=keeper,
                )
            except TrainingDivergedError:
                self.listen(RunEnded(recipe.name, "diverged"))
                raise
            self.stopped = self.stopped or trained.state == "stopped"
            verify(self.data)
        run = Run(
            recipe=recipe,
            lock=self.data.lock,
            scores={part: self._score(network, part) for part in ("train", "val")},
            constant={part: self._constant(part) for part in ("train", "val")},
            history=trained.history,
            delivered_epoch=trained.delivered_epoch,
            parameters=sum(p.numel() for p in network.parameters()),
            seconds=seconds + time.perf_counter() - began,
            state=trained.state,
        )
        if keeper is not None and trained.state == "finished":
            keeper.save(_finished(network, trained, run.seconds))
        self.listen(RunEnded(recipe.name, run.state))
        return Trained(run, network)

    def attempt(self, recipe: Recipe, number: int, of: int) -> Trained:
        """As `run`, but a recipe that diverges is only noted."""
        began = time.perf_counter()
        try:
            return self.run(recipe, number, of)
        except TrainingDivergedError:
            seconds = time.perf_counter() - began
            return Trained(Run.diverged(recipe, self.data.lock, seconds), nn.Identity())

    def with_test(self, trained: Trained) -> Trained:
        """Score the delivered weights on test: once, at the end."""
        verify(self.data)
        network, run = trained.network, trained.run
        return Trained(
            replace(
                run,
                scores={**run.scores, "test": self._score(network, "test")},
                constant={**run.constant, "test": self._constant("test")},
            ),
            network,
        )

    def deliver(
        self,
        command: Mapping[str, Any],
        recipes: Sequence[Recipe],
        work: Callable[[], Work],
        output: str | Path | None,
    ) -> Result:
        """Do `work`, which trains `recipes`, and write the run folder where one is asked for."""
        if output is None:
            return self._result(command, work(), None)
        with claim(Path(output), command) as folder:
            earlier = folder.finished_result()
            if earlier is not None:
                return Result(earlier, Tagger.load(folder.path), folder.path, fresh=False)
            folder.check_room(self._bytes_kept(recipes))
            self._folder = folder
            return self._result(command, work(), folder)

    def _result(self, command: Mapping[str, Any], work: Work, folder: RunFolder | None) -> Result:
        record = self._record(command, work)
        bundle = Bundle.of(work.after.network, work.after.run, self.constant, self.data)
        if folder is not None:
            with writable(folder.path):
                write_bundle(folder.bundle, bundle)
                folder.write_result(record)
            if work.complete:
                folder.forget_checkpoints()
        return Result(record, Tagger(bundle, self.device.type), None if folder is None else folder.path)

    def _record(self, command: Mapping[str, Any], work: Work) -> dict[str, Any]:
        dataset, before, after = self.data.dataset, work.before, work.after.run
        verdict = judge(None if before is None else before.run, after, self.target, work.tried)
        return {
            "schema": SCHEMA,
            "tagfit": tagfit.__version__,
            "command": command["command"],
            "state": "finished" if work.complete else "stopped",
            "lock": self.data.lock,
            "seed": self.seed,
            "device": self.device.type,
            "data": {
                "name": dataset.name,
                "kind": dataset.kind,
                "samples": len(dataset),
                "label_names": list(dataset.label_names),
                "parts": self.data.split.counts,
                "preprocessing": dataset.preprocessing.to_dict(),
                "notes": [*dataset.notes, *self.data.split.notes],
                "set_aside": [{"sample": name, "reason": reason} for name, reason in dataset.set_aside],
            },
            "target": {**self.target.to_dict(), "met": meets(after, self.target)},
            "verdict": verdict.to_dict(),
            "before": None if before is None else before.run.to_dict(),
            "after": after.to_dict(),
            "tried": [run.to_trial() for run in work.tried],
            "findings": [],
            "seconds": round(time.perf_counter() - self.began, 3),
        }

    def longest(self, recipe: Recipe) -> float:
        """Seconds that `recipe` would train without early stopping."""
        train_rows, val_rows = (LabelledRows.of(self.data, part, self.device) for part in ("train", "val"))
        return longest_training(self._network(recipe), recipe.training, train_rows, val_rows)

    def parameters(self, recipe: Recipe) -> int:
        return sum(p.numel() for p in self._network(recipe).parameters())

    def _bytes_kept(self, recipes: Sequence[Recipe]) -> int:
        """About what a run folder takes at most: every recipe's weights, thrice more of the one in training."""
        sizes = [4 * self.parameters(recipe) for recipe in recipes]
        return sum(sizes) + 6 * max(sizes)

    def _network(self, recipe: Recipe) -> nn.Module:
        dataset = self.data.dataset
        network = build_network(recipe, dataset.preprocessing.shape, len(dataset.label_names), seed=self.seed)
        return network.to(self.device)

    def _constant(self, part: Part) -> Scores | None:
        """What the constant answer gets: the same for every run, so it is scored once a part."""
        if part not in self._constant_scores:
            labels_NL = self.data.labels(part)
            self._constant_scores[part] = self.constant.score(labels_NL) if len(labels_NL) else None
        return self._constant_scores[part]

    def _score(self, network: nn.Module, part: Part) -> Scores | None:
        rows = self.data.split.rows(part)
        if not len(rows):
            return None
        samples = Samples.of(self.data.dataset.x, self.data.dataset.preprocessing, self.device)
        return score(self.data.dataset.labels_NL[rows], probabilities(network, samples, rows))

    def _judge(self, part: Part, probabilities_NL: NDArray[np.float32]) -> float | None:
        return score_one(self.target.metric, self.data.labels(part), probabilities_NL)


def _finished(network: nn.Module, trained: loop.Trained, seconds: float) -> bytes:
    """What is kept of a training that is over, in place of its checkpoint."""
    facts = {"history": trained.history, "delivered_epoch": trained.delivered_epoch, "seconds": seconds}
    return checkpoint.pack(network.state_dict(), {"finished": facts})


def _finished_before(keeper: checkpoint.Keeper | None, network: nn.Module) -> tuple[loop.Trained | None, float]:
    """How the training went and how long it took, with its weights put into `network`; None if it is not over."""
    tensors, facts = checkpoint.kept(keeper) or ({}, {})
    if "finished" not in facts:
        return None, 0.0
    network.load_state_dict(tensors)
    network.eval()
    facts = facts["finished"]
    return loop.Trained(tuple(facts["history"]), facts["delivered_epoch"], "finished"), facts["seconds"]
