"""What a constant baseline would get: for each metric the best fixed answer, chosen on train.

A model is worth what it scores above this. Shapes: N samples, L labels, D distinct rows, C candidate label sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from scipy import sparse

from tagfit.errors import DataError
from tagfit.io.ranges import CountOrNone, Fraction
from tagfit.metrics import scores
from tagfit.metrics.scores import Bools, Counts, Ints, Keys, Labels, Mean, Values, checked_labels
from tagfit.records.data import NO, UNKNOWN, YES
from tagfit.records.scores import LOWER_IS_BETTER, Scores

#: the metrics for which a label set is the answer, and those for which a ranking is
SET_METRICS = ("keras_accuracy", *scores.DECISION_METRICS)
RANKING_METRICS = (*scores.ROW_RANKING_METRICS, *scores.PRECISION_METRICS)

#: how many of the commonest label sets stand for election, beside the sets of the most frequent labels
COMMON_SETS = 64

_CELLS_A_BLOCK = 1 << 22


def only_answers(labels_NL: Labels) -> dict[int, float]:
    """The logits of labels, by index, of which train knows no yes or no no: nothing tells when the other would be due.

    The frequency is that of Krichevsky and Trofimov: half a yes and half a no beside those that are there.
    """
    yes_L, no_L = ((labels_NL == value).sum(axis=0) for value in (YES, NO))
    return {
        int(label): float(np.log((yes_L[label] + 0.5) / (no_L[label] + 0.5)))
        for label in np.flatnonzero(np.minimum(yes_L, no_L) == 0)
    }


@dataclass(frozen=True)
class ConstantBaseline:
    """The best fixed answer by metric, as plain numbers that any later data can be scored against.

    Which of them are provably the best on train is said in docs/metrics.md.

    Attributes:
        sets: for each of SET_METRICS the labels to answer yes to, ascending indexes.
        rankings: for each of RANKING_METRICS all labels, the first one ranked highest.
        frequencies: (L,) the fraction of yes among the known values of each label: the probabilities to answer.

    Raises:
        DataError: metrics that are missing or have no such answer, or indexes that are not of L labels; all at once.
    """

    sets: Mapping[str, tuple[CountOrNone, ...]]
    rankings: Mapping[str, tuple[CountOrNone, ...]]
    frequencies: Annotated[tuple[Fraction, ...], Meta(min_length=1, description="a list of fractions, one a label")]

    def __post_init__(self) -> None:
        L = len(self.frequencies)
        faults = [f"sets must be of {', '.join(SET_METRICS)}"] if set(self.sets) != set(SET_METRICS) else []
        if set(self.rankings) != set(RANKING_METRICS):
            faults.append(f"rankings must be of {', '.join(RANKING_METRICS)}")
        faults += [
            f"sets.{name} must be different label indexes below {L}"
            for name, labels in self.sets.items()
            if len(set(labels)) < len(labels) or max(labels, default=0) >= L
        ]
        faults += [
            f"rankings.{name} must be all {L} label indexes, each once"
            for name, labels in self.rankings.items()
            if len(labels) != L or len(set(labels)) != L or max(labels, default=0) >= L
        ]
        if faults:
            raise DataError(faults)

    @classmethod
    def choose(cls, labels_NL: Labels) -> ConstantBaseline:
        """The best fixed answers on train; unknown cells are left out.

        Args:
            labels_NL: (N, L) of YES, NO, UNKNOWN.

        Raises:
            DataError: no cell is known, or the labels are not as above.
        """
        labels_NL = checked_labels(labels_NL)
        train = _Tally.of(labels_NL)
        sets = {
            "label_accuracy": train.majority,
            "hamming_loss": train.majority,
            "macro_f1": np.flatnonzero(train.yes),
            "micro_f1": train.best_pooled(),
            "keras_accuracy": _best_top(labels_NL, train),
            **_best_by_row(labels_NL, train),
        }
        rankings = dict.fromkeys(scores.PRECISION_METRICS, train.order) | _best_rankings(labels_NL, train)
        return cls(
            sets={name: tuple(np.sort(sets[name]).tolist()) for name in SET_METRICS},
            rankings={name: tuple(rankings[name].tolist()) for name in RANKING_METRICS},
            frequencies=tuple(train.frequency.tolist()),
        )

    def score(self, labels_NL: Labels) -> Scores:
        """Every metric of the answer that was chosen for it.

        Args:
            labels_NL: (N, L) of YES, NO, UNKNOWN, the labels in the order of the train labels.

        Raises:
            DataError: another number of labels, or the labels are not as above.
        """
        labels_NL = checked_labels(labels_NL)
        if labels_NL.shape[1] != len(self.frequencies):
            raise DataError(
                f"this constant baseline is for {len(self.frequencies)} labels; the data has {labels_NL.shape[1]}"
            )
        shape = labels_NL.shape

        def set_means(labels: tuple[int, ...]) -> dict[str, Mean]:
            return scores.decision_means(labels_NL, np.broadcast_to(_answered(labels, shape[1]), shape))

        top_NL = np.broadcast_to(_answered(self.sets["keras_accuracy"], shape[1]).astype(np.float32), shape)
        return scores.gather(
            {
                "keras_accuracy": scores.keras_accuracy(labels_NL, top_NL).mean(),
                **_means(scores.DECISION_METRICS, self.sets, set_means),
                **_means(
                    scores.ROW_RANKING_METRICS,
                    self.rankings,
                    lambda order: scores.row_ranking_means(_keys(labels_NL, order)),
                ),
                **_means(
                    scores.PRECISION_METRICS,
                    self.rankings,
                    lambda order: scores.precision_means(_keys(labels_NL, order)),
                ),
                **scores.probability_means(labels_NL, np.broadcast_to(np.array(self.frequencies), shape)),
            }
        )

    def answers(self, metric: str, count: int) -> tuple[Values, Bools]:
        """Probabilities and decisions (count, L): the answer that was chosen for `metric`, to `count` rows.

        The probabilities rank the labels where the metric is of rankings, and are the frequencies where it is of
        probabilities; those of a set are 1 and 0.
        """
        L = len(self.frequencies)
        p_L = np.array(self.frequencies)
        if metric in self.rankings:
            p_L = np.empty(L)
            p_L[list(self.rankings[metric])] = 1 - np.arange(L) / L
        elif metric in self.sets:
            p_L = _answered(self.sets[metric], L).astype(np.float64)
        return np.broadcast_to(p_L, (count, L)), np.broadcast_to(p_L > scores.THRESHOLD, (count, L))


# --------------------------------------------------------------------------------------------- scoring


def _means(
    names: tuple[str, ...],
    answers: Mapping[str, tuple[int, ...]],
    measure: Callable[[tuple[int, ...]], dict[str, Mean]],
) -> dict[str, Mean]:
    """The mean of each named metric, of the answer for it; each distinct answer is measured once."""
    measured = {answer: measure(answer) for answer in {answers[name] for name in names}}
    return {name: measured[answers[name]][name] for name in names}


def _answered(labels: tuple[int, ...], L: int) -> Bools:
    """(L,) True for the labels of the set."""
    answer_L = np.zeros(L, dtype=np.bool_)
    answer_L[list(labels)] = True
    return answer_L


def _keys(labels_NL: Labels, order: Sequence[int] | Ints) -> Keys:
    """(N, L) `ranking_keys` of one ranking for all rows. It has no ties: a tie can only cost."""
    L = len(order)
    falling_L = np.empty(L, dtype=np.float32)
    falling_L[np.asarray(order)] = 1 - np.arange(L) / L
    return scores.ranking_keys(labels_NL, np.broadcast_to(falling_L, labels_NL.shape))


# -------------------------------------------------------------------------------------------- choosing


@dataclass(frozen=True, eq=False)
class _Tally:
    """How often each label is yes on train, all (L,), and the labels from the most to the least frequent."""

    yes: Ints
    known: Ints
    frequency: Values
    order: Ints

    @classmethod
    def of(cls, labels_NL: Labels) -> _Tally:
        yes_L = np.count_nonzero(labels_NL == YES, axis=0)
        known_L = np.count_nonzero(labels_NL != UNKNOWN, axis=0)
        if not known_L.any():
            raise DataError("a constant baseline needs at least one known label to be chosen on; got none")
        # a label that train says nothing about is taken to be as frequent as labels are
        frequency_L = np.full(len(yes_L), yes_L.sum() / known_L.sum())
        np.divide(yes_L, known_L, out=frequency_L, where=known_L > 0)
        return cls(yes_L, known_L, frequency_L, _descending(frequency_L))

    @property
    def majority(self) -> Ints:
        """The labels that are yes more often than not."""
        return np.flatnonzero(2 * self.yes > self.known)

    def best_pooled(self) -> Ints:
        """The set with the highest micro-F1.

        With f the best value, adding label l to a set helps exactly when 2 yes_l > f known_l (Dinkelbach 1967, on
        fractional programs), so the best set is one of the sets of most frequent labels.
        """
        hits = np.cumsum(self.yes[self.order])
        decided = np.cumsum(self.known[self.order])
        f1 = 2 * hits / np.maximum(decided + self.yes.sum(), 1)
        return self.order[: int(f1.argmax()) + 1 if f1.max() > 0 else 0]


def _descending(values_L: Counts) -> Ints:
    """Indexes from the highest value to the lowest; of equal ones the first comes first."""
    return np.argsort(-values_L, kind="stable")


def _best_top(labels_NL: Labels, train: _Tally) -> Ints:
    """The one label to always rank on top for keras_accuracy; of a single label, whether to say yes."""
    if labels_NL.shape[1] == 1:
        return train.majority
    known_NL = labels_NL != UNKNOWN
    judged_N = known_NL.any(axis=1)
    true_top_N, first_known_N = labels_NL.argmax(axis=1), known_NL.argmax(axis=1)
    hits_L = np.bincount(true_top_N[judged_N], minlength=labels_NL.shape[1])
    # where the answer is unknown all known labels tie at nothing, and Keras takes the first
    by_default_N = judged_N & (true_top_N == first_known_N)
    hits_L += np.count_nonzero(~known_NL[by_default_N], axis=0)
    return np.array([hits_L.argmax()])


def _best_rankings(labels_NL: Labels, train: _Tally) -> dict[str, Ints]:
    """For each of ROW_RANKING_METRICS the best of four rankings."""
    orders = (train.order, _pair_order(labels_NL), _precision_order(labels_NL), _coverage_order(labels_NL))
    scored = [scores.row_ranking_means(_keys(labels_NL, order)) for order in orders]
    best = {}
    for name in scores.ROW_RANKING_METRICS:
        values = [means[name].value or 0.0 for means in scored]
        best[name] = orders[int(np.argmin(values) if name in LOWER_IS_BETTER else np.argmax(values))]
    return best


def _pair_order(labels_NL: Labels) -> Ints:
    """The ranking with the least ranking_loss where all cells are known.

    A row with P yes and Q no charges 1 / (P Q) for each no ranked above a yes. Whether i or j is better on top is
    then decided by who has the larger sum, over the rows where it is yes, of 1 / (P Q): one number a label.
    """
    yes_NL, known_NL = labels_NL == YES, labels_NL != UNKNOWN
    yes_N = np.count_nonzero(yes_NL, axis=1)
    pairs_N = yes_N * (np.count_nonzero(known_NL, axis=1) - yes_N)
    weights_N = np.divide(1.0, pairs_N, out=np.zeros(len(pairs_N)), where=pairs_N > 0)
    charged_L, known_L = weights_N @ yes_NL, weights_N @ known_NL
    return _descending(np.divide(charged_L, known_L, out=np.zeros(len(known_L)), where=known_L > 0))


def _precision_order(labels_NL: Labels) -> Ints:
    """From the top, the label that adds most to lrap: its rows count by their yes labels so far, itself included."""
    yes_NL = sparse.csr_array(labels_NL == YES, dtype=np.float64)
    share_NL = sparse.csr_array(sparse.diags_array(1 / np.maximum(yes_NL.sum(axis=1), 1)) @ yes_NL)
    rows_LN = sparse.csr_array(yes_NL.T)
    gain_L, order = share_NL.sum(axis=0), np.empty(labels_NL.shape[1], dtype=np.intp)
    for place in range(len(order)):
        order[place] = label = gain_L.argmax()
        # one row of the labels' products at a time: all of them are L x L
        together = rows_LN[[label]] @ share_NL
        gain_L[together.indices] += together.data
        gain_L[label] = -np.inf
    return order


def _coverage_order(labels_NL: Labels) -> Ints:
    """From the bottom, the label that fewest rows need, of the rows that need none below it."""
    yes_NL = labels_NL == YES
    needed_L, open_N = yes_NL.sum(axis=0, dtype=np.float64), np.ones(len(yes_NL), dtype=np.bool_)
    upwards: list[int] = []
    for _ in needed_L:
        lowest = int(needed_L.argmin())
        closing = np.flatnonzero(open_N & yes_NL[:, lowest])
        needed_L -= yes_NL[closing].sum(axis=0)
        needed_L[lowest] = np.inf
        open_N[closing] = False
        upwards.append(lowest)
    return np.array(upwards[::-1])


def _best_by_row(labels_NL: Labels, train: _Tally) -> dict[str, Ints]:
    """For each mean over rows the best of the candidate sets."""
    rows_DL, counts_D = _distinct(labels_NL)
    candidates = _Candidates.of(rows_DL, counts_D, train)
    totals = {name: np.zeros(len(candidates)) for name in scores.ROW_FORMULAS}
    step = max(1, _CELLS_A_BLOCK // len(candidates))
    for start in range(0, len(rows_DL), step):
        counts, times_D = candidates.counted(rows_DL[start : start + step]), counts_D[start : start + step]
        judged_D = times_D * (counts.known[:, 0] > 0)
        for name, formula in scores.ROW_FORMULAS.items():
            totals[name] += judged_D @ formula(counts)
    return {name: candidates[int(total_C.argmax())] for name, total_C in totals.items()}


@dataclass(frozen=True, eq=False)
class _Candidates:
    """C label sets: the K commonest rows, then the sets of the 0, 1, ... L most frequent labels.

    Where a row is unknown, its set follows the majority.

    Attributes:
        common_KL: the sets of the commonest rows.
        order: (L,) the labels from the most to the least frequent.
    """

    common_KL: Bools
    order: Ints

    @classmethod
    def of(cls, rows_DL: Labels, counts_D: Ints, train: _Tally) -> _Candidates:
        common = rows_DL[_descending(counts_D)[:COMMON_SETS]]
        by_majority_L = np.isin(np.arange(rows_DL.shape[1]), train.majority)
        return cls(np.where(common == UNKNOWN, by_majority_L, common == YES), train.order)

    def __len__(self) -> int:
        return len(self.common_KL) + len(self.order) + 1

    def __getitem__(self, number: int) -> Ints:
        """The labels of one."""
        K = len(self.common_KL)
        return np.flatnonzero(self.common_KL[number]) if number < K else self.order[: number - K]

    def counted(self, rows_DL: Labels) -> scores.DecisionCounts:
        """The counts (D, C) of each row under each set; (D, 1) for what no set changes."""
        # float32 counts exactly, and multiplies fast
        yes_DL, known_DL = (rows_DL == YES).astype(np.float32), (rows_DL != UNKNOWN).astype(np.float32)
        return scores.DecisionCounts(
            hits=self._within(yes_DL),
            decided=self._within(known_DL),
            yes=yes_DL.sum(axis=1, keepdims=True),
            known=known_DL.sum(axis=1, keepdims=True),
        )

    def _within(self, cells_DL: NDArray[np.float32]) -> NDArray[np.float32]:
        """(D, C) how many of the cells of each row are of each set."""
        K = len(self.common_KL)
        within_DC = np.zeros((len(cells_DL), len(self)), dtype=np.float32)
        within_DC[:, :K] = cells_DL @ self.common_KL.T.astype(np.float32)
        np.cumsum(cells_DL[:, self.order], axis=1, out=within_DC[:, K + 1 :])
        return within_DC


def _distinct(labels_NL: Labels) -> tuple[Labels, Ints]:
    """(D, L) the distinct rows, and how often each occurs."""
    packed = np.packbits(np.concatenate([labels_NL == YES, labels_NL == UNKNOWN], axis=1), axis=1)
    # one opaque item a row, which NumPy compares as bytes
    items_N = packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]
    _, first_D, counts_D = np.unique(items_N, return_index=True, return_counts=True)
    return labels_NL[first_D], counts_D
