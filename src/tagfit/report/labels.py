"""What a model makes of each label, from what it says of every sample: counts, curves, confusions.

Shapes: n samples of a part, L labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.reliability import CalibrationBin, reliability
from tagfit.metrics.intervals import LEAST, Answers, Resampling, label_f1_intervals
from tagfit.metrics.scores import Bools, Floats, Labels
from tagfit.records.data import NO, UNKNOWN, YES
from tagfit.records.scores import Interval

#: equal-width bins of one label's reliability, fewer than for all labels together
BINS = 10
#: with more products than this, labels get no intervals
MOST_PRODUCTS = 2e9
#: pairs of labels that are counted at a time
_PAIRS_A_BLOCK = 1 << 22


@dataclass(frozen=True)
class LabelScores:
    """What a model makes of one label; None where undefined."""

    yes: int
    precision: float | None
    recall: float | None
    f1: float | None
    interval: Interval | None
    average_precision: float | None


def label_scores(answers: Answers, groups: NDArray[np.int64], *, sure: bool = True) -> list[LabelScores]:
    """Every label's.

    Args:
        groups: (n,) numbers of what belongs together.
        sure: whether to compute the interval of F1, which takes resamples.
    """
    labels_NL, decided_NL = answers.labels_NL, decisions(answers)
    yes_L = (labels_NL == YES).sum(axis=0).tolist()
    hits_L = ((labels_NL == YES) & decided_NL).sum(axis=0).tolist()
    given_L = ((labels_NL != UNKNOWN) & decided_NL).sum(axis=0).tolist()
    none: list[Interval | None] = [None] * len(yes_L)
    affordable = sure and 3 * LEAST * labels_NL.size <= MOST_PRODUCTS and len(labels_NL) > 1
    draw = Resampling.of(len(labels_NL), groups, resamples=LEAST)
    intervals = label_f1_intervals(answers, draw) if affordable else none
    return [
        LabelScores(
            yes=yes,
            precision=hits / given if given else None,
            recall=hits / yes if yes else None,
            f1=2 * hits / (yes + given) if yes else None,
            interval=interval,
            average_precision=_average_precision(*precision_recall(labels_N, scores_N)),
        )
        for yes, hits, given, interval, labels_N, scores_N in zip(
            yes_L, hits_L, given_L, intervals, labels_NL.T, answers.probabilities_NL.T, strict=True
        )
    ]


def decisions(answers: Answers) -> Bools:
    """(n, L) the labels given."""
    assert answers.decisions_NL is not None
    return answers.decisions_NL


def precision_recall(labels_N: Labels, scores_N: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K,) recalls, rising, and the precision at each: a point for each score, equal ones together; none of no yes."""
    known_N = labels_N != UNKNOWN
    order = np.argsort(-scores_N[known_N], kind="stable")
    scores, yes = scores_N[known_N][order], (labels_N[known_N] == YES)[order]
    if not yes.any():
        return np.zeros(0), np.zeros(0)
    last_of_score = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits = np.cumsum(yes)[last_of_score]
    return hits / yes.sum(), hits / (last_of_score + 1)


def _average_precision(recall_K: NDArray[np.float64], precision_K: NDArray[np.float64]) -> float | None:
    """The area below the steps, as `map` is the mean of."""
    return float((np.diff(recall_K, prepend=0.0) * precision_K).sum()) if len(recall_K) else None


def label_reliability(labels_N: Labels, scores_N: Floats) -> list[CalibrationBin]:
    """The bins that hold known labels, by score."""
    return [one for one in reliability(labels_N[:, None], scores_N[:, None], BINS) if one.count]


def together(labels_NL: Labels) -> NDArray[np.float64]:
    """(L, L) of the samples that have the label of the row, the fraction that has that of the column; NaN of none."""
    yes_NL = (labels_NL == YES).astype(np.float64)
    known_NL = (labels_NL != UNKNOWN).astype(np.float64)
    of_LL = yes_NL.T @ known_NL
    return np.where(of_LL > 0, yes_NL.T @ yes_NL / np.maximum(of_LL, 1), np.nan)


@dataclass(frozen=True, eq=False)
class Confused:
    """Which labels were missed, and which were given wrongly to the same samples.

    Of L labels there are L x L pairs: they are counted a block of labels at a time.

    Attributes:
        missed_NL, false_NL: (n, L) float32, 1 where the label was missed, and where it was given wrongly.
    """

    missed_NL: NDArray[np.float32]
    false_NL: NDArray[np.float32]

    @classmethod
    def of(cls, answers: Answers) -> Confused:
        labels_NL, decided_NL = answers.labels_NL, decisions(answers)
        missed_NL, false_NL = (labels_NL == YES) & ~decided_NL, (labels_NL == NO) & decided_NL
        return cls(missed_NL.astype(np.float32), false_NL.astype(np.float32))

    @property
    def misses_L(self) -> NDArray[np.int64]:
        """(L,) how often each label was missed."""
        misses: NDArray[np.int64] = self.missed_NL.sum(axis=0, dtype=np.float64).astype(np.int64)
        return misses

    def counts(self, missed: NDArray[np.intp], given: NDArray[np.intp]) -> NDArray[np.int64]:
        """In how many samples the label of the row was missed and that of the column given wrongly."""
        counts: NDArray[np.int64] = np.rint(self.missed_NL[:, missed].T @ self.false_NL[:, given]).astype(np.int64)
        return counts

    def most(self, count: int) -> list[tuple[int, int, int]]:
        """The label missed, the label given and how often, of the pairs that occur, most often first."""
        missed_L, given_L = (np.flatnonzero(cells_NL.any(axis=0)) for cells_NL in (self.missed_NL, self.false_NL))
        step = max(1, _PAIRS_A_BLOCK // max(len(given_L), 1))
        found: list[tuple[int, int, int]] = []
        for start in range(0, len(missed_L), step):
            block_L = missed_L[start : start + step]
            counts_BL = self.counts(block_L, given_L)
            order = np.argsort(-counts_BL, axis=None, kind="stable")[:count]
            rows, columns = np.unravel_index(order, counts_BL.shape)
            found += zip(
                block_L[rows].tolist(), given_L[columns].tolist(), counts_BL[rows, columns].tolist(), strict=True
            )
            found = sorted((one for one in found if one[2]), key=lambda one: -one[2])[:count]
        return found
