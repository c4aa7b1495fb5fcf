"""Fitting a decision rule for the objective that a person asks for.

Plans, from the simplest to the richest, are fitted on folds and judged on the rows left out; a richer plan is taken
only where it is worth more there beyond noise. What is taken is fitted on all rows. All this makes a rule that is
likely to do better, and guarantees nothing: about every other time new rows come out below a recall or a precision
that was asked for (`decisions.guarantees` promises).

Shapes: N samples, M samples seen in training, L labels, S label sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.crossfitting import FOLDS, folds
from tagfit.decisions.level_fitting import fit_level
from tagfit.decisions.rule_worth import Worth, value, worth
from tagfit.decisions.rules import MOST_SETS, Objective, Rule
from tagfit.decisions.threshold_search import NOISE, STRENGTHS, FitRows
from tagfit.errors import DataError
from tagfit.metrics.scores import Floats, Ints, Labels, checked_labels
from tagfit.records.data import UNKNOWN, YES

#: with fewer rows than this the rule stays flat
FEWEST_ROWS = 30

#: by how many standard errors a rule about whole rows has to be better: one that does not hold costs many of them
ROW_NOISE = 2.0

#: how much the logarithm of how often a label set was seen counts, as is tried
SET_PRIORS = (0.0, 0.25, 0.5, 1.0)

#: limits of labels that are tried: as many as these shares of the rows seen in training have at most
_AT_MOST = (0.5, 0.9, 1.0)

#: rows that are enough for one common threshold
_ENOUGH = 10_000


def fit_rule(
    objective: Objective,
    labels_NL: Labels,
    probabilities_NL: Floats,
    *,
    seen_NL: Labels | None,
    groups: NDArray[np.intp] | None = None,
    seed: int = 0,
) -> Rule:
    """The rule for an objective; flat at 0.5, and its note says why, where there is too little to fit it on.

    Args:
        objective: what it is to be good at.
        labels_NL: (N, L) of YES, NO, UNKNOWN, of rows that the network was not trained on.
        probabilities_NL: (N, L) floats from 0 to 1, calibrated or not; rows with a NaN are left out.
        seen_NL: (M, L) labels of other rows, those trained on, whose label sets are seen in training; None where there
            are no others, as when each row was scored by a network of other folds: sets are then seen here.
        groups: (N,) numbers of rows that belong together, or None.
        seed: deals the folds.

    Raises:
        DataError: shapes or values are not as above.
    """
    labels_NL, p_NL = checked_labels(labels_NL), np.asarray(probabilities_NL)
    _check(labels_NL, p_NL, seen_NL, groups)
    usable_N = (labels_NL != UNKNOWN).any(axis=1) & ~np.isnan(p_NL).any(axis=1)
    rows = FitRows(labels_NL[usable_N], p_NL[usable_N].astype(np.float64))
    group_N = np.arange(len(rows)) if groups is None else np.unique(groups[usable_N], return_inverse=True)[1].ravel()
    if reason := _too_little(rows, group_N):
        return Rule.flat(labels_NL.shape[1], note=f"0.5 for all labels, because {reason}")
    fold_N = folds(len(rows), group_N, seed=seed)
    if objective.level is not None:
        return fit_level(objective, rows, fold_N, group_N)
    seen = None if seen_NL is None else SeenSets.of(checked_labels(seen_NL))
    return _Choice(objective.metric, rows, seen, fold_N, group_N).made()


def _check(labels_NL: Labels, p_NL: Floats, seen_NL: Labels | None, groups: NDArray[np.intp] | None) -> None:
    faults = []
    if p_NL.shape != labels_NL.shape or p_NL.dtype.kind != "f":
        faults.append(f"probabilities must be floats of shape {labels_NL.shape}; got {p_NL.dtype} of {p_NL.shape}")
    elif ((p_NL < 0) | (p_NL > 1)).any():
        faults.append("probabilities must be from 0 to 1")
    if seen_NL is not None and np.shape(seen_NL)[1:] != labels_NL.shape[1:]:
        faults.append(f"labels seen in training must be (samples, {labels_NL.shape[1]}); got {np.shape(seen_NL)}")
    if groups is not None and np.shape(groups) != (len(labels_NL),):
        faults.append(f"groups must be {len(labels_NL)} numbers; got shape {np.shape(groups)}")
    if faults:
        raise DataError(faults)


def _too_little(rows: FitRows, group_N: NDArray[np.intp]) -> str | None:
    """Why nothing can be fitted on these rows."""
    if len(rows) < FEWEST_ROWS:
        return f"there are only {len(rows)} rows to fit on; it takes {FEWEST_ROWS}"
    if len(np.unique(group_N)) < FOLDS:
        return f"the rows to fit on are only {len(np.unique(group_N))} groups; it takes {FOLDS}"
    return None if rows.yes_L.any() else "no row to fit on has a label"


# ----------------------------------------------------------------------------------------------- how to fit


@dataclass(frozen=True, eq=False)
class SeenSets:
    """The label sets of rows that are known whole, the commonest first.

    Attributes:
        sets: (S,) label indexes of each; MOST_SETS of them at most.
        share: (S,) of the rows.
        limits: limits of labels that are worth a try.
    """

    sets: tuple[tuple[int, ...], ...]
    share: NDArray[np.float64]
    limits: tuple[int, ...]

    @classmethod
    def of(cls, labels_NL: Labels) -> SeenSets:
        whole = labels_NL[(labels_NL != UNKNOWN).all(axis=1)] == YES
        if not len(whole):
            return cls((), np.empty(0), ())
        distinct_SL, counts_S = np.unique(whole, axis=0, return_counts=True)
        order = np.argsort(-counts_S, kind="stable")[:MOST_SETS]
        sets = tuple(tuple(np.flatnonzero(members_L).tolist()) for members_L in distinct_SL[order])
        sizes: Ints = np.unique(np.quantile(whole.sum(axis=1), _AT_MOST, method="inverted_cdf"))
        limits = tuple(int(size) for size in sizes if 1 <= size < labels_NL.shape[1])
        return cls(sets, counts_S[order] / len(whole), limits)


@dataclass(frozen=True)
class RuleFitter:
    """Fits a rule by settings that do not depend on its rows.

    Attributes:
        thresholds: flat at 0.5; one common threshold; one a label, shrunk towards the common one.
        strength: of the shrinkage.
        at_least_one, at_most: as in a Rule.
        set_prior: where it is a number the label sets decide: how much it counts how often each was seen.
    """

    thresholds: Literal["flat", "common", "own"] = "flat"
    strength: float = 0.0
    at_least_one: bool = False
    at_most: int | None = None
    set_prior: float | None = None

    def fit(self, metric: str, rows: FitRows, seen: SeenSets | None) -> Rule:
        L = len(rows.yes_L)
        if self.set_prior is not None:
            seen = seen or SeenSets.of(rows.labels_NL)
            weights = tuple((self.set_prior * np.log(seen.share)).tolist())
            return replace(Rule.flat(L), label_sets=seen.sets, set_weights=weights)
        rule = replace(Rule.flat(L), at_least_one=self.at_least_one, at_most=self.at_most)
        if self.thresholds == "flat":
            return rule
        common = self._common(metric, rows, rule)
        if self.thresholds == "common":
            return replace(rule, thresholds=(common,) * L)
        shrunk_L = rows.shrunk(rows.by_label(metric, common), common, self.strength)
        return replace(rule, thresholds=tuple(shrunk_L.tolist()))

    def _common(self, metric: str, rows: FitRows, rule: Rule) -> float:
        some = rows.where(slice(None, None, -(-len(rows) // _ENOUGH)))

        def worth_of(threshold: float) -> float:
            decisions_NL = replace(rule, thresholds=(threshold,) * len(rule.thresholds)).decide(some.p_NL)
            return value(metric, some.yes_NL, some.known_NL, decisions_NL)

        return some.common(worth_of)


class _Choice:
    """The rule that is worth most on rows it was not fitted on, the simpler one where that is noise."""

    def __init__(
        self,
        metric: str,
        rows: FitRows,
        seen: SeenSets | None,
        fold_N: NDArray[np.intp],
        group_N: NDArray[np.intp],
    ) -> None:
        self._metric, self._rows, self._seen, self._group_N = metric, rows, seen, group_N
        self._parts = [(fold_N == fold, rows.where(fold_N != fold)) for fold in np.unique(fold_N)]
        self._judged: dict[RuleFitter, Worth] = {}
        self._best = RuleFitter()

    def made(self) -> Rule:
        self._try([RuleFitter("common")], NOISE)
        self._try([RuleFitter("own", strength) for strength in STRENGTHS], NOISE)
        self._try([replace(self._best, at_least_one=True), RuleFitter("common", at_least_one=True)], ROW_NOISE)
        bases = (self._best, RuleFitter("common", at_least_one=self._best.at_least_one))
        limits = (self._seen or SeenSets.of(self._rows.labels_NL)).limits
        self._try([replace(base, at_most=limit) for base in bases for limit in limits], ROW_NOISE)
        if self._metric == "subset_accuracy" and (self._seen is None or self._seen.sets):
            self._try([RuleFitter(set_prior=prior) for prior in SET_PRIORS], ROW_NOISE)
        return self._best.fit(self._metric, self._rows, self._seen)

    def _try(self, fitters: Sequence[RuleFitter], noise: float) -> None:
        """Go over to the best of some that are richer than the present one, if that is beyond noise."""
        richer = max(fitters, key=lambda fitter: self._worth(fitter).value, default=self._best)
        if self._worth(richer).beats(self._worth(self._best), self._group_N, noise):
            self._best = richer

    def _worth(self, fitter: RuleFitter) -> Worth:
        if fitter not in self._judged:
            decisions_NL = np.empty(self._rows.p_NL.shape, dtype=np.bool_)
            for left_out_N, part in self._parts:
                rule = fitter.fit(self._metric, part, self._seen)
                decisions_NL[left_out_N] = rule.decide(self._rows.p_NL[left_out_N])
            self._judged[fitter] = worth(self._metric, self._rows.labels_NL, decisions_NL)
        return self._judged[fitter]
