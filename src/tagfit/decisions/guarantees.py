"""Guarantees: a threshold that keeps a recall or a precision on new samples, and how far it was seen to.

What exactly is promised is `Guaranteed.sentence`. Shapes: N samples, L labels, U units (samples, or groups of them),
B draws of units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.risks import ROUNDING, Precision, Recall
from tagfit.errors import BundleError, DataError, MissingExtraError, did_you_mean
from tagfit.metrics.intervals import mean_and_interval
from tagfit.metrics.scores import Bools, Floats, Ints, Labels, checked_labels, checked_probabilities
from tagfit.records.data import UNKNOWN, YES

#: with which probability a precision holds; a recall holds on average
CONFIDENCE = 0.95
#: how many random halves of the calibrate part show what a guarantee is worth
RESAMPLES = 200

_METRICS = ("recall", "precision")


@dataclass(frozen=True)
class Guarantee:
    """What is asked for: `recall=0.9` or `precision=0.8`.

    Attributes:
        metric: recall or precision.
        level: what it must not fall below, between 0 and 1.
    """

    metric: str
    level: float

    @classmethod
    def parse(cls, text: str) -> Guarantee:
        """Read `recall=0.9`.

        Raises:
            DataError: another metric, or no fraction between 0 and 1; all faults at once.
        """
        metric, _, value = (word.strip() for word in text.partition("="))
        faults = []
        if metric not in _METRICS:
            hint = did_you_mean(metric, _METRICS)
            faults.append(f"what is guaranteed must be {' or '.join(_METRICS)}; got {metric!r}.{hint}")
        try:
            level = float(value)
        except ValueError:
            level = math.nan
        if not 0 < level < 1:
            faults.append(f"the level must be a fraction between 0 and 1, both excluded; got {value!r}")
        if faults:
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
                f"{self} needs every label of the calibrate part to be known; unknown are {unknown_NL.sum()} labels "
                f"of {unknown_NL.any(axis=1).sum()} samples"
            )
        counts_N = (labels_NL == YES).any(axis=1) if self.metric == "recall" else np.ones(len(labels_NL), np.bool_)
        units = len(np.unique(unit_N[counts_N]))
        if units < self.units_needed:
            of = " with at least one label" if self.metric == "recall" else ""
            many = f"{units} samples" if groups is None else f"{units} groups (samples of a group count as one)"
            faults.append(f"{self} needs at least {self.units_needed} samples{of} in the calibrate part; got {many}")
        if faults:
            raise DataError(faults, "Set more fully labelled samples aside to calibrate, or ask for a lower level.")
        if self.metric == "precision" and find_spec("mapie") is None:
            raise MissingExtraError(f"the guarantee {self}", "guarantees")


@dataclass(frozen=True)
class Resamples:
    """How a guarantee fares on random halves of the calibrate part: fitted on one half, looked at on the other.

    Attributes:
        drawn: how many halves.
        fitted: in how many of them half the samples were enough for a threshold.
        achieved: the mean of the metric on the other half; None where none was fitted.
        held: in which fraction of the fitted ones it was at least the level.
        labels_given: how many labels a sample of the other half gets, on average.
    """

    drawn: int
    fitted: int
    achieved: float | None
    held: float | None
    labels_given: float | None


@dataclass(frozen=True)
class Guaranteed:
    """A guarantee with the threshold that keeps it: labels with p > threshold are given.

    Attributes:
        guarantee: what was asked for.
        threshold: of the same probabilities that it was fitted on.
        labels: how many labels there are to give.
        samples: how many samples of the calibrate part it rests on: for recall those with at least one label.
        groups: how many groups those are, where a group counts as one sample.
        labels_given: how many labels a sample of the calibrate part gets, on average.
        unanswered: the fraction of samples of the calibrate part that get none.
        resamples: how it fares within the calibrate part.
    """

    guarantee: Guarantee
    threshold: float
    labels: int
    samples: int
    groups: int | None
    labels_given: float
    unanswered: float
    resamples: Resamples

    @property
    def sentence(self) -> str:
        """What exactly is guaranteed."""
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

    @property
    def evidence(self) -> str:
        """What was seen of it within the calibrate part."""
        seen, metric = self.resamples, self.guarantee.metric
        if seen.achieved is None or seen.held is None or seen.labels_given is None:
            return "Half of the calibrate part is too little to fit it on, so it could not be tried within that part."
        tried = f"{seen.drawn} random halves of the calibrate part"
        if seen.fitted < seen.drawn:
            tried = f"{seen.fitted} of {seen.drawn} random halves of the calibrate part (the others were not enough)"
        return (
            f"Fitted on {tried} and looked at on the other half, {metric} is {_percent(seen.achieved)} on average "
            f"and at least {_percent(self.guarantee.level)} in {_percent(seen.held)} of them, with "
            f"{seen.labels_given:.2f} of {self.labels} labels given to a sample."
        )

    def decide(self, probabilities_NL: Floats) -> Bools:
        """(N, L) the labels that are given."""
        return np.asarray(probabilities_NL > np.float64(self.threshold))

    def observed(self, labels_NL: Labels, probabilities_NL: Floats, groups: Ints | None = None) -> dict[str, Any]:
        """How it fares on other labelled samples: `achieved`, `low` and `high` (95%), over so many `samples`.

        Unknown cells are left out.
        """
        found_NL = self.decide(probabilities_NL) & (labels_NL != UNKNOWN)
        of_NL = labels_NL == YES if self.guarantee.metric == "recall" else found_NL
        counted = of_NL.any(axis=1)
        share_N = (found_NL & (labels_NL == YES))[counted].sum(axis=1) / of_NL[counted].sum(axis=1)
        unit_N = np.unique(_units(len(labels_NL), groups)[counted], return_inverse=True)[1].ravel()
        achieved, interval = mean_and_interval(np.bincount(unit_N, share_N) / np.bincount(unit_N))
        ends = (None, None) if interval is None else (interval.low, interval.high)
        return {"achieved": achieved, "low": ends[0], "high": ends[1], "samples": int(counted.sum())}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the sentences for whoever reads it."""
        return {
            **asdict(self),
            "guarantee": str(self.guarantee),
            "sentence": self.sentence,
            "evidence": self.evidence,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Guaranteed:
        """What `to_dict` gave, audited: it may come from a stranger. The sentences are written anew from the numbers.

        Raises:
            BundleError: a part is missing or is not what `to_dict` writes; all faults at once.
        """
        faults = _faults(values)
        if faults:
            raise BundleError(faults)
        return cls(
            guarantee=Guarantee.parse(values["guarantee"]),
            resamples=Resamples(**values["resamples"]),
            **{
                name: values[name]
                for name in ("threshold", "labels", "samples", "groups", "labels_given", "unanswered")
            },
        )


def fit_guarantee(
    guarantee: Guarantee,
    labels_NL: NDArray[Any],
    probabilities_NL: NDArray[Any],
    groups: Ints | None = None,
    *,
    seed: int = 0,
) -> Guaranteed:
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
    return Guaranteed(
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
            f"{guarantee} could only be kept by giving every label to every sample: labels that samples of the "
            f"calibrate part really have got its lowest probability, {risk.steps[0]:g}, and too few may be missed",
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


# -------------------------------------------------------------------------------------------- auditing


def _is_amount(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def _is_fraction(value: Any) -> bool:
    return _is_amount(value) and value <= 1


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_count_or_none(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_guarantee(value: Any) -> bool:
    try:
        return _is_text(value) and bool(Guarantee.parse(value))
    except DataError:
        return False


_Kinds = Mapping[str, Callable[[Any], bool]]
_EXPECTED: Mapping[Callable[[Any], bool], str] = {
    _is_amount: "a number from 0",
    _is_fraction: "a fraction from 0 to 1",
    _is_count: "a whole number above 0",
    _is_count_or_none: "a whole number above 0, or null",
    _is_text: "a text",
    _is_guarantee: "a text like recall=0.9",
}
_KINDS: _Kinds = {
    "guarantee": _is_guarantee,
    "threshold": _is_fraction,
    "labels": _is_count,
    "samples": _is_count,
    "groups": _is_count_or_none,
    "labels_given": _is_amount,
    "unanswered": _is_fraction,
    "sentence": _is_text,
    "evidence": _is_text,
}
_SEEN: _Kinds = {"achieved": _is_fraction, "held": _is_fraction, "labels_given": _is_amount}


def _faults(values: Any) -> list[str]:
    """Why this is not what `to_dict` writes."""
    what = "a guarantee"
    if not isinstance(values, Mapping) or set(values) != {*_KINDS, "resamples"}:
        return [f"{what} must hold exactly: {', '.join(_KINDS)}, resamples"]
    faults = _kind_faults(what, values, _KINDS)
    seen, what = values["resamples"], "resamples of a guarantee"
    if not isinstance(seen, Mapping) or set(seen) != {"drawn", "fitted", *_SEEN}:
        return [*faults, f"{what} must hold exactly: drawn, fitted, {', '.join(_SEEN)}"]
    if not (_is_count(seen["drawn"]) and type(seen["fitted"]) is int and 0 <= seen["fitted"] <= seen["drawn"]):
        return [*faults, f"drawn and fitted of {what} must be whole numbers, fitted not the larger one"]
    if seen["fitted"]:
        return [*faults, *_kind_faults(what, seen, _SEEN)]
    return [*faults, *(f"{name} of {what} must be null" for name in _SEEN if seen[name] is not None)]


def _kind_faults(what: str, values: Mapping[str, Any], kinds: _Kinds) -> list[str]:
    return [
        f"{name} of {what} must be {_EXPECTED[fits]}; got {values[name]!r}"
        for name, fits in kinds.items()
        if not fits(values[name])
    ]
