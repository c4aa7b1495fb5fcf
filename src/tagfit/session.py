"""A session: recipes trained on one lock with one seed, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tagfit.curing.search import Laggards
from tagfit.data.folds import trainings
from tagfit.data.lock import verify
from tagfit.delivery.bundle import Bundle, write_bundle
from tagfit.delivery.predictor import Tagger
from tagfit.delivery.run_folder import RunFolder, claim, writable
from tagfit.errors import TrainingDivergedError
from tagfit.models.ensemble import Ensemble
from tagfit.models.registry import build_network
from tagfit.recipes import Recipe
from tagfit.records import FoldRun, LockedData, Part, Run, Scores, Target
from tagfit.result import Result, Trained, Work, result_record
from tagfit.scoring.appraisal import appraise, joined, mean_of
from tagfit.scoring.constant import ConstantAnswer
from tagfit.scoring.deciding import Decider, Said, Wish
from tagfit.scoring.metrics import score, score_one
from tagfit.training import checkpoint, loop
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.estimate import longest_training
from tagfit.training.events import EpochEnded, Event, Listener, RunEnded, RunStarted
from tagfit.training.inference import probabilities
from tagfit.training.loop import Judge, train


@dataclass(frozen=True)
class Job:
    """A recipe to train.

    Attributes:
        number, of: which training of how many, for progress bars.
        seed: the session's own unless given.
        laggards: says when it lags so far behind that it is not worth going on.
    """

    recipe: Recipe
    number: int = 1
    of: int = 1
    seed: int | None = None
    laggards: Laggards | None = None


class _Watch:
    """Listens to one training, and ends it where it lags behind."""

    def __init__(self, listen: Listener, laggards: Laggards | None, epochs: int) -> None:
        self.lagged = False
        self._listen, self._laggards, self._epochs = listen, laggards, epochs
        self._rows: list[Mapping[str, float | None]] = []

    def __call__(self, event: Event) -> bool:
        if isinstance(event, EpochEnded):
            self._rows.append(event.row)
            self.lagged = self._laggards is not None and self._laggards.lags(self._rows, self._epochs)
        return bool(self._listen(event)) or self.lagged


@dataclass(frozen=True, eq=False)
class _Member:
    """One training: all there is or, where there are folds, the network of one."""

    network: nn.Module
    trained: loop.Trained
    seconds: float
    said: Mapping[Part, Said]


@dataclass
class Session:
    """Trains recipes on one lock with one seed, and remembers whether it was asked to stop.

    Attributes:
        best: the best score on val so far, for progress bars.
    """

    data: LockedData
    target: Target
    seed: int
    device: torch.device
    on_event: Listener
    wish: Wish = field(default_factory=Wish)
    stopped: bool = False
    best: float | None = None
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.constant = ConstantAnswer.choose(self.data.labels("train"))
        self.trainings = trainings(self.data)
        self._constant_scores: dict[tuple[Part, int], Scores] = {}
        self.folder: RunFolder | None = None

    def listen(self, event: Event) -> bool:
        self.stopped = bool(self.on_event(event)) or self.stopped
        return self.stopped

    def run(self, job: Job) -> Trained:
        """Train a recipe, once for each fold where there are folds, and score it on train and val, not on test.

        In a run folder it goes on where a checkpoint was left, and takes what was finished already as it is.
        """
        verify(self.data)
        recipe, members = job.recipe, list[_Member]()
        for fold, data in enumerate(self.trainings):
            members.append(self._train(job, data, fold))
            if members[-1].trained.state != "finished" or self.stopped:
                break
        verify(self.data)
        said: dict[Part, Said] = {part: joined([one.said[part] for one in members]) for part in ("train", "val")}
        networks, folded = [member.network for member in members], self.data.split.folds is not None
        run = Run(
            recipe=recipe,
            lock=self.data.lock,
            scores={part: score(one.labels_NL, one.probabilities_NL) for part, one in said.items()},
            constant={part: self._constant(part, one.labels_NL) for part, one in said.items()},
            history=_history(members, folded),
            delivered_epoch=None if folded else members[0].trained.delivered_epoch,
            parameters=sum(p.numel() for network in networks for p in network.parameters()),
            seconds=sum(member.seconds for member in members),
            state=members[-1].trained.state if len(members) == len(self.trainings) else _cut_short(members[-1]),
            folds=tuple(map(_fold_run, members)) if folded else (),
        )
        network = Ensemble(networks) if len(networks) > 1 else networks[0]
        return Trained(run, network, (recipe,) * len(networks), said)

    def _train(self, job: Job, data: LockedData, fold: int) -> _Member:
        """One training on the train and val of `data`; what it has not seen is val or, where there are folds, test."""
        began, recipe = time.perf_counter(), job.recipe
        seed = self.seed if job.seed is None else job.seed
        train_rows, val_rows = (LabelledRows.of(data, part, self.device) for part in ("train", "val"))
        steps = -(-len(train_rows) // recipe.training.batch_size)
        folded = data.split is not self.data.split
        name = f"{recipe.name}, fold {fold + 1}" if folded else recipe.name
        place = (job.number - 1) * len(self.trainings) + fold + 1
        self.listen(RunStarted(name, recipe.training.epochs, steps, place, job.of * len(self.trainings), self.best))
        network = self._network(recipe, seed)
        keeper = None if self.folder is None else self.folder.checkpoint(recipe, seed - self.seed, fold)
        watch = _Watch(self.listen, job.laggards, recipe.training.epochs)
        trained, seconds = _finished_before(keeper, network)
        if trained is None:
            try:
                trained = train(
                    network,
                    recipe.training,
                    train_rows,
                    val_rows,
                    seed=seed,
                    judge=Judge(self.target.metric, partial(self._judge, data)),
                    on_event=watch,
                    keeper=keeper,
                )
            except TrainingDivergedError:
                self.listen(RunEnded(name, "diverged"))
                raise
            if watch.lagged and not self.stopped:
                trained = replace(trained, state="pruned")
            self.stopped = self.stopped or trained.state == "stopped"
        unseen: Part = "test" if folded else "val"
        said: dict[Part, Said] = {
            "train": self._ask(network, data.split.rows("train")),
            "val": self._ask(network, data.split.rows(unseen)),
        }
        member = _Member(network, trained, seconds + time.perf_counter() - began, said)
        if keeper is not None and trained.state != "stopped":
            keeper.save(_finished(member))
        self.listen(RunEnded(name, trained.state))
        return member

    def attempt(self, jobs: Sequence[Job]) -> list[Trained]:
        """As `run`, one job after the other until training is stopped, but a recipe that diverges is only noted."""
        trained: list[Trained] = []
        for job in jobs:
            if self.stopped:
                break
            began = time.perf_counter()
            try:
                trained.append(self.run(job))
            except TrainingDivergedError:
                seconds = time.perf_counter() - began
                trained.append(Trained(Run.diverged(job.recipe, self.data.lock, seconds), nn.Identity()))
        return trained

    def ensemble(self, several: Sequence[Trained], like: Trained) -> Trained:
        """All networks of `several` as one, in place of `like`, whose recipe and history it bears."""
        parts: tuple[Part, ...] = ("train", "val")
        said = {part: mean_of([one.said[part] for one in several]) for part in parts}
        networks = [network for one in several for network in _networks(one.network)]
        run = replace(
            like.run,
            recipe=replace(like.run.recipe, name=f"ensemble of {len(networks)}"),
            scores={part: score(said[part].labels_NL, said[part].probabilities_NL) for part in parts},
            parameters=sum(one.run.parameters for one in several),
            seconds=sum(one.run.seconds for one in several),
        )
        return Trained(run, Ensemble(networks), tuple(recipe for one in several for recipe in one.members), said)

    def appraise(self, trained: Trained) -> Trained:
        """Score the delivered weights on test, once, at the end; fit what decides; say how sure all of it is."""
        verify(self.data)
        run, said = trained.run, dict(trained.said)
        for part in ("calibrate", "test"):
            rows = self.data.split.rows(part)
            if len(rows):
                said[part] = self._ask(trained.network, rows)
        seen_NL = self.data.labels("train") if self.data.split.folds is None else None
        appraisal = appraise(said, self.wish, seen_NL=seen_NL, seed=self.seed)
        test = said.get("test")
        run = replace(
            run,
            scores={**run.scores, "test": None if test is None else score(test.labels_NL, test.probabilities_NL)},
            constant={**run.constant, "test": None if test is None else self._constant("test", test.labels_NL)},
            decided=appraisal.decided,
        )
        return replace(trained, run=run, said=said, appraisal=appraisal)

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
            self.folder = folder
            return self._result(command, work(), folder)

    def _result(self, command: Mapping[str, Any], work: Work, folder: RunFolder | None) -> Result:
        record = result_record(
            command, work, self.data, self.target, self.device.type, time.perf_counter() - self.began
        )
        after = work.after
        decider = Decider() if after.appraisal is None else after.appraisal.decider
        bundle = Bundle.of(after.network, after.members, after.run, decider, self.constant, self.data)
        if folder is not None:
            with writable(folder.path):
                write_bundle(folder.bundle, bundle)
                folder.write_result(record)
            if work.complete:
                folder.forget_checkpoints()
        return Result(record, Tagger(bundle, self.device.type), None if folder is None else folder.path)

    def longest(self, recipe: Recipe) -> float:
        """Seconds that `recipe` would train without early stopping."""
        train_rows, val_rows = (LabelledRows.of(self.trainings[0], part, self.device) for part in ("train", "val"))
        once = longest_training(self._network(recipe), recipe.training, train_rows, val_rows)
        return once * len(self.trainings)

    def parameters(self, recipe: Recipe) -> int:
        return sum(p.numel() for p in self._network(recipe).parameters())

    def _bytes_kept(self, recipes: Sequence[Recipe]) -> int:
        """About what a run folder takes at most: every recipe's weights, thrice more of the one in training."""
        sizes = [4 * self.parameters(recipe) for recipe in recipes]
        return (sum(sizes) + 2 * max(sizes)) * len(self.trainings) + 4 * max(sizes)

    def _network(self, recipe: Recipe, seed: int = 0) -> nn.Module:
        dataset = self.data.dataset
        network = build_network(recipe, dataset.preprocessing.shape, len(dataset.label_names), seed=seed)
        return network.to(self.device)

    def _constant(self, part: Part, labels_NL: NDArray[np.int8]) -> Scores:
        """What the constant answer gets: the same for every run, so it is scored once a part."""
        key = (part, len(labels_NL))  # of folds, fewer where training was stopped
        if key not in self._constant_scores:
            self._constant_scores[key] = self.constant.score(labels_NL)
        return self._constant_scores[key]

    def _ask(self, network: nn.Module, rows: NDArray[np.intp]) -> Said:
        dataset, groups = self.data.dataset, self.data.split.groups
        samples = Samples.of(dataset.x, dataset.preprocessing, self.device)
        belongs_to = rows if groups is None else groups[rows]
        return Said(dataset.labels_NL[rows], probabilities(network, samples, rows), belongs_to)

    def _judge(self, data: LockedData, part: Part, probabilities_NL: NDArray[np.float32]) -> float | None:
        return score_one(self.target.metric, data.labels(part), probabilities_NL)


def _networks(network: nn.Module) -> list[nn.Module]:
    return list(network.members) if isinstance(network, Ensemble) else [network]


def _history(members: Sequence[_Member], folded: bool) -> tuple[Mapping[str, float | None], ...]:
    """The rows of all epochs; of one fold after the other, with its number."""
    if not folded:
        return members[0].trained.history
    return tuple({"fold": fold, **row} for fold, member in enumerate(members, 1) for row in member.trained.history)


def _fold_run(member: _Member) -> FoldRun:
    scores: dict[str, Scores | None] = {}
    for part, said in member.said.items():
        scores[part] = score(said.labels_NL, said.probabilities_NL)
    return FoldRun(scores, member.trained.delivered_epoch)


def _cut_short(last: _Member) -> Literal["stopped", "pruned"]:
    """Why the other folds were left out."""
    return "pruned" if last.trained.state == "pruned" else "stopped"


def _finished(member: _Member) -> bytes:
    """What is kept of a training that is over, in place of its checkpoint."""
    trained = member.trained
    facts: dict[str, Any] = {"history": trained.history, "delivered_epoch": trained.delivered_epoch}
    facts |= {"seconds": member.seconds, "state": trained.state}
    return checkpoint.pack(member.network.state_dict(), {"finished": facts})


def _finished_before(keeper: checkpoint.Keeper | None, network: nn.Module) -> tuple[loop.Trained | None, float]:
    """How the training went and how long it took, with its weights put into `network`; None if it is not over."""
    tensors, facts = checkpoint.kept(keeper) or ({}, {})
    if "finished" not in facts:
        return None, 0.0
    network.load_state_dict(tensors)
    network.eval()
    facts = facts["finished"]
    return loop.Trained(tuple(facts["history"]), facts["delivered_epoch"], facts["state"]), facts["seconds"]
