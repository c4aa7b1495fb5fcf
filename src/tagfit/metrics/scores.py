"""All metrics of one part, with unknown cells left out. Each is defined in docs/metrics.md.

Shapes: N samples, L labels, R rankings of C cells each, G tie groups. Suffixes of array names say their axes.

Rankings are never argsorted: a cell becomes one integer that sorts by probability and carries its label in the lowest
bit, so that one plain sort, which NumPy vectorises, holds all that the ranking metrics ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagfit.errors import DataError
from tagfit.records.data import NO, UNKNOWN, YES
from tagfit.records.scores import METRICS, Scores

Bools = NDArray[np.bool_]
Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
Labels = NDArray[np.int8]
Values = NDArray[np.float64]
#: integers or, where they are products of matrices, floats
Counts = NDArray[np.number]
#: uint32 of float32 probabilities, uint64 of float64
Keys = NDArray[np.unsignedinteger]

#: yes when the probability is above it, as Keras decides
THRESHOLD = 0.5
#: the log-loss takes probabilities from CLIP to 1 - CLIP, as Keras does
CLIP = 1e-7
#: equal-width bins of the expected calibration error
BINS = 15

#: the metrics of yes-or-no answers, of each row's ranking of the labels, of rankings across rows, of probabilities;
#: keras_accuracy stands alone
DECISION_METRICS = (
    "label_accuracy",
    "subset_accuracy",
    "jaccard",
    "micro_f1",
    "macro_f1",
    "sample_f1",
    "hamming_loss",
)
ROW_RANKING_METRICS = ("ranking_loss", "coverage_error", "one_error", "lrap")
PRECISION_METRICS = ("map", "micro_ap")
PROBABILITY_METRICS = ("log_loss", "ece")

_CELLS_A_BLOCK = 1 << 20


class Mean(NamedTuple):
    """A metric's value, None where undefined, and how many rows or labels its mean leaves out."""

    value: float | None
    left_out: int = 0


class ByRow(NamedTuple):
    """A metric that is a mean over rows, or labels: (N,) the value of each, and (N,) which of them it counts."""

    values: NDArray[np.generic]
    counted: Bools

    def mean(self) -> Mean:
        kept = self.values[self.counted]
        return Mean(float(kept.mean()) if kept.size else None, self.values.size - kept.size)


# ---------------------------------------------------------------------------------------------- public


def score(labels_NL: Labels, probabilities_NL: Floats) -> Scores:
    """All metrics, decided yes where the probability is above 0.5.

    Args:
        labels_NL: (N, L) of YES, NO, UNKNOWN; N may be 0, L may not.
        probabilities_NL: (N, L) floats from 0 to 1; float32 and float64 are ranked in their own precision.

    Raises:
        DataError: shapes, values or dtypes are not as above.
    """
    labels_NL, probabilities_NL = checked(labels_NL, probabilities_NL)
    return gather(_means(labels_NL, probabilities_NL > THRESHOLD, probabilities_NL))


def score_one(metric: str, labels_NL: Labels, probabilities_NL: Floats) -> float | None:
    """One metric of `score`, without the others; arguments and errors are the same."""
    labels_NL, probabilities_NL = checked(labels_NL, probabilities_NL)
    if metric == "keras_accuracy":
        return keras_accuracy(labels_NL, probabilities_NL).mean().value
    if metric in DECISION_METRICS:
        return decision_means(labels_NL, probabilities_NL > THRESHOLD)[metric].value
    if metric in PROBABILITY_METRICS:
        return probability_means(labels_NL, probabilities_NL)[metric].value
    means = row_ranking_means if metric in ROW_RANKING_METRICS else precision_means
    return means(ranking_keys(labels_NL, probabilities_NL))[metric].value


def score_decisions(labels_NL: Labels, decisions_NL: Bools, probabilities_NL: Floats) -> Scores:
    """As `score`, but `DECISION_METRICS` are of `decisions_NL`, (N, L) bool, True for yes.

    Raises:
        DataError: shapes, values or dtypes are not as above.
    """
    labels_NL, probabilities_NL = checked(labels_NL, probabilities_NL)
    if decisions_NL.shape != labels_NL.shape or decisions_NL.dtype != np.bool_:
        got = f"{decisions_NL.dtype} of {decisions_NL.shape}"
        raise DataError(f"decisions must be bool of shape {labels_NL.shape}; got {got}")
    return gather(_means(labels_NL, decisions_NL, probabilities_NL))


def count_left_out(labels_NL: Labels, probabilities_NL: Floats) -> dict[str, int]:
    """By metric of `score`, the labels or samples for which it is undefined and which its mean leaves out, if any."""
    means = _means(labels_NL, probabilities_NL > THRESHOLD, probabilities_NL)
    return {name: means[name].left_out for name in METRICS if means[name].left_out}


def _means(labels_NL: Labels, decisions_NL: Bools, probabilities_NL: Floats) -> dict[str, Mean]:
    keys_NL = ranking_keys(labels_NL, probabilities_NL)
    return {
        "keras_accuracy": keras_accuracy(labels_NL, probabilities_NL).mean(),
        **decision_means(labels_NL, decisions_NL),
        **row_ranking_means(keys_NL),
        **precision_means(keys_NL),
        **probability_means(labels_NL, probabilities_NL),
    }


def gather(means: Mapping[str, Mean]) -> Scores:
    """The record of all metrics, given the mean of each."""
    return Scores(**{name: means[name].value for name in METRICS})


# -------------------------------------------------------------------------------------------- checking


def checked(labels_NL: Labels, probabilities_NL: Floats) -> tuple[Labels, Floats]:
    """Both, as by `checked_labels` and `checked_probabilities`."""
    labels_NL = checked_labels(labels_NL)
    return labels_NL, checked_probabilities(probabilities_NL, labels_NL.shape)


def checked_labels(labels_NL: Counts) -> Labels:
    """(N, L) int8 labels.

    Raises:
        DataError: not two axes, no label, or a cell that is not YES, NO or UNKNOWN.
    """
    labels_NL = np.asarray(labels_NL)
    if labels_NL.ndim != 2 or labels_NL.shape[1] == 0:
        raise DataError(f"labels must be (samples, labels) with at least one label; got shape {labels_NL.shape}")
    if labels_NL.dtype.kind not in "biu":
        raise DataError(f"labels must be integers; got {labels_NL.dtype}")
    if labels_NL.size and not (labels_NL.min() >= UNKNOWN and labels_NL.max() <= YES):
        raise DataError(
            f"labels must be {YES} (yes), {NO} (no) or {UNKNOWN} (unknown); "
            f"got values from {labels_NL.min()} to {labels_NL.max()}"
        )
    return labels_NL.astype(np.int8, copy=False)


def checked_probabilities(probabilities_NL: Floats, shape: tuple[int, ...]) -> Floats:
    """(N, L) float32 or float64 probabilities of that shape.

    Raises:
        DataError: another shape, no floats, or values outside of 0 to 1.
    """
    p_NL = np.asarray(probabilities_NL)
    if p_NL.shape != shape:
        raise DataError(f"probabilities must have the shape of the labels, {shape}; got {p_NL.shape}")
    if p_NL.dtype.kind != "f":
        raise DataError(f"probabilities must be floats; got {p_NL.dtype}")
    # NaN fails both comparisons
    if p_NL.size and not (p_NL.min() >= 0 and p_NL.max() <= 1):
        raise DataError(f"probabilities must be from 0 to 1; got values from {p_NL.min()} to {p_NL.max()}")
    return p_NL.astype(np.float32 if p_NL.dtype.itemsize < 8 else np.float64, copy=False)


# ------------------------------------------------------------------------------------------- decisions


@dataclass(frozen=True, eq=False)
class DecisionCounts:
    """Known cells counted by row or by label; arrays of one shape, or of shapes that broadcast.

    Attributes:
        hits: cells that are yes and decided yes.
        decided: cells decided yes.
        yes: cells that are yes.
        known: all known cells.
    """

    hits: Counts
    decided: Counts
    yes: Counts
    known: Counts

    @property
    def wrong(self) -> Counts:
        return self.decided + self.yes - 2 * self.hits


def exact(counts: DecisionCounts) -> Values:
    """1 where all known cells are decided rightly, else 0."""
    return np.asarray(counts.wrong == 0, dtype=np.float64)


def jaccard(counts: DecisionCounts) -> Values:
    """|yes and decided| / |yes or decided|; 1 where both are empty."""
    return over(counts.hits, counts.decided + counts.yes - counts.hits, empty=1.0)


def f1(counts: DecisionCounts) -> Values:
    """2 hits / (decided + yes); 1 where both are empty."""
    return over(2 * counts.hits, counts.decided + counts.yes, empty=1.0)


#: the metrics that are a mean over rows, by the value of each row
ROW_FORMULAS: Mapping[str, Callable[[DecisionCounts], Values]] = {
    "subset_accuracy": exact,
    "jaccard": jaccard,
    "sample_f1": f1,
}


def over(part: Counts, whole: Counts, *, empty: float) -> Values:
    """part / whole, and `empty` where the whole is 0."""
    ratios = np.full(whole.shape, empty)
    np.divide(part, whole, out=ratios, where=whole > 0)
    return ratios


def decision_means(labels_NL: Labels, decisions_NL: Bools) -> dict[str, Mean]:
    """The mean of each of `DECISION_METRICS`."""
    rows, labels = count(labels_NL, decisions_NL)
    left_out = {"macro_f1": int(np.count_nonzero(labels.yes == 0))}
    return {
        **{name: Mean(_defined(value), left_out.get(name, 0)) for name, value in pooled_decisions(labels).items()},
        **{name: by_row.mean() for name, by_row in row_decisions(rows).items()},
    }


def count(labels_NL: Labels, decisions_NL: Bools) -> tuple[DecisionCounts, DecisionCounts]:
    """The known cells counted by row and by label."""
    counted = masks(labels_NL, decisions_NL)
    rows, labels = (DecisionCounts(*(mask.sum(axis=axis) for mask in counted)) for axis in (1, 0))
    return rows, labels


def masks(labels_NL: Labels, decisions_NL: Bools) -> tuple[Bools, Bools, Bools, Bools]:
    """(N, L) each: the cells that each attribute of DecisionCounts counts, in order."""
    yes_NL, known_NL = labels_NL == YES, labels_NL != UNKNOWN
    return yes_NL & decisions_NL, known_NL & decisions_NL, yes_NL, known_NL


def row_decisions(rows: DecisionCounts) -> dict[str, ByRow]:
    """Those of `DECISION_METRICS` that are means over rows, from the counts of the rows."""
    return {name: ByRow(formula(rows), rows.known > 0) for name, formula in ROW_FORMULAS.items()}


def pooled_decisions(labels: DecisionCounts) -> dict[str, Values]:
    """The others of `DECISION_METRICS`, (...), from the counts (..., L) of the labels; NaN where undefined."""
    wrong, known, has_yes = labels.wrong.sum(axis=-1), labels.known.sum(axis=-1), labels.yes > 0
    hits, answers = labels.hits.sum(axis=-1), (labels.decided + labels.yes).sum(axis=-1)
    return {
        "label_accuracy": over(known - wrong, known, empty=np.nan),
        "hamming_loss": over(wrong, known, empty=np.nan),
        "micro_f1": over(2 * hits, answers, empty=np.nan),
        "macro_f1": over((f1(labels) * has_yes).sum(axis=-1), has_yes.sum(axis=-1), empty=np.nan),
    }


def keras_accuracy(labels_NL: Labels, probabilities_NL: Floats) -> ByRow:
    """What Keras reports as `accuracy`: categorical accuracy; of a single label, binary accuracy.

    Source: `get_metric` in keras/src/trainers/compile_utils.py picks by the number of outputs;
    `categorical_accuracy` in keras/src/metrics/accuracy_metrics.py compares the two argmaxes.
    """
    known_NL = labels_NL != UNKNOWN
    if labels_NL.shape[1] == 1:
        right_N = (labels_NL == YES)[:, 0] == (probabilities_NL > THRESHOLD)[:, 0]
    else:
        # UNKNOWN is below NO, so that the labels' argmax passes over unknown cells by itself
        masked_NL = np.where(known_NL, probabilities_NL, -1)
        right_N = labels_NL.argmax(axis=1) == masked_NL.argmax(axis=1)
    return ByRow(right_N, known_NL.any(axis=1))


# -------------------------------------------------------------------------------------------- rankings


def ranking_keys(labels_NL: Labels, probabilities_NL: Floats) -> Keys:
    """(N, L) integers: 0 where unknown, else above 1, ordered by probability, and odd where the label is yes.

    The bits of a float from 0 on, read as an integer, are in the order of the floats.
    """
    unsigned = np.uint32 if probabilities_NL.dtype == np.float32 else np.uint64
    keys_NL = np.empty(labels_NL.shape, dtype=unsigned)
    for rows in _blocks(labels_NL.shape):
        # + 0.0 makes -0.0 the 0.0 that it equals
        bits: Keys = (probabilities_NL[rows] + 0.0).view(unsigned)
        keys_NL[rows] = ((bits << 1) + 2 + (labels_NL[rows] == YES)) * (labels_NL[rows] != UNKNOWN)
    return keys_NL


class _TieGroups(NamedTuple):
    """The groups of equal probability that hold a yes, of R rankings: by ranking, lowest probability first.

    Attributes:
        ranking: (G,) the ranking that the group is of.
        yes: (G,) its cells that are yes.
        rank: (G,) cells of its ranking with its probability or a higher one: the worst rank of each of its cells.
        yes_ranked: (G,) those of them that are yes.
    """

    ranking: Ints
    yes: Ints
    rank: Ints
    yes_ranked: Ints


def _tie_groups(sorted_RC: Keys) -> _TieGroups:
    """Args: sorted_RC: `ranking_keys`, each row sorted, C-contiguous, C above 0."""
    C = sorted_RC.shape[1]
    start, yes = yes_groups(sorted_RC)
    ranking = start // C
    yes_so_far = np.cumsum(yes)
    last_of_ranking = np.cumsum(np.bincount(ranking))[ranking] - 1
    yes_ranked = yes_so_far[last_of_ranking] - yes_so_far + yes
    return _TieGroups(ranking, yes, (ranking + 1) * C - start, yes_ranked)


def yes_groups(sorted_RC: Keys) -> tuple[Ints, Ints]:
    """(G,) where each group of equal probability that holds a yes starts in the raveled keys, and (G,) its yes cells.

    Args:
        sorted_RC: `ranking_keys`, each row sorted, C-contiguous.
    """
    flat = sorted_RC.reshape(-1)
    opens = np.ones(flat.size, dtype=np.bool_)
    # equal probabilities differ in the lowest bit at most
    np.greater(flat[1:] ^ flat[:-1], 1, out=opens[1:])
    opens[:: max(sorted_RC.shape[1], 1)] = True
    group, yes = _runs(np.cumsum(opens)[is_yes(flat)] - 1)
    return np.flatnonzero(opens)[group], yes


def is_yes(keys: Keys) -> Bools:
    """Which keys are of a yes."""
    return (keys.astype(np.uint8) & 1).view(np.bool_)


def _runs(ascending: Ints) -> tuple[Ints, Ints]:
    """The distinct values, and how often each occurs."""
    opens = np.ones(ascending.size, dtype=np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=opens[1:])
    starts = np.flatnonzero(opens)
    return ascending[starts], np.diff(starts, append=ascending.size)


def _average_precision(groups: _TieGroups, R: int) -> Values:
    """(R,) mean, over the yes cells of a ranking, of the precision down to each; NaN where there is none."""
    precision_sum = np.bincount(groups.ranking, groups.yes * groups.yes_ranked / groups.rank, minlength=R)
    yes_R = np.bincount(groups.ranking, groups.yes, minlength=R)
    return over(precision_sum, yes_R, empty=np.nan)


def row_ranking_means(keys_NL: Keys) -> dict[str, Mean]:
    """The mean of each of `ROW_RANKING_METRICS`."""
    return {name: by_row.mean() for name, by_row in row_rankings(keys_NL).items()}


def row_rankings(keys_NL: Keys) -> dict[str, ByRow]:
    """Each of `ROW_RANKING_METRICS`: each sample ranks its labels.

    A row with nothing to rank is ranked without fault, as scikit-learn has it: a loss of 0, an lrap of 1.
    """
    N = len(keys_NL)
    loss, coverage, error, lrap = np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(N)
    yes, known = is_yes(keys_NL).sum(axis=1), np.count_nonzero(keys_NL, axis=1)
    for rows in _blocks(keys_NL.shape):
        R = rows.stop - rows.start
        groups = _tie_groups(np.sort(keys_NL[rows], axis=1))
        lrap[rows] = _average_precision(groups, R)
        loss[rows] = np.bincount(groups.ranking, groups.yes * (groups.rank - groups.yes_ranked), minlength=R)
        # of assignments to one index the last one stays: the lowest group for the coverage, the highest for the error
        coverage[rows][groups.ranking[::-1]] = groups.rank[::-1]
        error[rows][groups.ranking] = groups.rank > groups.yes_ranked
    pairs = yes * (known - yes)
    return {
        "ranking_loss": ByRow(loss / np.maximum(pairs, 1), known > 0),
        "coverage_error": ByRow(coverage, known > 0),
        "one_error": ByRow(error, yes > 0),
        "lrap": ByRow(np.where(yes > 0, lrap, 1.0), known > 0),
    }


def precision_means(keys_NL: Keys) -> dict[str, Mean]:
    """The mean of each of `PRECISION_METRICS`: each label ranks the samples; all cells are one ranking."""
    N, L = keys_NL.shape
    precision_L, pooled = np.full(L, np.nan), np.full(1, np.nan)
    if N:
        for labels in _blocks((L, N)):
            by_label = np.sort(np.ascontiguousarray(keys_NL[:, labels].T), axis=1)
            precision_L[labels] = _average_precision(_tie_groups(by_label), len(by_label))
        pooled = _average_precision(_tie_groups(np.sort(keys_NL, axis=None)[np.newaxis]), 1)
    return {"map": ByRow(precision_L, ~np.isnan(precision_L)).mean(), "micro_ap": Mean(_defined(pooled[0]))}


# --------------------------------------------------------------------------------------- probabilities


@dataclass(frozen=True, eq=False)
class ProbabilitySums:
    """What `PROBABILITY_METRICS` add up, of N rows, or of other sums (...) of them.

    Attributes:
        loss: (N,) cross-entropy of the known cells.
        excess: (N, BINS) by how much the probabilities of the known cells in a bin exceed the yes cells among them.
        known: (N,) known cells.
    """

    loss: Values
    excess: Values
    known: Counts


def probability_means(labels_NL: Labels, probabilities_NL: Floats) -> dict[str, Mean]:
    """The mean of each of `PROBABILITY_METRICS`, over all known cells together."""
    rows = probability_sums(labels_NL, probabilities_NL)
    total = ProbabilitySums(rows.loss.sum(), rows.excess.sum(axis=0), rows.known.sum())
    return {name: Mean(_defined(value)) for name, value in pooled_probabilities(total).items()}


def probability_sums(labels_NL: Labels, probabilities_NL: Floats) -> ProbabilitySums:
    """The sums of each row."""
    N = len(labels_NL)
    loss_N, excess_NK, known_N = np.zeros(N), np.zeros((N, BINS)), np.count_nonzero(labels_NL != UNKNOWN, axis=1)
    for rows in _blocks(labels_NL.shape):
        yes, known, p = labels_NL[rows] == YES, labels_NL[rows] != UNKNOWN, probabilities_NL[rows].astype(np.float64)
        loss = -np.log(np.clip(np.where(yes, p, 1 - p), CLIP, 1 - CLIP))
        loss_N[rows] = (loss * known).sum(axis=1)
        bins = np.minimum((p * BINS).astype(np.int64), BINS - 1) + BINS * np.arange(len(p))[:, np.newaxis]
        excess = np.bincount(bins.ravel(), ((p - yes) * known).ravel(), minlength=BINS * len(p))
        excess_NK[rows] = excess.reshape(-1, BINS)
    return ProbabilitySums(loss_N, excess_NK, known_N)


def pooled_probabilities(sums: ProbabilitySums) -> dict[str, Values]:
    """Each of `PROBABILITY_METRICS`, (...), from sums (...) of rows; NaN where undefined."""
    # a bin's |mean p - fraction yes| times its count is |sum of (p - yes)|
    return {
        "log_loss": over(sums.loss, sums.known, empty=np.nan),
        "ece": over(np.abs(sums.excess).sum(axis=-1), sums.known, empty=np.nan),
    }


# ---------------------------------------------------------------------------------------------- shared


def _defined(value: Values) -> float | None:
    """A number that is NaN where undefined, as a value that is None there."""
    return None if np.isnan(value) else float(value)


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of the first axis that bound the memory of what is computed in between."""
    n, width = shape
    step = max(1, _CELLS_A_BLOCK // max(width, 1))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
