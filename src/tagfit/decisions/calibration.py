"""Calibration: what makes probabilities of a network's scores. Explained in docs/decisions.md.

It is fitted on rows that the network was not trained on. Unknown cells are left out of everything.
Shapes: N samples, L labels, G groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.crossfitting import left_out
from tagfit.errors import BundleError, DataError
from tagfit.metrics.curves import LIMIT, Curve, Line, Steps
from tagfit.metrics.scores import BINS, CLIP, Floats, Labels, checked_labels, checked_probabilities
from tagfit.records.data import UNKNOWN, YES
from tagfit.records.scores import Interval

Method = Literal["none", "temperature", "platt", "isotonic"]
#: from the simplest on
METHODS: tuple[Method, ...] = get_args(Method)

Groups = NDArray[np.intp]


@dataclass(frozen=True)
class Calibration:
    """What makes probabilities of scores, as plain numbers.

    Attributes:
        method: the richest kind of curve in it.
        temperature: what the logits of labels without a curve of their own are divided by.
        by_label: (L,) the curve of each label, None where the temperature has to do; empty without such curves.
    """

    method: Method = "none"
    temperature: float = 1.0
    by_label: tuple[Curve | None, ...] = ()

    def apply(self, probabilities_NL: Floats) -> Floats:
        """(N, L) calibrated, of the same dtype; within a label no order is turned round.

        Raises:
            DataError: another number of labels.
        """
        if self.method == "none":
            return probabilities_NL
        L = probabilities_NL.shape[1]
        if self.by_label and len(self.by_label) != L:
            raise DataError(f"this calibration is for {len(self.by_label)} labels; the probabilities have {L}")
        shared = Line(1 / self.temperature)
        calibrated_NL = np.empty_like(probabilities_NL)
        for label, curve in enumerate(self.by_label or (None,) * L):
            calibrated_NL[:, label] = (shared if curve is None else curve).apply(probabilities_NL[:, label])
        return calibrated_NL

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: a line is [slope, shift], steps are [scores, probabilities]."""
        by_label = [None if curve is None else _listed(curve) for curve in self.by_label]
        return {"method": self.method, "temperature": self.temperature, "by_label": by_label}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, labels: int) -> Calibration:
        """What `to_dict` gave, audited: it may come from a stranger.

        Args:
            labels: how many there have to be.

        Raises:
            BundleError: a part is missing or is not what `to_dict` writes; all faults at once.
        """
        faults = _faults(values, labels)
        if faults:
            raise BundleError(faults)
        by_label = tuple(None if curve is None else _curve(curve) for curve in values["by_label"])
        return cls(values["method"], float(values["temperature"]), by_label)


# --------------------------------------------------------------------------------------------- fitting


def fit_calibration(
    labels_NL: Labels, probabilities_NL: Floats, groups: Groups | None = None, *, seed: int = 0
) -> Calibration:
    """Fit each method on some folds, take the log-loss on the others, and fit the chosen method on all rows.

    A method is chosen over a simpler one when it is better by more than one standard error of the difference by
    group: Breiman, Friedman, Olshen and Stone, *Classification and Regression Trees* (1984).

    Args:
        labels_NL: (N, L) of YES, NO, UNKNOWN.
        probabilities_NL: (N, L) floats from 0 to 1, the scores as they are.
        groups: (N,) numbers of what belongs together, or None: each row by itself.
        seed: deals the folds.

    Raises:
        DataError: shapes, values or dtypes are not as above.
    """
    labels_NL = checked_labels(labels_NL)
    probabilities_NL = checked_probabilities(probabilities_NL, labels_NL.shape)
    losses = {method: np.zeros(len(labels_NL)) for method in METHODS}
    for here in left_out(len(labels_NL), groups, seed=seed):
        for method, fitted in _candidates(labels_NL[~here], probabilities_NL[~here]).items():
            losses[method][here] = _losses(labels_NL[here], fitted.apply(probabilities_NL[here]))
    known_N = np.count_nonzero(labels_NL != UNKNOWN, axis=1)
    chosen: Method = "none"
    for method in METHODS:
        if _is_gain(losses[chosen] - losses[method], known_N, groups):
            chosen = method
    return _candidates(labels_NL, probabilities_NL)[chosen]


def _candidates(labels_NL: Labels, probabilities_NL: Floats) -> dict[Method, Calibration]:
    """What each method makes of these rows: of a label whose cells are too few, what the simpler one makes."""
    known_NL, yes_NL = labels_NL != UNKNOWN, labels_NL == YES
    none = Calibration()
    shared = Line.fit(probabilities_NL[known_NL], yes_NL[known_NL], shifted=False)
    temperature = none if shared is None else Calibration("temperature", 1 / shared.slope)
    lines: list[Curve | None] = []
    steps: list[Curve | None] = []
    for label, known_N in enumerate(known_NL.T):
        scores, yes = probabilities_NL[known_N, label], yes_NL[known_N, label]
        lines.append(Line.fit(scores, yes))
        steps.append(Steps.fit(scores, yes) or lines[-1])
    platt = Calibration("platt", temperature.temperature, tuple(lines)) if any(lines) else temperature
    isotonic = Calibration("isotonic", temperature.temperature, tuple(steps)) if steps != lines else platt
    return {"none": none, "temperature": temperature, "platt": platt, "isotonic": isotonic}


def _losses(labels_NL: Labels, probabilities_NL: Floats) -> NDArray[np.float64]:
    """(N,) the log-loss of each row, summed over its known cells."""
    of_truth_NL = np.where(labels_NL == YES, probabilities_NL, 1 - probabilities_NL.astype(np.float64))
    losses_NL = -np.log(np.clip(of_truth_NL, CLIP, 1 - CLIP))
    losses_N: NDArray[np.float64] = losses_NL.sum(axis=1, where=labels_NL != UNKNOWN)
    return losses_N


def _is_gain(gains_N: NDArray[np.float64], known_N: NDArray[np.intp], groups: Groups | None) -> bool:
    """Whether the mean gain of a cell is above its standard error, with groups for the unit that is drawn."""
    of_row = np.arange(len(gains_N)) if groups is None else np.unique(groups, return_inverse=True)[1]
    gains_G, known_G = np.bincount(of_row, gains_N), np.bincount(of_row, known_N)
    G, known = len(gains_G), known_G.sum()
    if G < 2 or known == 0:
        return False
    gain = gains_G.sum()
    # of a ratio of two sums: what each group is off it
    off_G = gains_G - known_G * gain / known
    return bool(gain > np.sqrt(G / (G - 1) * np.square(off_G).sum()))


# ----------------------------------------------------------------------------------------- reliability


@dataclass(frozen=True)
class Bin:
    """The known cells whose probability lies from `low` to below `high`; the last bin holds 1 too.

    Attributes:
        mean: their mean probability; None without cells, as the next two.
        yes: the fraction of them that are yes.
        interval: of that fraction, each cell taken to stand for itself.
    """

    low: float
    high: float
    count: int
    mean: float | None
    yes: float | None
    interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        interval = None if self.interval is None else [self.interval.low, self.interval.high]
        return {
            "low": self.low,
            "high": self.high,
            "count": self.count,
            "mean": self.mean,
            "yes": self.yes,
            "interval": interval,
        }


def reliability(labels_NL: Labels, probabilities_NL: Floats) -> list[Bin]:
    """The bins of `ece`, all of them, from 0 to 1: is, of cells given about this probability, about this fraction yes?

    Args:
        labels_NL: (N, L) of YES, NO, UNKNOWN.
        probabilities_NL: (N, L) floats from 0 to 1.

    Raises:
        DataError: shapes, values or dtypes are not as above.
    """
    labels_NL = checked_labels(labels_NL)
    known_NL = labels_NL != UNKNOWN
    p = checked_probabilities(probabilities_NL, labels_NL.shape)[known_NL].astype(np.float64)
    bins = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS).tolist()
    sums, yes = (np.bincount(bins, of, minlength=BINS).tolist() for of in (p, labels_NL[known_NL] == YES))
    return [
        Bin(
            low=number / BINS,
            high=(number + 1) / BINS,
            count=count,
            mean=sums[number] / count if count else None,
            yes=yes[number] / count if count else None,
            interval=wilson(int(yes[number]), count) if count else None,
        )
        for number, count in enumerate(counts)
    ]


def wilson(hits: int, count: int) -> Interval:
    """Of a fraction, given that `hits` of `count` were counted; count is above 0.

    Wilson, *Probable inference, the law of succession, and statistical inference* (1927).
    """
    from scipy.stats import binomtest

    # the interval is of no hypothesis; testing the fraction itself takes a tenth of the time of testing 0.5
    found = binomtest(hits, count, hits / count).proportion_ci(method="wilson")
    return Interval(float(found.low), float(found.high))


# -------------------------------------------------------------------------------------------- auditing


def _listed(curve: Curve) -> list[Any]:
    return [list(part) if isinstance(part, tuple) else part for part in curve]


def _curve(listed: Sequence[Any]) -> Curve:
    first, second = listed
    if isinstance(first, list):
        return Steps(tuple(map(float, first)), tuple(map(float, second)))
    return Line(float(first), float(second))


def _faults(values: Any, labels: int) -> list[str]:
    """Why this is not what `to_dict` writes."""
    if not isinstance(values, Mapping) or set(values) != {"method", "temperature", "by_label"}:
        return ["a calibration must hold exactly: method, temperature, by_label"]
    method, temperature, by_label = values["method"], values["temperature"], values["by_label"]
    if method not in METHODS:
        return [f"method of a calibration must be one of {', '.join(METHODS)}; got {method!r}"]
    faults = []
    if not _is_number(temperature, 1 / LIMIT, LIMIT):
        faults.append(f"temperature of a calibration must be a number from {1 / LIMIT:g} to {LIMIT:g}")
    length = labels if method in ("platt", "isotonic") else 0
    if not (isinstance(by_label, list) and len(by_label) == length):
        return [*faults, f"by_label of a calibration by {method} must be a list of {length}"]
    for label, listed in enumerate(by_label):
        if not (listed is None or _is_line(listed) or (method == "isotonic" and _are_steps(listed))):
            faults.append(
                f"by_label[{label}] of a calibration by {method} must be null, or a slope from 0 and a shift"
                + (", or rising scores and as many probabilities that never fall" if method == "isotonic" else "")
            )
    return faults


def _is_number(value: Any, low: float, high: float) -> bool:
    # NaN fails the comparison
    return type(value) in (int, float) and low <= value <= high


def _is_line(listed: Any) -> bool:
    if not (isinstance(listed, list) and len(listed) == 2):
        return False
    return _is_number(listed[0], 0, LIMIT) and _is_number(listed[1], -LIMIT, LIMIT)


def _are_steps(listed: Any) -> bool:
    if not (isinstance(listed, list) and len(listed) == 2 and all(isinstance(part, list) for part in listed)):
        return False
    at, values = listed
    if not (at and len(at) == len(values) and all(_is_number(value, 0, 1) for value in (*at, *values))):
        return False
    return all(a < b for a, b in pairwise(at)) and all(a <= b for a, b in pairwise(values))
