"""A session: recipes trained on one lock with one seed, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tagfit.bundle.bundle import Bundle, write_bundle
from tagfit.data.folds import trainings
from tagfit.data.lock import verify
from tagfit.decisions.appraisal import appraise, joined, mean_of
from tagfit.decisions.decider import Decider, DecisionObjective, Predictions
from tagfit.decisions.recalibration import crossfitted, fit_recalibration
from tagfit.diagnosis.evidence import Evidence
from tagfit.diagnosis.registry import OF_MODEL, look
from tagfit.errors import TagfitError
from tagfit.inference.tagger import Tagger
from tagfit.io.files import writable
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.metrics.curves import Line
from tagfit.metrics.intervals import LEAST, Spread
from tagfit.metrics.scores import score
from tagfit.models.ensemble import Ensemble, members_of
from tagfit.models.registry import recalibrate_output
from tagfit.recipes import Recipe
from tagfit.records.data import NO, PARTS, LockedData, Part, Split
from tagfit.records.runs import Finding, FoldRun, Run, Units
from tagfit.records.scores import Scores, Target
from tagfit.report.files import read_context, write_report
from tagfit.runs.folder import RunFolder, claim
from tagfit.runs.model_card import model_card
from tagfit.runs.result import Result, Trained, Work, predictions_of, result_record
from tagfit.search.sampler import Pruner
from tagfit.training.events import Listener
from tagfit.training.inference import dead_units, probabilities
from tagfit.training.inputs import NetworkInputs
from tagfit.training.trainer import Outcome, Task, Trainer

#: samples of train that are asked for dead units
MOST_ASKED = 512

_NONE: Mapping[Part, Spread] = {}


@dataclass(frozen=True)
class Job:
    """A recipe to train.

    Attributes:
        number, of: which training of how many, for progress bars.
        seed: the session's own unless given.
        laggards: says when it lags so far behind that it is not worth going on.
        curve: whether train is scored now and then, for a curve beside val's.
    """

    recipe: Recipe
    number: int = 1
    of: int = 1
    seed: int | None = None
    pruner: Pruner | None = None
    curve: bool = False


@dataclass(frozen=True, eq=False)
class _Member:
    """One network, and what it says: all there is or, where there are folds, the network of one."""

    outcome: Outcome
    predictions: Mapping[Part, Predictions]
    level: Line | None = None


@dataclass
class Session:
    """Trains recipes on one lock with one seed, and remembers whether it was asked to stop.

    Attributes:
        trainer: makes what trains: here, or on a cluster.
        best: the best score on val so far, for progress bars.
    """

    data: LockedData
    target: Target
    seed: int
    device: torch.device
    on_event: Listener
    wish: DecisionObjective = field(default_factory=DecisionObjective)
    trainer: Callable[[NetworkInputs, str, Listener], Trainer] = Trainer
    best: float | None = None
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        known = self.data.labels("train")
        # of a label that is known to be yes at most, the best constant baseline would be yes
        self.constant = ConstantBaseline.choose(np.maximum(known, NO) if self.data.single_positive else known)
        self.trainings = trainings(self.data)
        self._constant_scores: dict[tuple[Part, int], Scores] = {}
        self.folder: RunFolder | None = None
        self._inputs = NetworkInputs.of(self.data.dataset, self.device, self.on_event)
        self._trainer = self.trainer(self._inputs, self.target.metric, self.on_event)

    @property
    def stopped(self) -> bool:
        """Whether somebody asked to stop."""
        return self._trainer.stopped

    def run(self, job: Job) -> Trained:
        """Train a recipe, once for each fold where there are folds, and score it on train and val, not on test.

        In a run folder it goes on where a checkpoint was left, and takes what was finished already as it is.

        Raises:
            TrainingDivergedError: its loss became unusable.
        TagfitError: the machines that it was trained on failed.
        """
        outcomes = self._train([job])[0]
        for outcome in outcomes:
            if outcome.diverged is not None:
                raise outcome.diverged
            if outcome.failed:
                raise TagfitError(f"{outcome.task.name}: {outcome.failed}")
        return self._scored(job.recipe, outcomes)

    def attempt(self, jobs: Sequence[Job]) -> list[Trained]:
        """As `run`, several at a time, until training is stopped; a recipe that diverges or fails is only noted."""
        return [
            self._without_weights(job.recipe, outcomes)
            if any(outcome.state in ("diverged", "failed") for outcome in outcomes)
            else self._scored(job.recipe, outcomes)
            for job, outcomes in zip(jobs, self._train(jobs), strict=False)
        ]

    def _train(self, jobs: Sequence[Job]) -> list[list[Outcome]]:
        """What the networks of each job came to, up to one that did not finish; fewer jobs where it was stopped."""
        if not jobs:
            return []
        verify(self.data)
        tasks = [[self._task(job, fold) for fold in range(len(self.trainings))] for job in jobs]
        every = [task for several in tasks for task in several]
        outcome_of: Callable[[Task], Outcome | None] = self._one_by_one
        if self._trainer.side_by_side(every):
            outcome_of = {outcome.task: outcome for outcome in self._trainer.train_together(every)}.get
        found = [_up_to_unfinished(map(outcome_of, several)) for several in tasks]
        verify(self.data)
        return [outcomes for outcomes in found if outcomes]

    def _one_by_one(self, task: Task) -> Outcome | None:
        return None if self.stopped else self._trainer.train(task)

    def _task(self, job: Job, fold: int) -> Task:
        count, folded = len(self.trainings), self.data.split.folds is not None
        seed = self.seed if job.seed is None else job.seed
        return Task(
            recipe=job.recipe,
            data=self.trainings[fold],
            seed=seed,
            name=f"{job.recipe.name}, fold {fold + 1}" if folded else job.recipe.name,
            number=(job.number - 1) * count + fold + 1,
            of=job.of * count,
            best=self.best,
            checkpoints=None if self.folder is None else self.folder.checkpoint(job.recipe, seed - self.seed, fold),
            pruner=job.pruner,
            curve=job.curve,
        )

    def _scored(self, recipe: Recipe, outcomes: Sequence[Outcome]) -> Trained:
        """The run of a recipe; what a network has not seen is val or, where there are folds, test."""
        began, folded = time.perf_counter(), self.data.split.folds is not None
        members = [self._member(outcome) for outcome in outcomes]
        predictions: dict[Part, Predictions] = {
            part: joined([one.predictions[part] for one in members]) for part in ("train", "val")
        }
        networks, last = [outcome.network for outcome in outcomes], outcomes[-1]
        whole = len(outcomes) == len(self.trainings)
        scores: dict[str, Scores | None] = {part: self._scores(part, one) for part, one in predictions.items()}
        run = Run(
            recipe=recipe,
            lock=self.data.lock,
            scores=scores,
            constant={
                part: self._constant(part, one.labels_NL) if scores[part] else None for part, one in predictions.items()
            },
            history=_history(outcomes, folded),
            delivered_epoch=None if folded else last.trained.delivered_epoch,
            parameters=sum(p.numel() for network in networks for p in network.parameters()),
            seconds=sum(outcome.seconds for outcome in outcomes) + time.perf_counter() - began,
            state=last.trained.state if whole or last.trained.state != "finished" else "stopped",
            engine=last.engine,
            level=_mean_level([one.level for one in members if one.level is not None]),
            folds=tuple(map(_fold_run, members)) if folded else (),
        )
        return Trained(
            run, Ensemble(networks) if len(networks) > 1 else networks[0], (recipe,) * len(networks), predictions
        )

    def _member(self, outcome: Outcome) -> _Member:
        """What a network says of train and of what it has not seen: val or, where there are folds, test.

        One whose loss shifts probabilities is levelled first, by a line fitted on its val; of val it says what lines
        fitted on other rows make of each.
        """
        split, level = outcome.task.data.split, None
        unseen: Part = "val" if self.data.split.folds is None else "test"
        if outcome.task.recipe.shifts:
            raw = self._ask(outcome.network, split.rows("val"))
            level = fit_recalibration(raw.labels_NL, raw.probabilities_NL)
            recalibrate_output(outcome.network, *level)
        if level is not None and unseen == "val":
            crossed = crossfitted(raw.labels_NL, raw.probabilities_NL, raw.groups, seed=self.seed)
            new = replace(raw, probabilities_NL=crossed)
        else:
            new = self._ask(outcome.network, split.rows(unseen))
        return _Member(outcome, {"train": self._ask(outcome.network, split.rows("train")), "val": new}, level)

    def _scores(self, part: Part, predictions: Predictions) -> Scores | None:
        """None of train where only yes is known there: any score of it would be of those alone."""
        if part == "train" and self.data.single_positive:
            return None
        return score(predictions.labels_NL, predictions.probabilities_NL)

    def _without_weights(self, recipe: Recipe, outcomes: Sequence[Outcome]) -> Trained:
        seconds = sum(outcome.seconds for outcome in outcomes)
        state: Literal["diverged", "failed"] = "failed" if any(one.failed for one in outcomes) else "diverged"
        return Trained(Run.without_weights(recipe, self.data.lock, seconds, state), nn.Identity())

    def ensemble(self, several: Sequence[Trained], like: Trained) -> Trained:
        """All networks of `several` as one, in place of `like`, whose recipe and history it bears."""
        parts: tuple[Part, ...] = ("train", "val")
        predictions = {part: mean_of([one.predictions[part] for one in several]) for part in parts}
        networks = [network for one in several for network in members_of(one.network)]
        run = replace(
            like.run,
            recipe=replace(like.run.recipe, name=f"ensemble of {len(networks)}"),
            scores={part: self._scores(part, predictions[part]) for part in parts},
            level=None,
            parameters=sum(one.run.parameters for one in several),
            seconds=sum(one.run.seconds for one in several),
        )
        return Trained(run, Ensemble(networks), tuple(recipe for one in several for recipe in one.members), predictions)

    def refit(self, trained: Trained) -> nn.Module | None:
        """The recipe trained again on all labelled rows but test, for as long as it was; None where it was stopped."""
        folds = trained.run.folds
        epochs = trained.run.delivered_epoch or round(sum(fold.delivered_epoch for fold in folds) / max(len(folds), 1))
        name = f"{trained.run.recipe.name}, refit"
        # of folds, the first brings the rows that a val loss is computed of; nothing depends on it
        data = self.data if not folds else replace(self.data, split=self._refit_split())
        outcome = self._trainer.train(Task(trained.run.recipe, data, self.seed, name, refit=max(epochs, 1)))
        if outcome.trained.state != "finished" or outcome.diverged is not None:
            return None
        if trained.run.level is not None:
            recalibrate_output(outcome.network, *trained.run.level)
        return outcome.network

    def _refit_split(self) -> Split:
        first = self.trainings[0].split
        parts = self.data.split.parts.copy()
        parts[first.rows("val")] = PARTS.index("val")
        return replace(self.data.split, parts=parts)

    def appraise(self, trained: Trained) -> Trained:
        """Score the delivered weights on test, once, at the end; fit what decides; say how sure all of it is."""
        verify(self.data)
        run, predictions = trained.run, dict(trained.predictions)
        if self.data.single_positive:
            del predictions["train"]
        for part in ("calibrate", "test"):
            rows = self.data.split.rows(part)
            if len(rows):
                predictions[part] = self._ask(trained.network, rows)
        seen_NL = self.data.labels("train") if self.data.split.folds is None else None
        appraisal = appraise(predictions, self.wish, seen_NL=seen_NL, seed=self.seed)
        test = predictions.get("test")
        run = replace(
            run,
            scores={**run.scores, "test": None if test is None else appraisal.spreads["test"].scores},
            constant={**run.constant, "test": None if test is None else self._constant("test", test.labels_NL)},
            decided=appraisal.decided,
        )
        findings = self.findings(trained, appraisal.spreads)
        return replace(trained, run=run, predictions=predictions, appraisal=appraisal, findings=findings)

    def findings(self, trained: Trained, spreads: Mapping[Part, Spread] = _NONE) -> tuple[Finding, ...]:
        """What is wrong with a run, as far as it takes no further training to see it; the worst first."""
        evidence = self.evidence(trained, spreads)
        return look(evidence if spreads else replace(evidence, resamples=LEAST), OF_MODEL).findings

    def evidence(self, trained: Trained, spreads: Mapping[Part, Spread] = _NONE) -> Evidence:
        """What a diagnosis may look at of a run, without test.

        Args:
            spreads: what is known of its scores already.
        """
        predictions: dict[Part, Predictions] = {
            part: trained.predictions[part] for part in ("train", "val") if part in trained.predictions
        }
        return Evidence(
            target=self.target,
            recipe=trained.run.recipe,
            label_names=self.data.dataset.label_names,
            history=trained.run.history,
            samples=self.trainings[0].split.counts["train"],
            data=self.data,
            predictions=predictions,
            constant=self.constant,
            units=lambda: self._units(trained.network),
            seed=self.seed,
            spreads=spreads,
        )

    def _units(self, network: nn.Module) -> list[Units]:
        return dead_units(network, self._inputs, self.data.split.rows("train")[:MOST_ASKED])

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
                return Result(earlier, Tagger.load(folder.path, runtime="torch"), folder.path, fresh=False)
            folder.check_room(self._bytes_kept(recipes))
            self.folder = folder
            return self._result(command, work(), folder)

    def _result(self, command: Mapping[str, Any], work: Work, folder: RunFolder | None) -> Result:
        record = result_record(
            command, work, self.data, self.target, self.device.type, time.perf_counter() - self.began
        )
        after = work.after
        bundle = self.bundle(after)
        if work.refit is not None:
            bundle = bundle.refitted(work.refit)
        if folder is not None:
            with writable(folder.path):
                write_bundle(folder.bundle, bundle, model_card(record))
                folder.write_predictions(predictions_of(work, self.data).to_files())
                folder.write_result(record)
                write_report(folder.path, read_context(folder.path))
            if work.complete:
                folder.forget_checkpoints()
        return Result(record, Tagger(bundle, self.device.type), None if folder is None else folder.path)

    def bundle(self, trained: Trained) -> Bundle:
        """What is handed over of it; nothing is calibrated unless it was appraised."""
        decider = Decider() if trained.appraisal is None else trained.appraisal.decider
        return Bundle.of(trained.network, trained.members, trained.run, decider, self.constant, self.data)

    def longest(self, recipes: Sequence[Recipe]) -> float:
        """Seconds that `recipes` would train, once for each fold, without early stopping."""
        return self._trainer.longest([self._task(Job(recipe), 0) for recipe in recipes], len(self.trainings))

    def parameters(self, recipe: Recipe) -> int:
        return sum(p.numel() for p in self._trainer.network(recipe, self.data, self.seed).parameters())

    def _bytes_kept(self, recipes: Sequence[Recipe]) -> int:
        """About what a run folder takes at most: every recipe's weights, thrice more of the one in training."""
        sizes = [4 * self.parameters(recipe) for recipe in recipes]
        return (sum(sizes) + 2 * max(sizes)) * len(self.trainings) + 4 * max(sizes)

    def _constant(self, part: Part, labels_NL: NDArray[np.int8]) -> Scores:
        """What the constant baseline gets: the same for every run, so it is scored once a part."""
        key = (part, len(labels_NL))  # of folds, fewer where training was stopped
        if key not in self._constant_scores:
            self._constant_scores[key] = self.constant.score(labels_NL)
        return self._constant_scores[key]

    def _ask(self, network: nn.Module, rows: NDArray[np.intp]) -> Predictions:
        return Predictions.of(self.data, rows, probabilities(network, self._inputs, rows))


def _mean_level(levels: Sequence[Line]) -> tuple[float, float] | None:
    """Of folds, what a network trained again on all of them is given."""
    if not levels:
        return None
    slope, shift = np.mean(levels, axis=0).tolist()
    return slope, shift


def _up_to_unfinished(outcomes: Iterable[Outcome | None]) -> list[Outcome]:
    """The networks of one recipe: none is asked for after one that did not finish, or that was not trained."""
    kept: list[Outcome] = []
    for outcome in outcomes:
        if outcome is None:
            break
        kept.append(outcome)
        if outcome.trained.state != "finished":
            break
    return kept


def _history(outcomes: Sequence[Outcome], folded: bool) -> tuple[Mapping[str, float | None], ...]:
    """The rows of all epochs; of one fold after the other, with its number."""
    if not folded:
        return outcomes[0].trained.history
    return tuple({"fold": fold, **row} for fold, outcome in enumerate(outcomes, 1) for row in outcome.trained.history)


def _fold_run(member: _Member) -> FoldRun:
    scores: dict[str, Scores | None] = {}
    for part, predictions in member.predictions.items():
        scores[part] = score(predictions.labels_NL, predictions.probabilities_NL)
    return FoldRun(scores, member.outcome.trained.delivered_epoch)
