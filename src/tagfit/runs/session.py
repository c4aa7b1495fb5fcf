"""A session: recipes trained on one lock with one seed, and scored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tagfit.data.lock import verify
from tagfit.decisions.appraisal import appraise
from tagfit.decisions.decider import DecisionObjective
from tagfit.diagnosis.evidence import Evidence
from tagfit.diagnosis.registry import FREE, look
from tagfit.errors import DataError
from tagfit.io.free_memory import memory_fault
from tagfit.metrics.intervals import LEAST, Spread, bytes_taken
from tagfit.models.registry import count_weights, fix_output, recalibrate_output
from tagfit.recipes import Recipe
from tagfit.records.data import PARTS, LockedData, Part, Split
from tagfit.records.runs import Finding, Units
from tagfit.records.scores import Target
from tagfit.runs.folder import RunFolder
from tagfit.runs.scoring import TRIED_ON, Scorer
from tagfit.training.events import Listener, StageStarted
from tagfit.training.inference import dead_units
from tagfit.training.inputs import NetworkInputs
from tagfit.training.job import REFITTED, TrainingJob, TrainingResult
from tagfit.training.trained import TrainedModel
from tagfit.training.trainer import Trainer

#: samples of train that are looked at for dead units
MOST_ASKED = 512

_NONE: Mapping[Part, Spread] = {}


@dataclass
class Session:
    """Trains recipes on one lock with one seed, and remembers whether it was asked to stop.

    Attributes:
        trainer: makes what trains: here, or on a cluster.
        best: the best score on val so far, for progress bars.
        folder: where checkpoints are kept; None where no run folder is written.
    """

    data: LockedData
    target: Target
    seed: int
    device: torch.device
    on_event: Listener
    objective: DecisionObjective = field(default_factory=DecisionObjective)
    trainer: Callable[[NetworkInputs, str, Listener], Trainer] = Trainer
    best: float | None = None
    began: float = field(default_factory=time.perf_counter)
    folder: RunFolder | None = None

    def __post_init__(self) -> None:
        samples, labels = scored_samples(self.data), len(self.data.dataset.label_names)
        if fault := memory_fault(bytes_taken(samples, labels), f"scoring {labels:,} labels of {samples:,} samples"):
            raise DataError(fault, "Use fewer samples or labels, or a machine with more memory.")
        self._inputs = NetworkInputs.of(self.data.dataset, self.device, self.on_event)
        self._trainer = self.trainer(self._inputs, self.target.metric, self.on_event)
        self._scorer = Scorer(self.data, self._inputs, self.seed)
        self.constant = self._scorer.constant

    @property
    def stopped(self) -> bool:
        """Whether somebody asked to stop."""
        return self._trainer.stopped

    @property
    def journal(self) -> Path | None:
        """Where a search keeps what it has tried."""
        return None if self.folder is None else self.folder.journal

    def job(self, recipe: Recipe) -> TrainingJob:
        """A job of this session, for `run`."""
        return TrainingJob(recipe, self.data, self.seed)

    # ---------------------------------------------------------------------------------------- training

    def run(self, job: TrainingJob) -> TrainedModel:
        """Train a recipe, once for each fold where there are folds, and score it on train and val, not on test.

        In a run folder it goes on where a checkpoint was left, and takes what was finished already as it is.

        Raises:
            TrainingDivergedError: its loss became unusable.
            TagfitError: the machines that it was trained on failed.
            KeyboardInterrupt: it was stopped before it had reached anything.
        """
        results = next(iter(self._train([job])), None)
        if results is None:
            raise KeyboardInterrupt  # before it had reached anything
        for result in results:
            if result.error is not None:
                raise result.error
        return self._scorer.scored(job.recipe, results)

    def attempt(self, jobs: Sequence[TrainingJob]) -> list[TrainedModel]:
        """As `run`, several at a time, until training is stopped; a recipe that diverges or fails is only noted."""
        return [
            self._scorer.without_weights(job.recipe, results)
            if any(result.error is not None for result in results)
            else self._scorer.scored(job.recipe, results)
            for job, results in zip(jobs, self._train(jobs), strict=False)
        ]

    def refit(self, trained: TrainedModel) -> TrainedModel | None:
        """The recipe trained again on all labelled rows but test, for as long as it was; None where it was stopped."""
        run, folds = trained.run, trained.run.folds
        epochs = run.delivered_epoch or 0
        if folds is not None:
            epochs = round(sum(fold.delivered_epoch for fold in folds.each) / len(folds.each))
        # of folds, the first brings the rows that a val loss is computed of; nothing depends on it
        data = self.data if folds is None else replace(self.data, split=self._refit_split())
        name = f"{run.recipe.name}, refit"
        result = self._trainer.train(TrainingJob(run.recipe, data, self.seed, name, refit=max(epochs, 1)))
        if result.state != "finished":
            return None
        if run.recalibration is not None:
            recalibrate_output(result.network, *run.recalibration)
        rows = np.concatenate([self.data.split.rows(part) for part in REFITTED])
        fix_output(result.network, self._scorer.fixed(run.recipe, rows))
        return TrainedModel(run, result.network, trained.members)

    def longest(self, recipes: Sequence[Recipe]) -> float:
        """Seconds that `recipes` would train, once for each fold, without early stopping."""
        trainings = self._scorer.trainings
        return self._trainer.longest([self._of_fold(self.job(recipe), 0) for recipe in recipes], len(trainings))

    def bytes_kept(self, recipes: Sequence[Recipe]) -> int:
        """About what a run folder takes at most: every recipe's weights, thrice more of the one in training."""
        sizes = [4 * count_weights(recipe, self.data.dataset) for recipe in recipes]
        return (sum(sizes) + 2 * max(sizes)) * len(self._scorer.trainings) + 4 * max(sizes)

    def _train(self, jobs: Sequence[TrainingJob]) -> list[list[TrainingResult]]:
        """The results of each job, one a fold, up to one that did not finish; fewer jobs where it was stopped."""
        if not jobs:
            return []
        verify(self.data)
        by_job = [[self._of_fold(job, fold) for fold in range(len(self._scorer.trainings))] for job in jobs]
        every = [one for several in by_job for one in several]
        result_of: Callable[[TrainingJob], TrainingResult | None] = self._one_by_one
        if self._trainer.side_by_side(every):
            result_of = dict(zip(every, self._trainer.train_together(every), strict=False)).get
        return list(takewhile(bool, (_up_to_unfinished(map(result_of, several)) for several in by_job)))

    def _one_by_one(self, job: TrainingJob) -> TrainingResult | None:
        return None if self.stopped else self._trainer.train(job)

    def _of_fold(self, job: TrainingJob, fold: int) -> TrainingJob:
        count, name = len(self._scorer.trainings), job.recipe.name
        return replace(
            job,
            data=self._scorer.trainings[fold],
            name=f"{name}, fold {fold + 1}" if self._scorer.folded else name,
            number=(job.number - 1) * count + fold + 1,
            of=job.of * count,
            best=self.best,
            checkpoints=None if self.folder is None else self.folder.checkpoint(job.recipe, job.seed - self.seed, fold),
        )

    def _refit_split(self) -> Split:
        parts = self.data.split.parts.copy()
        parts[self._scorer.trainings[0].split.rows("val")] = PARTS.index("val")
        return replace(self.data.split, parts=parts)

    # ----------------------------------------------------------------------------------------- scoring

    def ensemble(self, several: Sequence[TrainedModel], like: TrainedModel) -> TrainedModel:
        """All networks of `several` as one, in place of `like`, whose recipe and history it bears."""
        return self._scorer.ensemble(several, like)

    def appraise(self, trained: TrainedModel) -> TrainedModel:
        """Score the delivered weights on test, once, at the end; fit what decides; compute how sure all of it is."""
        verify(self.data)
        self.on_event(StageStarted("scoring, computing intervals"))
        run, predictions = trained.run, dict(trained.predictions)
        if self.data.single_positive:
            del predictions["train"]
        for part in ("calibrate", "test"):
            rows = self.data.split.rows(part)
            if len(rows):
                predictions[part] = self._scorer.predict(trained.network, rows)
        seen_NL = None if self._scorer.folded else self.data.labels("train")
        appraisal = appraise(
            predictions,
            self.objective,
            seen_NL=seen_NL,
            seed=self.seed,
            second=trained.second,
            networks=len(self._scorer.trainings),
        )
        test = predictions.get("test")
        scored = {**run.scores, "test": None if test is None else appraisal.spreads["test"].scores}
        constant = None if test is None else self._scorer.constant_score("test", test.labels_NL)
        run = replace(
            run,
            scores=scored,
            constant={**run.constant, "test": constant},
            decided=appraisal.decided or scored,
            left_out=self._scorer.left_out({part: one for part, one in predictions.items() if part != "calibrate"}),
        )
        findings = self.findings(trained, appraisal.spreads)
        return replace(trained, run=run, predictions=predictions, appraisal=appraisal, findings=findings)

    def findings(self, trained: TrainedModel, spreads: Mapping[Part, Spread] = _NONE) -> tuple[Finding, ...]:
        """What is wrong with a run, as far as it takes no further training to see it; the worst first."""
        evidence = self.evidence(trained, spreads)
        return look(evidence if spreads else replace(evidence, resamples=LEAST), FREE).findings

    def evidence(self, trained: TrainedModel, spreads: Mapping[Part, Spread] = _NONE) -> Evidence:
        """What a diagnosis may look at of a run, without test.

        Args:
            spreads: what is known of its scores already.
        """
        return Evidence(
            target=self.target,
            recipe=trained.run.recipe,
            label_names=self.data.dataset.label_names,
            history=trained.run.history,
            samples=self._scorer.trainings[0].split.counts["train"],
            data=self.data,
            predictions={part: trained.predictions[part] for part in TRIED_ON if part in trained.predictions},
            constant=self.constant,
            units=lambda: self._units(trained.network),
            seed=self.seed,
            spreads=spreads,
        )

    def _units(self, network: nn.Module) -> list[Units]:
        return dead_units(network, self._inputs, self.data.split.rows("train")[:MOST_ASKED])


def scored_samples(data: LockedData) -> int:
    """Of the largest part that is scored at once: of folds, all that have labels but test."""
    counts = data.split.counts
    return max(counts["train"] + (counts["val"] if data.split.folds is not None else 0), counts["val"], counts["test"])


def _up_to_unfinished(results: Iterable[TrainingResult | None]) -> list[TrainingResult]:
    """The networks of one recipe: none is asked for after one that did not finish, or that was not trained."""
    kept: list[TrainingResult] = []
    for result in results:
        if result is None:
            break
        kept.append(result)
        if result.state != "finished":
            break
    return kept
