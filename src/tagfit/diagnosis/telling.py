"""How well something that a sample has tells its labels: cross-fitted, against chance.

Samples are sorted into bins by what they have; in each fold, a bin is worth the share of yes among the samples of that
bin in the other folds. The AUC of that says how well the bins tell the label. Labels that are shuffled among the
samples, whole rows at a time, say what comes by chance, of all labels and all bins at once (Westfall and Young,
Resampling-based multiple testing, 1993: the step of the greatest).

Shapes: N samples, L labels, F folds, B bins, T kinds of bins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.crossfitting import folds
from tagfit.records.data import UNKNOWN, YES
from tagfit.records.scores import Interval

#: shuffles; no chance is called smaller than one in 1 + SHUFFLES
SHUFFLES = 199

#: a bin without samples in the other folds is worth the share of all, which weighs as much as so many samples
PRIOR = 2.0

#: cells that are shuffled at once
_CELLS = 1 << 21

Values = NDArray[np.float64]  # also (L,) of the labels of several shuffles, one after the other


@dataclass(frozen=True, eq=False)
class Told:
    """How well one kind of bins tells each label.

    Attributes:
        auc_L: (L,) 0.5 is chance, 1 is always; NaN where a label has no yes or no no in any fold.
        p_L: (L,) how often shuffled labels are told as well by any kind of bins, among all labels.
    """

    auc_L: Values
    p_L: Values


def tell(bins: Sequence[NDArray[np.intp]], labels_NL: NDArray[np.int8], *, seed: int = 0) -> list[Told]:
    """For each kind of bins, how well it tells the labels.

    Args:
        bins: T times (N,) bin numbers from 0.
        labels_NL: (N, L) int8; unknown cells are left out.
    """
    tables = [_Counts(of_row, folds(len(labels_NL), seed=seed)) for of_row in bins]
    yes_NL, known_NL = (labels_NL == YES).astype(np.float64), (labels_NL != UNKNOWN).astype(np.float64)
    auc_TL = np.stack([table.auc(yes_NL, known_NL) for table in tables])
    by_chance = []
    for orders_NS in _orders(len(labels_NL), labels_NL.shape[1], seed):
        shuffled = [cells_NL[orders_NS].reshape(len(cells_NL), -1) for cells_NL in (yes_NL, known_NL)]
        by_chance.append(np.stack([table.auc(*shuffled).reshape(-1, labels_NL.shape[1]) for table in tables], axis=1))
    p_TL = _corrected(auc_TL, np.concatenate(by_chance))
    return [Told(auc_L, p_L) for auc_L, p_L in zip(auc_TL, p_TL, strict=True)]


def _orders(count: int, labels: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """(N, some of the shuffles) rows; fewer at once of many cells."""
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // (count * labels))
    for start in range(0, SHUFFLES, step):
        shuffles = range(start, min(start + step, SHUFFLES))
        yield np.stack([rng.permutation(count) for _ in shuffles], axis=1)


def auc_interval(value: float, yes: int, no: int) -> Interval:
    """Of an AUC from so many yes and no samples (Hanley and McNeil, The meaning and use of the area under a receiver
    operating characteristic (ROC) curve, Radiology 143, 1982)."""
    both_yes, both_no = value / (2 - value), 2 * value**2 / (1 + value)
    spread = value * (1 - value) + (yes - 1) * (both_yes - value**2) + (no - 1) * (both_no - value**2)
    wide = 1.96 * float(np.sqrt(max(spread, 0.0) / (yes * no)))
    return Interval(max(0.0, value - wide), min(1.0, value + wide))


def _auc(yes_BL: Values, no_BL: Values) -> Values:
    """(L,) of counts in bins that rise with the score; NaN without both.

    scikit-learn's takes one label at a time, and this is called for hundreds of thousands.
    """
    below_BL = np.cumsum(no_BL, axis=0) - no_BL / 2
    with np.errstate(invalid="ignore"):
        value_L: Values = (yes_BL * below_BL).sum(axis=0) / (yes_BL.sum(axis=0) * no_BL.sum(axis=0))
    return value_L


class _Counts:
    """Counts by fold and bin: all that an AUC needs."""

    def __init__(self, bins: NDArray[np.intp], of_fold: NDArray[np.intp]) -> None:
        self._shape = int(of_fold.max()) + 1, int(bins.max()) + 1
        cell = of_fold * self._shape[1] + bins
        self._order = np.argsort(cell, kind="stable")
        self._cells, self._starts = np.unique(cell[self._order], return_index=True)

    def auc(self, yes_NL: Values, known_NL: Values) -> Values:
        """(L,) the AUCs of the folds, by how many pairs of yes and no each has."""
        yes_FBL, known_FBL = self._counts(yes_NL), self._counts(known_NL)
        all_yes_L, all_known_L = yes_FBL.sum(axis=(0, 1)), known_FBL.sum(axis=(0, 1))
        share_L = all_yes_L / np.maximum(all_known_L, 1)
        pairs_L, summed_L = np.zeros(len(share_L)), np.zeros(len(share_L))
        for yes_BL, known_BL in zip(yes_FBL, known_FBL, strict=True):
            yes_elsewhere_BL, known_elsewhere_BL = yes_FBL.sum(axis=0) - yes_BL, known_FBL.sum(axis=0) - known_BL
            worth_BL = (yes_elsewhere_BL + PRIOR * share_L) / (known_elsewhere_BL + PRIOR)
            order_BL = np.argsort(worth_BL, axis=0, kind="stable")
            here = [np.take_along_axis(counts, order_BL, axis=0) for counts in (yes_BL, known_BL - yes_BL)]
            pairs_here_L = here[0].sum(axis=0) * here[1].sum(axis=0)
            pairs_L += pairs_here_L
            summed_L += np.where(pairs_here_L > 0, np.nan_to_num(_auc(*here)) * pairs_here_L, 0.0)
        with np.errstate(invalid="ignore"):
            value_L: Values = summed_L / pairs_L
        return value_L

    def _counts(self, cells_NL: Values) -> Values:
        """(F, B, L)"""
        counts = np.zeros((self._shape[0] * self._shape[1], cells_NL.shape[1]))
        counts[self._cells] = np.add.reduceat(cells_NL[self._order], self._starts, axis=0)
        return counts.reshape(*self._shape, -1)


def _corrected(auc_TL: Values, by_chance_STL: Values) -> Values:
    """(T, L) how often the greatest of a shuffle is as far above its own chance, in its own deviations."""
    middle_TL, spread_TL = by_chance_STL.mean(axis=0), np.maximum(by_chance_STL.std(axis=0), 1e-9)
    far_TL = np.nan_to_num((auc_TL - middle_TL) / spread_TL, nan=-np.inf)
    far_STL = np.nan_to_num((by_chance_STL - middle_TL) / spread_TL, nan=-np.inf)
    greatest_S = far_STL.max(axis=(1, 2))
    p_TL: Values = (1 + (greatest_S[:, None, None] >= far_TL).sum(axis=0)) / (1 + len(greatest_S))
    return p_TL
