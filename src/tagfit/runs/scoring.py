"""Training results become scored models.

Shapes: N samples, L labels.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tagfit.data.folds import trainings
from tagfit.decisions.appraisal import joined, mean_of
from tagfit.decisions.decider import Predictions
from tagfit.decisions.recalibration import crossfitted, fit_recalibration
from tagfit.metrics.averaging import SecondPredictions
from tagfit.metrics.baselines import ConstantBaseline, only_answers
from tagfit.metrics.curves import SigmoidCurve
from tagfit.metrics.scores import count_left_out, score
from tagfit.models.ensemble import Ensemble, members_of
from tagfit.models.registry import fix_output, recalibrate_output
from tagfit.recipes import SINGLE_POSITIVE_LOSSES, Recipe
from tagfit.records.data import NO, LockedData, Part
from tagfit.records.runs import FoldRun, Folds, Row, Run
from tagfit.records.scores import ByPart, Scores
from tagfit.training.inference import probabilities
from tagfit.training.inputs import NetworkInputs
from tagfit.training.job import TrainingResult
from tagfit.training.trained import TrainedModel

#: what a recipe is scored on while others are tried
TRIED_ON: tuple[Part, ...] = ("train", "val")


class Scorer:
    """Scores what was trained on one lock.

    Attributes:
        trainings: what each network is trained on: one or, where there are folds, one a fold.
        constant: the constant baseline, chosen on train.
    """

    def __init__(self, data: LockedData, inputs: NetworkInputs, seed: int) -> None:
        self._data, self._inputs, self._seed = data, inputs, seed
        self.trainings = trainings(data)
        known = data.labels("train")
        # of a label that is known to be yes at most, the best constant answer would be yes
        self.constant = ConstantBaseline.choose(np.maximum(known, NO) if data.single_positive else known)
        self._constant_scores: dict[tuple[Part, int], Scores] = {}

    @property
    def folded(self) -> bool:
        return self._data.split.folds is not None

    def scored(self, recipe: Recipe, results: Sequence[TrainingResult]) -> TrainedModel:
        """A recipe's networks, scored on train and on what they have not seen: val or, where there are folds, test."""
        began = time.perf_counter()
        members = [self._member(recipe, fold, result) for fold, result in enumerate(results)]
        predictions = {part: joined([member[part] for member, _ in members]) for part in TRIED_ON}
        lines = [line for _, line in members if line is not None]
        networks, last = [result.network for result in results], results[-1]
        state = last.state
        run = Run(
            recipe=recipe,
            lock=self._data.lock,
            scores=self.scores(predictions),
            constant={
                part: None if self._unscored(part) else self.constant_score(part, one.labels_NL)
                for part, one in predictions.items()
            },
            history=_history(results, self.folded),
            delivered_epoch=None if self.folded else last.delivered_epoch,
            parameters=sum(p.numel() for network in networks for p in network.parameters()),
            seconds=sum(result.seconds for result in results) + time.perf_counter() - began,
            state="stopped" if state == "finished" and len(results) < len(self.trainings) else state,
            engine=last.engine,
            recalibration=_mean_line(lines),
            folds=Folds.over([_fold_run(*both) for both in zip(members, results, strict=True)])
            if self.folded
            else None,
        )
        network = Ensemble(networks) if len(networks) > 1 else networks[0]
        second = self._second(networks) if self.folded and len(networks) == len(self.trainings) else None
        return TrainedModel(run, network, (recipe,) * len(networks), predictions, second)

    def without_weights(self, recipe: Recipe, results: Sequence[TrainingResult]) -> TrainedModel:
        """A recipe that diverged or failed: there is nothing to score."""
        state: Literal["diverged", "failed"] = (
            "failed" if any(result.state == "failed" for result in results) else "diverged"
        )
        nothing: ByPart = dict.fromkeys(TRIED_ON)
        seconds = sum(result.seconds for result in results)
        run = Run(recipe, self._data.lock, nothing, nothing, delivered_epoch=0, seconds=seconds, state=state)
        return TrainedModel(run, nn.Identity())

    def ensemble(self, several: Sequence[TrainedModel], like: TrainedModel) -> TrainedModel:
        """All networks of `several` as one, in place of `like`, whose recipe and history it bears."""
        predictions = {part: mean_of([one.predictions[part] for one in several]) for part in TRIED_ON}
        networks = [network for one in several for network in members_of(one.network)]
        run = replace(
            like.run,
            recipe=replace(like.run.recipe, name=f"ensemble of {len(networks)}"),
            scores=self.scores(predictions),
            recalibration=None,
            parameters=sum(one.run.parameters for one in several),
            seconds=sum(one.run.seconds for one in several),
        )
        members = tuple(recipe for one in several for recipe in one.members)
        seconds = [one.second for one in several if one.second is not None]
        second = SecondPredictions.mean_of(seconds) if len(seconds) == len(several) else None
        return TrainedModel(run, Ensemble(networks), members, predictions, second)

    def fixed(self, recipe: Recipe, rows: NDArray[np.intp]) -> dict[int, float]:
        """Logits of labels that a network trained on `rows` can say nothing about, by index.

        Of losses that take unknown labels for something, none are fixed.
        """
        if self._data.single_positive or recipe.training.loss in SINGLE_POSITIVE_LOSSES:
            return {}
        return only_answers(self._data.dataset.labels_NL[rows])

    def predict(self, network: nn.Module, rows: NDArray[np.intp]) -> Predictions:
        """What a network predicts of some rows of the data."""
        return Predictions.of(self._data, rows, probabilities(network, self._inputs, rows))

    def scores(self, predictions: Mapping[Part, Predictions]) -> dict[str, Scores | None]:
        """By part; None of train where only yes is known there: any score of it would be of those alone."""
        return {
            part: None if self._unscored(part) else score(one.labels_NL, one.probabilities_NL)
            for part, one in predictions.items()
        }

    def left_out(self, predictions: Mapping[Part, Predictions]) -> dict[str, dict[str, int]]:
        """By part and metric, how many labels or samples its mean leaves out."""
        return {
            part: count_left_out(one.labels_NL, one.probabilities_NL)
            for part, one in predictions.items()
            if len(one) and not self._unscored(part)
        }

    def constant_score(self, part: Part, labels_NL: NDArray[np.int8]) -> Scores:
        """What the constant baseline gets: the same for every run, so it is scored once a part."""
        key = (part, len(labels_NL))  # of folds, fewer where training was stopped
        if key not in self._constant_scores:
            self._constant_scores[key] = self.constant.score(labels_NL)
        return self._constant_scores[key]

    def _second(self, networks: Sequence[nn.Module]) -> SecondPredictions:
        """What each fold's network says of the samples that it stopped by: those of other folds."""
        place_N = np.full(len(self._data.dataset), -1, dtype=np.intp)
        scored = np.concatenate([training.split.rows("test") for training in self.trainings])
        place_N[scored] = np.arange(len(scored))
        rows = [training.split.rows("val") for training in self.trainings]
        said = [self.predict(network, some).probabilities_NL for network, some in zip(networks, rows, strict=True)]
        return SecondPredictions(place_N[np.concatenate(rows)], np.concatenate(said))

    def _unscored(self, part: Part) -> bool:
        return part == "train" and self._data.single_positive

    def _member(
        self, recipe: Recipe, fold: int, result: TrainingResult
    ) -> tuple[dict[Part, Predictions], SigmoidCurve | None]:
        """What a network predicts of train and of what it has not seen, and the line that its logits were given.

        One whose loss shifts probabilities is recalibrated first, by a line fitted on its val; of val each prediction
        is made by a line that was fitted on other rows. Labels of which train knows one answer alone get that answer.
        """
        split = self.trainings[fold].split
        unseen: Part = "test" if self.folded else "val"
        line, fixed = None, self.fixed(recipe, split.rows("train"))
        fix_output(result.network, fixed)
        if recipe.shifts:
            raw = self.predict(result.network, split.rows("val"))
            line = fit_recalibration(raw.labels_NL, raw.probabilities_NL)
            recalibrate_output(result.network, line.slope, line.shift)
            fix_output(result.network, fixed)
        if line is not None and not self.folded:
            others = crossfitted(raw.labels_NL, raw.probabilities_NL, raw.groups, seed=self._seed)
            others[:, [*fixed]] = raw.probabilities_NL[:, [*fixed]]
            new = replace(raw, probabilities_NL=others)
        else:
            new = self.predict(result.network, split.rows(unseen))
        return {"train": self.predict(result.network, split.rows("train")), "val": new}, line


def _mean_line(lines: Sequence[SigmoidCurve]) -> tuple[float, float] | None:
    """Of folds, what a network trained again on all of them is given."""
    if not lines:
        return None
    return float(np.mean([one.slope for one in lines])), float(np.mean([one.shift for one in lines]))


def _history(results: Sequence[TrainingResult], folded: bool) -> tuple[Row, ...]:
    """The rows of all epochs; of one fold after the other, with its number."""
    if not folded:
        return results[0].history
    return tuple({"fold": fold, **row} for fold, result in enumerate(results, 1) for row in result.history)


def _fold_run(member: tuple[Mapping[Part, Predictions], SigmoidCurve | None], result: TrainingResult) -> FoldRun:
    scores: ByPart = {part: score(one.labels_NL, one.probabilities_NL) for part, one in member[0].items()}
    return FoldRun(scores, result.delivered_epoch)
