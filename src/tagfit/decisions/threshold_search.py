"""Thresholds that are best on given rows: one for all labels, one a label, and those shrunk towards the one.

Shapes: N samples, L labels, T candidate thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tagfit.metrics.scores import ROW_FORMULAS, THRESHOLD, Bools, DecisionCounts, Ints, Labels
from tagfit.records.data import UNKNOWN, YES, Array

Doubles = NDArray[np.float64]

#: how many yes cells make a label's own threshold count as much as the common one, the simplest first
STRENGTHS = (100.0, 30.0, 10.0)

#: by how many standard errors richer thresholds have to be better: those that are a little off cost little
NOISE = 1.0

#: thresholds are looked for below so many yes cells of each label, half-way to the next lower cell
_YES_A_LABEL = 64
#: how many of them the common threshold is looked for among
_COMMON = 32
#: how often each label's threshold is looked for, given those of the others
_ROUNDS = 3
#: logits are taken of probabilities from this to 1 - this
_CLIP = 1e-6
#: sums of floats that are nearer are equal
_EQUAL = 1e-9


@dataclass(frozen=True, eq=False)
class FitRows:
    """Rows that thresholds are fitted on.

    Attributes:
        labels_NL: (N, L) of YES, NO, UNKNOWN.
        p_NL: (N, L) float64 from 0 to 1.
    """

    labels_NL: Labels
    p_NL: Doubles

    def __len__(self) -> int:
        return len(self.p_NL)

    def where(self, rows: Bools | slice) -> FitRows:
        return FitRows(self.labels_NL[rows], self.p_NL[rows])

    @cached_property
    def yes_NL(self) -> Bools:
        return np.equal(self.labels_NL, YES)

    @cached_property
    def known_NL(self) -> Bools:
        return np.not_equal(self.labels_NL, UNKNOWN)

    @cached_property
    def yes_L(self) -> Ints:
        counts: Ints = np.count_nonzero(self.yes_NL, axis=0)
        return counts

    @cached_property
    def candidates_T(self) -> Doubles:
        """Ascending thresholds, 0.5 among them. Only those just below a yes, or above all, can be the best."""
        found = [np.array([THRESHOLD])]
        for label in np.flatnonzero(self.yes_L).tolist():
            ascending = np.sort(self.p_NL[self.known_NL[:, label], label])
            yes = np.sort(self.p_NL[self.yes_NL[:, label], label])
            if len(yes) > _YES_A_LABEL:
                yes = yes[np.linspace(0, len(yes) - 1, _YES_A_LABEL).astype(np.intp)]
            lower = np.searchsorted(ascending, yes)
            below = np.where(lower > 0, ascending[np.maximum(lower, 1) - 1], 0.0)
            found += [(below + yes) / 2, ascending[-1:]]
        return np.unique(np.concatenate(found))

    @cached_property
    def bins_NL(self) -> Ints:
        """How many of the candidates each probability is above."""
        return np.searchsorted(self.candidates_T, self.p_NL)

    def common(self, worth: Callable[[float], float]) -> float:
        """The candidate that is worth most for all labels alike; of equal ones the nearest to 0.5."""
        candidates = self.candidates_T
        if len(candidates) > _COMMON:
            spread = np.linspace(0, len(candidates) - 1, _COMMON).astype(np.intp)
            candidates = np.union1d(candidates[spread], [THRESHOLD])
        return nearest_best(candidates, np.array([worth(float(t)) for t in candidates]), THRESHOLD)

    def by_label(self, metric: str, start: float) -> Doubles:
        """(L,) each label's best threshold given those of the others: coordinate ascent from a common threshold.

        Of equal ones the nearest to `start`, where labels without a yes stay.
        """
        thresholds_L = np.full(self.p_NL.shape[1], start)
        decided_NL = (self.p_NL > start) & self.known_NL
        hits_N, decided_N = (decided_NL & self.yes_NL).sum(axis=1), decided_NL.sum(axis=1)
        yes_N = self.yes_NL.sum(axis=1)
        for _ in range(_ROUNDS):
            before_L = thresholds_L.copy()
            for label in np.flatnonzero(self.yes_L).tolist():
                yes, known = self.yes_NL[:, label], self.known_NL[:, label]
                given = known & (self.p_NL[:, label] > thresholds_L[label])
                others = DecisionCounts(hits_N - (given & yes), decided_N - given, yes_N, yes_N)
                gains_T = self._above(label, _values(metric, others, given, yes, known))
                thresholds_L[label] = nearest_best(self.candidates_T, gains_T, start)
                given = known & (self.p_NL[:, label] > thresholds_L[label])
                hits_N, decided_N = others.hits + (given & yes), others.decided + given
            if (thresholds_L == before_L).all():
                break
        return thresholds_L

    @cached_property
    def hits_LT(self) -> Doubles:
        """The yes cells of each label above each candidate."""
        return np.stack([self._above(label, yes) for label, yes in enumerate(self.yes_NL.T)])

    @cached_property
    def decided_LT(self) -> Doubles:
        """The known cells of each label above each candidate."""
        return np.stack([self._above(label, known) for label, known in enumerate(self.known_NL.T)])

    def at_price(self, price: float, start: float) -> Ints:
        """(L,) indexes of the candidates where hits less `price` a decided cell are most; `start` is a logit."""
        gains_LT = self.hits_LT - price * self.decided_LT
        best_LT = gains_LT >= gains_LT.max(axis=1, keepdims=True) - _EQUAL
        distance_T = np.abs(logit(self.candidates_T) - start)
        nearest_L: Ints = np.where(best_LT, distance_T, np.inf).argmin(axis=1)
        return nearest_L

    def shrunk(self, thresholds_L: Doubles, start: float, strength: float) -> Doubles:
        """Each threshold moved towards `start`, in logits."""
        share_L, start_L = self.share(strength), logit(np.full(len(thresholds_L), start))
        return sigmoid(share_L * logit(thresholds_L) + (1 - share_L) * start_L)

    def share(self, strength: float) -> Doubles:
        """(L,) what a label's own threshold counts beside the common one: half with as many yes cells as `strength`."""
        share_L: Doubles = self.yes_L / (self.yes_L + strength)
        return share_L

    def _above(self, label: int, values_N: Array) -> Doubles:
        """(T,) the sum of the values of the rows whose probability of `label` is above each candidate."""
        T = len(self.candidates_T)
        summed = np.bincount(self.bins_NL[:, label], values_N, minlength=T + 1)
        above: Doubles = summed[::-1].cumsum()[::-1][1:]
        return above


def _values(metric: str, others: DecisionCounts, given_N: Bools, yes_N: Bools, known_N: Bools) -> Doubles:
    """(N,) what giving a label to each row is worth, given its other labels; for an F1 of many rows, at its value now.

    Such an F1 = 2 hits / (decided + yes) grows by a cell exactly when 2 yes > F1 (Dinkelbach 1967, on fractional
    programs).
    """
    if metric in ROW_FORMULAS:
        formula = ROW_FORMULAS[metric]
        with_it = DecisionCounts(others.hits + yes_N, others.decided + known_N, others.yes, others.known)
        return formula(with_it) - formula(others)
    hits, decided, yes = (given_N & yes_N).sum(), given_N.sum(), yes_N.sum()
    if metric == "micro_f1":
        hits, decided, yes = hits + others.hits.sum(), decided + others.decided.sum(), others.yes.sum()
    values_N: Doubles = known_N * (2 * yes_N - 2 * hits / (decided + yes))
    return values_N


def nearest_best(candidates_T: Doubles, worth_T: Doubles, start: float) -> float:
    """The candidate of most worth; of equal ones the nearest to `start`, in logits."""
    best = candidates_T[worth_T >= worth_T.max() - _EQUAL]
    return float(best[np.abs(logit(best) - logit(np.array(start))).argmin()])


def logit(p: Doubles) -> Doubles:
    p = np.clip(p, _CLIP, 1 - _CLIP)
    return np.log(p / (1 - p))


def sigmoid(z: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-z))
