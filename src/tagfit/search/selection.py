"""Which of the tried runs val chooses, and by how much that flatters it.

Shapes: M runs, the baseline first, the others by size; B versions of their scores on val.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tagfit.metrics.intervals import Spread
from tagfit.metrics.scores import Bools, Values
from tagfit.records.runs import Run
from tagfit.records.scores import Target
from tagfit.records.verdict import Reason


@dataclass(frozen=True, eq=False)
class Contest:
    """The runs that val chooses among.

    The one that is chosen never scores below the baseline on val. One that meets the target goes before one that does
    not, where the train band ranks; then the better val score counts. Of those within one standard error of the best,
    the one with the fewest parameters is taken (Breiman et al., "Classification and Regression Trees", 1984). At a tie
    with the baseline it stays.

    Attributes:
        runs: (M,) the baseline, then those that finished, the smallest first.
        deviations_MB: how resamples of val deviate from the score, of the same samples for all runs; no columns where
            they are not known, and every standard error is then taken to be 0.
    """

    target: Target
    runs: tuple[Run, ...]
    deviations_MB: Values

    @classmethod
    def of(
        cls, baseline: Run, tried: Sequence[Run], target: Target, spread_of: Callable[[Run], Spread] | None = None
    ) -> Contest:
        """Args:
        spread_of: the scores on val, resampled, of a run that finished; the target's metric is enough.
        """
        finished = sorted((run for run in tried if run.state == "finished"), key=lambda run: run.parameters)
        runs = (baseline, *finished)
        if spread_of is None:
            return cls(target, runs, np.empty((len(runs), 0)))
        return cls(target, runs, deviations([spread_of(run) for run in runs], target.metric))

    @property
    def baseline(self) -> Run:
        return self.runs[0]

    @cached_property
    def winner(self) -> Run:
        return self.runs[int(self._pick(self._val_M[:, np.newaxis])[0])]

    @cached_property
    def optimism(self) -> float:
        """How much better than new samples val makes the chosen run look, on average, for having chosen it.

        The whole choice is made again on each random half of val. A half deviates from val as val deviates from the
        truth, so that the chosen run's deviation there is what luck adds. Scores of halves are noisier than scores of
        val by the square root of 2, among which luck counts that much less: hence the factor. It is exact where all
        runs are equally good, and a little too much where they differ. What early stopping and the search's own use of
        val add is left out.
        """
        if not self.deviations_MB.shape[1]:
            return 0.0
        luck_MB = self.deviations_MB - self.deviations_MB.mean(axis=1, keepdims=True)
        rows_B = self._pick(self._val_M[:, np.newaxis] + luck_MB, noise=2**0.5)
        return max(0.0, 2**0.5 * float(luck_MB[rows_B, np.arange(len(rows_B))].mean()))

    def goes_before_the_baseline(self, run: Run) -> bool:
        """Whether it is better than the baseline, without scoring below it on val."""
        return on_val(run, self.target) >= on_val(self.baseline, self.target) and rank(run, self.target) > rank(
            self.baseline, self.target
        )

    def error(self, one: Run, other: Run) -> float:
        """The standard error of the difference between two scores on val."""
        return float(self._error_MM[self.runs.index(one), self.runs.index(other)])

    def claims(self, chosen: Run) -> Iterator[tuple[Run, Reason]]:
        """Runs that score more on val than `chosen`, or meet the target and it does not, and why they are not taken.

        Of those that lose to a simpler one, the best alone.
        """
        val, met = on_val(chosen, self.target), meets(chosen, self.target)
        for run in self.runs[1:]:
            if met and self.target.train_ranks and not meets(run, self.target) and on_val(run, self.target) > val:
                yield run, "train band"
            if not met and meets(run, self.target) and on_val(run, self.target) < on_val(self.baseline, self.target):
                yield run, "below the baseline"
        if chosen is self.winner and on_val(self._best, self.target) > val:
            yield self._best, "simpler"

    @cached_property
    def _best(self) -> Run:
        """Of those that go before the baseline; the baseline where there are none."""
        return max(
            (run for run in self.runs if run is self.baseline or self.goes_before_the_baseline(run)),
            key=lambda run: (run is not self.baseline, rank(run, self.target)),
        )

    # ------------------------------------------------------------------------------------------ the rule

    def _pick(self, val_MB: Values, noise: float = 1.0) -> NDArray[np.intp]:
        """(B,) the row that each version of the scores chooses; standard errors are `noise` times those on val."""
        meets_MB = self._in_band_M[:, np.newaxis] & (val_MB >= self.target.val_at_least)
        rank_MB = val_MB + 2.0 * meets_MB  # no score is above 1
        better_MB = (val_MB >= val_MB[0]) & (rank_MB > rank_MB[0])
        best_B = np.where(better_MB, rank_MB, -np.inf).argmax(axis=0)
        columns = np.arange(val_MB.shape[1])
        behind_MB = val_MB[best_B, columns] - val_MB
        near_MB = better_MB & (meets_MB == meets_MB[best_B, columns]) & (behind_MB <= noise * self._error_MM[:, best_B])
        cost_MB = np.where(near_MB, self._size_M[:, np.newaxis] - val_MB / 4, np.inf)
        return np.where(better_MB.any(axis=0), cost_MB.argmin(axis=0), 0)

    @cached_property
    def _val_M(self) -> Values:
        return np.array([on_val(run, self.target) for run in self.runs])

    @cached_property
    def _in_band_M(self) -> Bools:
        """Whether train lies in its band, where that ranks."""
        return np.array([self.target.train_ranks and in_train_band(run, self.target) for run in self.runs])

    @cached_property
    def _size_M(self) -> NDArray[np.intp]:
        """Ranks by the number of parameters."""
        return np.unique([run.parameters for run in self.runs], return_inverse=True)[1]

    @cached_property
    def _error_MM(self) -> Values:
        B = self.deviations_MB.shape[1]
        if not B:
            return np.zeros((len(self.runs), len(self.runs)))
        product_MM = self.deviations_MB @ self.deviations_MB.T / B
        own_M = np.diag(product_MM)
        error_MM: Values = np.sqrt(np.maximum(own_M[:, np.newaxis] + own_M - 2 * product_MM, 0.0))
        return error_MM


def deviations(spreads: Sequence[Spread], metric: str) -> Values:
    """(M, B) how resamples deviate from the scores, without the resamples that leave a score undefined."""
    values_MB = np.stack([spread.values[metric] for spread in spreads])
    scores_M = np.array([np.nan if spread.scores[metric] is None else spread.scores[metric] for spread in spreads])
    deviations_MB: Values = spreads[0].resampling.scale * (values_MB - scores_M[:, np.newaxis])
    deviations_MB[np.isnan(scores_M)] = 0.0
    defined: Values = deviations_MB[:, ~np.isnan(deviations_MB).any(axis=0)]
    return defined


# ------------------------------------------------------------------------------------------- one run's claim


def meets(run: Run, target: Target) -> bool:
    """Whether a run meets the target on val, and on train where that ranks."""
    return on_val(run, target) >= target.val_at_least and (not target.train_ranks or in_train_band(run, target))


def in_train_band(run: Run, target: Target) -> bool:
    train = run.score("train", target.metric)
    return train is not None and target.allows_train(train)


def on_val(run: Run, target: Target) -> float:
    """The target's metric on val; below every score where it is undefined."""
    val = run.score("val", target.metric)
    return -1.0 if val is None else val


def rank(run: Run, target: Target) -> tuple[bool, float]:
    """What a choice goes by: whether it meets the target, where the train band ranks, then its score on val."""
    return target.train_ranks and meets(run, target), on_val(run, target)


def ranked(runs: Sequence[Run], target: Target) -> list[Run]:
    """Those that finished, best first; among equals the smaller first."""
    smallest_first = sorted((run for run in runs if run.state == "finished"), key=lambda run: run.parameters)
    return sorted(smallest_first, key=lambda run: rank(run, target), reverse=True)
