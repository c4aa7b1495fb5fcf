"""All metrics of one part where each row counts as often as a weight says, under many weightings at once.

Under whole weights they are what `metrics.score` gives for rows that stand there so often. All sums are float64.

Shapes: N samples, L labels, B weightings, K sums over rows, R metrics that are means over rows; of one ranking S cells
and G tie groups that hold a yes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tagfit.metrics import scores
from tagfit.metrics.scores import BINS, Bools, Floats, Ints, Keys, Labels, Values, over
from tagfit.records.scores import METRICS

_CELLS_A_BLOCK = 1 << 22


class Weighable:
    """One part, made ready to be scored under any weights.

    What is a ratio of sums over rows takes one product of a sparse matrix with the weights. A ranking is put in order
    once, since no weight changes it; another sparse matrix then counts the cells down to each yes.

    Args:
        labels_NL, decisions_NL, probabilities_NL: as in `metrics.score_decisions`, and checked by it.
        metrics: which are wanted; without `map` and `micro_ap` it takes an eighth of the time.
    """

    def __init__(
        self, labels_NL: Labels, decisions_NL: Bools, probabilities_NL: Floats, metrics: Collection[str] = METRICS
    ) -> None:
        keys_NL = scores.ranking_keys(labels_NL, probabilities_NL)
        by_row = {
            "keras_accuracy": scores.keras_accuracy(labels_NL, probabilities_NL),
            **scores.row_decisions(scores.count(labels_NL, decisions_NL)[0]),
            **scores.row_rankings(keys_NL),
        }
        sums = scores.probability_sums(labels_NL, probabilities_NL)
        hits_NL, decided_NL, yes_NL, _ = scores.masks(labels_NL, decisions_NL)
        summed = [
            *((values * counted)[np.newaxis] for values, counted in by_row.values()),
            *(counted[np.newaxis] for _, counted in by_row.values()),
            *(sums.loss[np.newaxis], sums.known[np.newaxis], sums.excess.T),
            *(hits_NL.T, decided_NL.T, yes_NL.T),
        ]
        self._row_metrics = tuple(by_row)
        self._sums_KN = sparse.vstack([sparse.csr_array(part, dtype=np.float64) for part in summed], format="csr")
        self._metrics, self._label_count, self._cells = metrics, keys_NL.shape[1], keys_NL.size
        self._labels = [_Ranking(keys_NL[:, [label]]) for label in range(keys_NL.shape[1]) if "map" in metrics]
        self._pooled = _Ranking(keys_NL) if "micro_ap" in metrics else None

    def score(self, weights_NB: Values) -> dict[str, Values]:
        """(B,) of each metric, NaN where undefined.

        Args:
            weights_NB: (N, B) float64 from 0 up, C-contiguous.
        """
        steps = self._blocks(weights_NB.shape[1])
        blocks = [self._pooled_values(np.ascontiguousarray(weights_NB[:, step])) for step in steps]
        values = {metric: np.concatenate([block[metric] for block in blocks]) for metric in blocks[0]}
        if self._labels:
            values["map"] = self._mean_precision(weights_NB)
        return {metric: values[metric] for metric in self._metrics}

    def _blocks(self, B: int) -> Iterator[slice]:
        """Of the weightings: as many at once as bound the memory of what is counted of all cells."""
        step = max(8, _CELLS_A_BLOCK // max(self._cells, 1))
        for start in range(0, max(B, 1), step):
            yield slice(start, min(start + step, B))

    def _pooled_values(self, weights_NB: Values) -> dict[str, Values]:
        """(B,) of each metric that is no mean over labels."""
        R, L = len(self._row_metrics), self._label_count
        lengths = (R, R, 1, 1, BINS, L, L, L)
        rows, counted, loss, known, excess, hits, decided, yes = np.split(
            (self._sums_KN @ weights_NB).T, np.cumsum(lengths)[:-1], axis=1
        )
        values = {
            **dict(zip(self._row_metrics, over(rows, counted, empty=np.nan).T, strict=True)),
            **scores.pooled_decisions(scores.DecisionCounts(hits, decided, yes, known)),
            **scores.pooled_probabilities(scores.ProbabilitySums(loss[:, 0], excess, known[:, 0])),
        }
        if self._pooled is not None:
            values["micro_ap"] = self._pooled.precision(weights_NB)
        return values

    def _mean_precision(self, weights_NB: Values) -> Values:
        """(B,) the mean of the labels' average precisions: each is of few cells, so all weightings go at once."""
        precision_BL = np.stack([ranking.precision(weights_NB) for ranking in self._labels], axis=1)
        defined_BL = ~np.isnan(precision_BL)
        return over(np.nansum(precision_BL, axis=1), defined_BL.sum(axis=1), empty=np.nan)


class _Ranking:
    """Cells in the order of their probability, the highest first.

    Args:
        keys_NC: (N, C) `ranking_keys` of the cells that are ranked together.
    """

    def __init__(self, keys_NC: Keys) -> None:
        N, C = keys_NC.shape
        order_S = np.argsort(keys_NC, axis=None)
        sorted_S, row_S = keys_NC.reshape(-1)[order_S], (order_S // C).astype(np.int32)
        start_G, yes_G = scores.yes_groups(sorted_S[np.newaxis])
        # downwards: from the cells after the group above to the last of the group, and the yes cells among these
        down_G = order_S.size - start_G[::-1]
        self._cells_GN = _members(row_S[::-1], down_G, N)
        self._yes_GN = _members(row_S[::-1][scores.is_yes(sorted_S[::-1])], np.cumsum(yes_G[::-1]), N)

    def precision(self, weights_NB: Values) -> Values:
        """(B,) mean, over the yes cells, of the precision down to each; NaN where there is none."""
        # C-contiguous by weighting, since sums along the last axis are the quick ones
        yes_BG = np.ascontiguousarray((self._yes_GN @ weights_NB).T)
        rank_BG = np.ascontiguousarray((self._cells_GN @ weights_NB).T)
        np.cumsum(rank_BG, axis=1, out=rank_BG)
        ranked_BG = np.cumsum(yes_BG, axis=1)
        precision_BG = np.divide(ranked_BG, rank_BG, out=ranked_BG, where=rank_BG > 0)
        return over(np.einsum("bg,bg->b", precision_BG, yes_BG), yes_BG.sum(axis=1), empty=np.nan)


def _members(row_S: NDArray[np.int32], ends_G: Ints, N: int) -> sparse.csr_array:
    """(G, N) sparse: how many of the cells from the end of the group before to its own end are of each row."""
    size = int(ends_G[-1]) if ends_G.size else 0
    pointers = np.concatenate([[0], ends_G])
    return sparse.csr_array((np.ones(size), row_S[:size], pointers), shape=(ends_G.size, N))
