"""What a model is worth, part by part: how sure its scores are, what decides, and what its probabilities mean.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tagfit.decisions.decider import Decider, DecisionObjective, Predictions, fit_decider, with_guarantee
from tagfit.decisions.reliability import CalibrationReport, perfect_ece, probability_report
from tagfit.errors import DataError
from tagfit.metrics.averaging import SecondPredictions, averaged
from tagfit.metrics.intervals import Answers, Resampling, Spread, difference, resample
from tagfit.metrics.scores import Bools, Floats, Labels
from tagfit.metrics.titles import TITLES
from tagfit.records.data import Part
from tagfit.records.scores import METRICS, SCORED_PARTS, Differences, Interval, Scores, SmallSample


@dataclass(frozen=True, eq=False)
class Appraisal:
    """What a model is worth.

    Attributes:
        decider: fitted on calibrate, or on val where there is none or a guarantee keeps it for itself.
        decided: what the decider makes of the probabilities, by part; on the part it was fitted on, what deciders
            fitted on other rows make of each. Empty where nothing was asked for.
        spreads: the scores' resamples, by part.
        decided_spreads: those of `decided`.
        small_sample: what the scores owe to how few the samples are, by part.
        averaged: of folds, what the mean of their networks is estimated to score; else None.
        decisions: (n, L) bool by part, what the decider makes of each sample; cross-fitted as in `decided`.
        calibration: what the calibration brings.
        refusal: why a guarantee that was asked for cannot be given.
    """

    decider: Decider
    decided: Mapping[str, Scores | None]
    spreads: Mapping[Part, Spread]
    decided_spreads: Mapping[Part, Spread]
    calibration: CalibrationReport
    refusal: str | None = None
    small_sample: Mapping[Part, SmallSample] = field(default_factory=dict)
    decisions: Mapping[Part, Bools] = field(default_factory=dict)
    averaged: Spread | None = None

    def sentences(self, label_names: Sequence[str], metric: str) -> tuple[str, ...]:
        """What decides, in plain words, and what it brings on `metric`."""
        if self.refusal is not None:
            return (f"The guarantee cannot be given: {self.refusal}", "Labels are given above 0.5 instead.")
        if self.decider.guaranteed is not None:
            return (self.decider.guaranteed.sentence, self.decider.guaranteed.evidence)
        if self.decider.rule is None:
            return ()
        objective, fitted_on = self.decider.objective, self.decider.fitted_on
        told = [f"Labels decided for {objective}, fitted on {fitted_on}: {self.decider.rule.describe(label_names)}."]
        metric = objective if objective in METRICS else metric
        part: Part = "test" if "test" in self.spreads else "val"
        decided, at_half = self.decided_spreads[part], self.spreads[part]
        gain = difference(decided, at_half)[metric]
        if gain is not None:
            old, new = (getattr(spread.scores, metric) for spread in (at_half, decided))
            told.append(f"On {part}, {TITLES[metric]} changes with this from {old:.3f} to {new:.3f}, {gain}.")
        return tuple(told)

    @property
    def intervals(self) -> dict[str, dict[str, Interval | None]]:
        """Of the scores, by part and metric."""
        return {part: spread.intervals for part, spread in self.spreads.items()}

    @property
    def decided_intervals(self) -> dict[str, dict[str, Interval | None]]:
        """Of `decided`, by part and metric."""
        return {part: spread.intervals for part, spread in self.decided_spreads.items()}


def joined(several: Sequence[Predictions]) -> Predictions:
    """What several networks say, one after the other."""
    if len(several) == 1:
        return several[0]
    return Predictions(
        np.concatenate([predictions.labels_NL for predictions in several]),
        np.concatenate([predictions.probabilities_NL for predictions in several]),
        np.concatenate([predictions.belongs_to for predictions in several]),
    )


def mean_of(several: Sequence[Predictions]) -> Predictions:
    """What several networks say of the same samples, together: the mean of their probabilities."""
    first = several[0]
    probabilities = np.stack([predictions.probabilities_NL for predictions in several]).mean(axis=0, dtype=np.float64)
    return Predictions(first.labels_NL, probabilities.astype(np.float32), first.belongs_to)


def appraise(
    predictions: Mapping[Part, Predictions],
    asked: DecisionObjective,
    *,
    seen_NL: Labels | None,
    seed: int = 0,
    second: SecondPredictions | None = None,
    networks: int = 1,
) -> Appraisal:
    """Fit what decides, and say how sure every score is.

    Args:
        predictions: by part; val has to be there, and calibrate where there is a guarantee.
        asked: what labels are to be decided for.
        seen_NL: (M, L) the labels of train; None where they are those of val, as with folds.
        seed: deals the folds, and draws the resamples: the same for every model of the same parts.
        second, networks: of folds, what second networks say of samples of val, and how many folds there are.
    """
    part: Part = "calibrate" if "calibrate" in predictions and asked.guarantee is None else "val"
    fitted = fit_decider(predictions[part], part, asked.objective, seen_NL=seen_NL, seed=seed)
    decider, refusal = fitted.decider, None
    if asked.guarantee is not None:
        try:
            decider = with_guarantee(decider, asked.guarantee, predictions["calibrate"], seed=seed)
        except DataError as error:
            refusal = str(error)
    decisions = {name: decider.decide(here.probabilities_NL) for name, here in predictions.items()}
    if decider.rule is not None and decider.guaranteed is None:
        decisions[part] = fitted.decisions_NL
    spreads, decided_spreads = {}, {}
    for scored in SCORED_PARTS:
        if scored not in predictions or not len(predictions[scored]):
            continue
        here = predictions[scored]
        draw = Resampling.of(len(here), here.groups, seed=seed)
        spreads[scored] = resample(_answers(here), draw)
        if decider.rule is not None:
            probabilities = fitted.probabilities_NL
            if scored != part:
                probabilities = decider.probabilities(here.probabilities_NL)
            decided_spreads[scored] = resample(Answers(here.labels_NL, probabilities, decisions[scored]), draw)
    return Appraisal(
        decider=decider,
        decided={name: decided_spreads[name].scores if name in decided_spreads else None for name in SCORED_PARTS}
        if decided_spreads
        else {},
        spreads=spreads,
        decided_spreads=decided_spreads,
        calibration=calibration_report(predictions[part], fitted.probabilities_NL, decider),
        refusal=refusal,
        small_sample={scored: small_sample(predictions[scored], spread) for scored, spread in spreads.items()},
        decisions=decisions,
        averaged=None if second is None else averaged(spreads["val"], _answers(predictions["val"]), second, networks),
    )


def _answers(predictions: Predictions) -> Answers:
    return Answers(predictions.labels_NL, predictions.probabilities_NL)


def small_sample(predictions: Predictions, spread: Spread) -> SmallSample:
    """What the scores of these predictions owe to how few the samples are."""
    return SmallSample(perfect_ece(predictions.labels_NL, predictions.probabilities_NL), spread.corrected("map"))


def calibration_report(predictions: Predictions, probabilities_NL: Floats, decider: Decider) -> CalibrationReport:
    """What a calibration brings on rows that it was not fitted on."""
    return CalibrationReport(
        method=decider.calibration.method,
        fitted_on=decider.fitted_on,
        before=probability_report(predictions.labels_NL, predictions.probabilities_NL),
        after=probability_report(predictions.labels_NL, probabilities_NL),
    )


def differences(after: Mapping[Part, Spread], before: Mapping[Part, Spread]) -> Differences:
    """After minus before, by part and metric, on the same resamples."""
    return {part: difference(after[part], before[part]) for part in after if part in before}
