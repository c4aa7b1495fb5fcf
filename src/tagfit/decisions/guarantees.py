"""Guarantees: a threshold that keeps a recall or a precision on new samples, and how far it was seen to.

What exactly is promised is `FittedGuarantee.sentence`.

Shapes: N samples, L labels, U units (samples, or groups of them), B draws of units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from tagfit.decisions.risks import ROUNDING, Precision, Recall
from tagfit.errors import DataError, demand_extra, did_you_mean
from tagfit.io.ranges import Count, CountOrNone, Fraction, NotNegative, OpenFraction
from tagfit.metrics.intervals import mean_and_interval
from tagfit.metrics.scores import Bools, Floats, Ints, Labels, checked_labels, checked_probabilities
from tagfit.records.data import UNKNOWN, YES, Array

#: with which probability a precision holds; a recall holds on average
CONFIDENCE = 0.95
#: how many random halves of the calibrate part show what a guarantee is worth
RESAMPLES = 200

GuaranteedMetric = Literal["recall", "precision"]
_METRICS: tuple[GuaranteedMetric, ...] = get_args(GuaranteedMetric)


@dataclass(frozen=True)
class Guarantee:
    """What is asked for: `recall=0.9` or `precision=0.8`.

    Attributes:
        metric: recall or precision.
        level: what it must not fall below, between 0 and 1.
    """

    metric: GuaranteedMetric
    level: OpenFraction

    @classmethod
    def parse(cls, text: str) -> Guarantee:
        """Read `recall=0.9`.

        Raises:
            DataError: another metric, or no fraction between 0 and 1; all faults at once.
        """
        name, _, value = (word.strip() for word in text.partition("="))
        metric = next((one for one in _METRICS if one == name), None)
        faults = []
        if metric is None:
            hint = did_you_mean(name, _METRICS)
            faults.append(f"what is guaranteed must be {' or '.join(_METRICS)}; got {name!r}.{hint}")
        try:
            level = float(value)
        except ValueError:
            level = math.nan
        if not 0 < level < 1:
            percent = f" Write {level:g}% as {level / 100:g}." if 1 < level < 100 else ""
            faults.append(f"the level must be a fraction between 0 and 1, both excluded; got {value!r}.{percent}")
        if metric is None or faults:
            raise DataError(faults, "Write a guarantee as recall=0.9 or precision=0.8.")
        return cls(metric, level)

    def __str__(self) -> str:
        return f"{self.metric}={self.level!r}"

    @property
    def confidence(self) -> float | None:
        """With which probability it holds; None: on average."""
        return CONFIDENCE if self.metric == "precision" else None

    @property
    def units_needed(self) -> int:
        """With fewer samples (or groups) that count, nothing can be promised but by an answer that is worth nothing."""
        if self.metric == "recall":
            return Recall.units_needed(self.level)
        return Precision.units_needed(self.level, CONFIDENCE)

    def check(self, labels_NL: Labels, groups: Ints | None = None) -> None:
        """Whether the labels of a calibrate part can carry it: to be asked before anything is trained.

        Args:
            labels_NL: (N, L) of YES, NO, UNKNOWN.
            groups: (N,) numbers of what belongs together, or None.

        Raises:
            DataError: unknown cells or too few samples; all reasons at once.
            MissingExtraError: it takes MAPIE, which is not installed.
        """
        labels_NL = checked_labels(labels_NL)
        unit_N = _units(len(labels_NL), groups)
        faults = []
        unknown_NL = labels_NL == UNKNOWN
        if unknown_NL.any():
            faults.append(
                f"{self} needs every label of the calibrate part to be known; {unknown_NL.sum()} labels of "
                f"{unknown_NL.any(axis=1).sum()} samples are unknown"
            )
        counts_N = (labels_NL == YES).any(axis=1) if self.metric == "recall" else np.ones(len(labels_NL), np.bool_)
        units = len(np.unique(unit_N[counts_N]))
        if units < self.units_needed:
            of = " with at least one label" if self.metric == "recall" else ""
            many = f"{units} samples" if groups is None else f"{units} groups (samples of a group count as one)"
            faults.append(f"{self} needs at least {self.units_needed} samples{of} in the calibrate part; got {many}")
        if faults:
            raise DataError(faults, "Set more fully labelled samples aside to calibrate, or ask for a lower level.")
        if self.metric == "precision":
            demand_extra(f"the guarantee {self}", "guarantees")


@dataclass(frozen=True)
class Resamples:
    """How a guarantee holds on random halves of the calibrate part: fitted on one half, tried on the other.

    Attributes:
        drawn: how many halves were drawn.
        fitted: in how many of them half the samples were enough for a threshold.
        achieved: the mean of the metric on the other half; None if none was fitted, as are the next two.
        held: in which fraction of the fitted ones the metric was at least the level.
        labels_given: how many labels a sample of the other half is given, on average.

    Raises:
        ValueError: more fitted than drawn, or numbers where none was fitted.
    """

    drawn: Count
    fitted: CountOrNone
    achieved: Fraction | None
    held: Fraction | None
    labels_given: NotNegative | None

    def __post_init__(self) -> None:
        if self.fitted > self.drawn:
            raise ValueError("drawn and fitted must be whole numbers, fitted not the larger one")
        if any((value is None) is bool(self.fitted) for value in (self.achieved, self.held, self.labels_given)):
            raise ValueError("achieved, held and labels_given must be numbers where halves were fitted, and else null")


@dataclass(frozen=True)
class GuaranteeCheck:
    """How a guarantee fares on other labelled samples: the metric, its 95% interval, and over how many samples."""

    achieved: float | None
    low: float | None
    high: float | None
    samples: int


@dataclass(frozen=True)
class FittedGuarantee:
    """A guarantee with the threshold that keeps it: labels with p > threshold are given.

    Attributes:
        guarantee: what was asked for.
        threshold: labels with a probability above it are given.
        labels: how many labels there are to give.
        samples: how many samples of the calibrate part it rests on; for recall, those with at least one label.
        groups: how many groups those are, if a group counts as one sample; else None.
        labels_given: how many labels a sample of the calibrate part is given, on average.
        unanswered: the fraction of samples of the calibrate part that are given none.
        resamples: how it holds within the calibrate part.
        sentence: what exactly is guaranteed.
        evidence: what was observed of it within the calibrate part.
    """

    guarantee: Guarantee
    threshold: Fraction
    labels: Count
    samples: Count
    groups: Count | None
    labels_given: NotNegative
    unanswered: Fraction
    resamples: Resamples
    # for whoever reads the file; always written anew from the numbers, which may come from a stranger
    sentence: str = field(init=False, default="")
    evidence: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentence", self._sentence())
        object.__setattr__(self, "evidence", self._evidence())

    def _sentence(self) -> str:
        level = self.guarantee.level
        if self.groups is None:
            part, within, new = f"{self.samples} samples", "", "samples"
        else:
            part, new = f"{self.groups} groups ({self.samples} samples)", "groups"
            within = " (first within a group, then over groups, each counting as one sample)"
        alike = f"calibrate parts like this one of {part}"
        assumption = f"as long as new {new} come from where these came from."
        if self.guarantee.metric == "recall":
            return (
                f"Of the labels that a sample really has, at most {_percent(1 - level)} are missed on average{within}, "
                f"over samples with at least one label and over {alike}, {assumption}"
            )
        return (
            f"With probability {self.guarantee.confidence}, over {alike}, at least {_percent(level)} of the labels "
            f"given to a sample are right on average{within}, over samples that are given at least one label, "
            f"{assumption}"
        )

    def _evidence(self) -> str:
        seen, metric = self.resamples, self.guarantee.metric
        if seen.achieved is None or seen.held is None or seen.labels_given is None:
            return "Half of the calibrate part is too small to fit it on, so it could not be tried within that part."
        tried = f"{seen.drawn} random halves of the calibrate part"
        if seen.fitted < seen.drawn:
            tried = f"{seen.fitted} of {seen.drawn} random halves of the calibrate part (the others were not enough)"
        return (
            f"Fitted on {tried} and tested on the other half, {metric} is {_percent(seen.achieved)} on average "
            f"and at least {_percent(self.guarantee.level)} in {_percent(seen.held)} of them, with "
            f"{seen.labels_given:.2f} of {self.labels} labels given to a sample."
        )

    def decide(self, probabilities_NL: Floats) -> Bools:
        """(N, L) the labels that are given."""
        return np.asarray(probabilities_NL > np.float64(self.threshold))

    def observed(self, labels_NL: Labels, probabilities_NL: Floats, groups: Ints | None = None) -> GuaranteeCheck:
        """How it fares on other labelled samples; unknown labels are left out."""
        found_NL = self.decide(probabilities_NL) & (labels_NL != UNKNOWN)
        of_NL = labels_NL == YES if self.guarantee.metric == "recall" else found_NL
        counted = of_NL.any(axis=1)
        share_N = (found_NL & (labels_NL == YES))[counted].sum(axis=1) / of_NL[counted].sum(axis=1)
        unit_N = np.unique(_units(len(labels_NL), groups)[counted], return_inverse=True)[1].ravel()
        achieved, interval = mean_and_interval(np.bincount(unit_N, share_N) / np.bincount(unit_N))
        low, high = (None, None) if interval is None else interval
        return GuaranteeCheck(achieved, low, high, int(counted.sum()))


def fit_guarantee(
    guarantee: Guarantee,
    labels_NL: Array,
    probabilities_NL: Array,
    groups: Ints | None = None,
    *,
    seed: int = 0,
) -> FittedGuarantee:
    """The threshold that gives the most labels (precision) or the fewest (recall) and keeps the guarantee.

    Args:
        guarantee: what to hold.
        labels_NL: (N, L) of YES and NO, of a calibrate part that nothing else has touched.
        probabilities_NL: (N, L) floats, what the network says.
        groups: (N,) numbers of what belongs together, or None. Samples of one group are not independent: a group
            counts as one sample.
        seed: draws the halves that show what it is worth.

    Raises:
        DataError: unknown cells, too few samples, or no threshold keeps it but one that is worth nothing.
        MissingExtraError: it takes MAPIE, which is not installed.
    """
    labels_NL = checked_labels(labels_NL)
    p_NL = checked_probabilities(probabilities_NL, labels_NL.shape)
    guarantee.check(labels_NL, groups)
    unit_N = _units(len(labels_NL), groups)
    risk: Recall | Precision
    if guarantee.metric == "recall":
        risk = Recall.of(guarantee.level, labels_NL, p_NL, unit_N)
        counts_N = (labels_NL == YES).any(axis=1)
    else:
        risk = Precision.of(guarantee.level, CONFIDENCE, labels_NL, p_NL, unit_N)
        counts_N = np.ones(len(labels_NL), dtype=np.bool_)
    everyone_BU = np.ones((1, unit_N.max() + 1), dtype=np.bool_)
    threshold = float(risk.fit(everyone_BU)[0])
    if math.isnan(threshold):
        raise _nothing_keeps(guarantee, risk, everyone_BU)
    given_N = np.count_nonzero(p_NL > np.float64(threshold), axis=1)
    return FittedGuarantee(
        guarantee=guarantee,
        threshold=threshold,
        labels=labels_NL.shape[1],
        samples=int(counts_N.sum()),
        groups=None if groups is None else len(np.unique(unit_N[counts_N])),
        labels_given=float(given_N.mean()),
        unanswered=float(np.mean(given_N == 0)),
        resamples=_resample(risk, guarantee.level, p_NL, unit_N, np.random.default_rng(seed)),
    )


def _units(count: int, groups: Ints | None) -> Ints:
    """(N,) the number of each sample's unit, from 0."""
    if groups is None:
        return np.arange(count)
    groups = np.asarray(groups)
    if groups.shape != (count,):
        raise DataError(f"groups must be one number a sample, shape ({count},); got shape {groups.shape}")
    return np.unique(groups, return_inverse=True)[1].ravel()


def _resample(
    risk: Recall | Precision, level: float, p_NL: Floats, unit_N: Ints, rng: np.random.Generator
) -> Resamples:
    units = int(unit_N.max()) + 1
    drawn_BU = rng.permuted(np.broadcast_to(np.arange(units) < units // 2, (RESAMPLES, units)), axis=1)
    thresholds_B = risk.fit(drawn_BU)
    achieved_B = risk.achieved(thresholds_B, ~drawn_BU)
    fitted = np.flatnonzero(~np.isnan(achieved_B))
    if not len(fitted):
        return Resamples(RESAMPLES, 0, None, None, None)
    given = [np.count_nonzero(p_NL[~drawn_BU[b, unit_N]] > thresholds_B[b], axis=1).mean() for b in fitted]
    achieved = achieved_B[fitted]
    held = np.mean(achieved >= level - ROUNDING)
    return Resamples(RESAMPLES, len(fitted), float(achieved.mean()), float(held), float(np.mean(given)))


def _nothing_keeps(guarantee: Guarantee, risk: Recall | Precision, everyone_BU: Bools) -> DataError:
    """Why it is refused after all."""
    if isinstance(risk, Recall):
        return DataError(
            f"{guarantee} could only be kept by giving every label to every sample: true labels in the calibrate "
            f"part have its lowest probability, {risk.steps[0]:g}, and too few of them may be missed",
            "Ask for a lower recall, set more samples aside to calibrate, or train a model that tells them apart.",
        )
    precision_BT, units_BT = risk.measured(everyone_BU)
    enough_T = units_BT[0] >= guarantee.units_needed
    if not enough_T.any():
        best = f"no threshold gives labels to the {guarantee.units_needed} samples that it takes"
    else:
        place = int(np.argmax(np.where(enough_T, precision_BT[0], -1)))
        best = (
            f"the best is {_percent(precision_BT[0, place])}, over the {units_BT[0, place]:.0f} samples given a label"
        )
    return DataError(
        f"{guarantee} cannot be promised with probability {CONFIDENCE} at any threshold: {best}",
        "Ask for a lower precision, or set more samples aside to calibrate.",
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g}%"
