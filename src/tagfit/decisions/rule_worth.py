"""What decisions are worth by an objective, and whether others are worth more than chance explains.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.metrics.scores import ROW_FORMULAS, Bools, DecisionCounts, Labels, f1
from tagfit.records.data import UNKNOWN, YES


@dataclass(frozen=True, eq=False)
class Worth:
    """A score, and how much each row moves it.

    Attributes:
        value: the score; 0 where it is undefined.
        influence_N: (N,) the score's derivative by the weight of each row, which adds up to 0 (the delta method).
    """

    value: float
    influence_N: NDArray[np.float64]

    def beats(self, other: Worth, group_N: NDArray[np.intp], noise: float) -> bool:
        """Whether it is worth more than `other` on the same rows, by more than `noise` standard errors of the
        difference; rows of a group move together."""
        gain = self.value - other.value
        by_group = np.bincount(group_N, self.influence_N - other.influence_N)
        return bool(gain > 0 and gain > noise * np.sqrt((by_group**2).sum()))


def worth(metric: str, labels_NL: Labels, decisions_NL: Bools) -> Worth:
    """Of one of `rules.METRIC_OBJECTIVES`, or of the pooled recall or precision."""
    yes_NL, known_NL = labels_NL == YES, labels_NL != UNKNOWN
    hits_NL, decided_NL = yes_NL & decisions_NL, known_NL & decisions_NL
    if metric in ROW_FORMULAS:
        counts = DecisionCounts(*(mask.sum(axis=1) for mask in (hits_NL, decided_NL, yes_NL, known_NL)))
        return _mean(ROW_FORMULAS[metric](counts), counts.known > 0)
    hits, decided, yes = (mask.sum(axis=1) for mask in (hits_NL, decided_NL, yes_NL))
    if metric == "recall":
        return _ratio(hits, yes)
    if metric == "precision":
        return _ratio(hits, decided)
    if metric == "micro_f1":
        return _ratio(2 * hits, decided + yes)
    by_label = DecisionCounts(*(mask.sum(axis=0) for mask in (hits_NL, decided_NL, yes_NL, known_NL)))
    judged_L, size_L = by_label.yes > 0, np.maximum(by_label.decided + by_label.yes, 1)
    if not judged_L.any():
        return Worth(0.0, np.zeros(len(labels_NL)))
    f1_L = f1(by_label)
    # one product a matrix, rather than a matrix of floats a term
    weight_L = judged_L / size_L / judged_L.sum()
    influence_N = 2 * (hits_NL @ weight_L) - decided_NL @ (f1_L * weight_L) - yes_NL @ (f1_L * weight_L)
    return Worth(float(f1_L[judged_L].mean()), influence_N)


def value(metric: str, yes_NL: Bools, known_NL: Bools, decisions_NL: Bools) -> float:
    """What `worth` would say of one of `rules.METRIC_OBJECTIVES`, and nothing else, sooner."""
    masks = (yes_NL & decisions_NL, known_NL & decisions_NL, yes_NL, known_NL)
    axis = {"micro_f1": None, "macro_f1": 0}.get(metric, 1)
    counts = DecisionCounts(*(np.asarray(np.count_nonzero(mask, axis=axis)) for mask in masks))
    values, judged = ROW_FORMULAS.get(metric, f1)(counts), counts.known if metric in ROW_FORMULAS else counts.yes
    return float(values[judged > 0].mean()) if judged.any() else 0.0


def _mean(values_N: NDArray[np.float64], judged_N: Bools) -> Worth:
    count = max(int(judged_N.sum()), 1)
    value = float(values_N[judged_N].sum()) / count
    return Worth(value, np.where(judged_N, values_N - value, 0.0) / count)


def _ratio(part_N: NDArray[np.int64], whole_N: NDArray[np.int64]) -> Worth:
    whole = max(int(whole_N.sum()), 1)
    value = float(part_N.sum()) / whole
    return Worth(value, (part_N - value * whole_N) / whole)
