"""How sure a score is: 95% intervals from resampled samples, or groups of samples, paired for differences.

A resample is a random half of the samples: the bootstrap with weights 0 and 2 in place of multinomial ones (Præstgaard
and Wellner, Exchangeably weighted bootstraps of the general empirical process, 1993), also known as the delete-half
jackknife (Shao and Wu, A general theory for jackknife variance estimation, 1989). A half spreads about the score as the
score spreads about the truth, and holds no sample twice: repeated yes samples flatter every average precision.

Shapes: N samples, L labels, G groups, B resamples.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tagfit.errors import DataError
from tagfit.metrics.scores import THRESHOLD, Bools, Floats, Labels, Values, checked, masks, score_decisions
from tagfit.metrics.weighted import Weighable
from tagfit.records.scores import METRICS, Difference, Interval, Scores

RESAMPLES = 1000
#: above this many rows in all resamples together there are fewer resamples, though not below LEAST
MOST_ROWS = 40_000_000
LEAST = 200

#: the metrics that are not fractions, and the one whose errors cancel: their intervals are not made on the logit scale
_PLAIN = frozenset({"coverage_error", "log_loss", "ece"})
#: of all resamples; where more leave a metric undefined it has no interval
_MOST_UNDEFINED = 0.1
_CONFIDENCE = 0.95
_CELLS_A_BLOCK = 1 << 22
#: about what resamples take for each label of each sample, for each label, and for each cell of a block
_BYTES_A_CELL, _BYTES_A_LABEL, _BYTES_OF_A_BLOCK = 100, 2000, 24


def bytes_taken(samples: int, labels: int) -> int:
    """About what the resamples of one part take at most."""
    cells = samples * labels
    return _BYTES_A_CELL * cells + _BYTES_A_LABEL * labels + _BYTES_OF_A_BLOCK * min(_CELLS_A_BLOCK, 8 * cells)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model answers to one part.

    Attributes:
        labels_NL: (N, L) of YES, NO, UNKNOWN.
        probabilities_NL: (N, L) floats from 0 to 1.
        decisions_NL: (N, L) bool, True for yes; None for above 0.5.
    """

    labels_NL: Labels
    probabilities_NL: Floats
    decisions_NL: Bools | None = None

    @property
    def decided_NL(self) -> Bools:
        return self.probabilities_NL > THRESHOLD if self.decisions_NL is None else self.decisions_NL

    def rows(self, chosen: NDArray[np.intp]) -> Answers:
        decisions = None if self.decisions_NL is None else self.decisions_NL[chosen]
        return Answers(self.labels_NL[chosen], self.probabilities_NL[chosen], decisions)


@dataclass(frozen=True, eq=False)
class Resampling:
    """Which samples each resample holds: made once for all models that are compared.

    Attributes:
        of_row: (N,) the number of each sample's group, from 0; each its own where there are no groups.
        groups: G.
        resamples: B.
    """

    of_row: NDArray[np.intp]
    groups: int
    resamples: int
    seed: int

    @classmethod
    def of(
        cls, count: int, groups: NDArray[np.intp] | None = None, *, resamples: int = RESAMPLES, seed: int = 0
    ) -> Resampling:
        """Of `count` samples.

        Args:
            groups: (count,) numbers of what is drawn together, or None: each sample by itself.
            resamples: at most so many; fewer where all together would hold more than MOST_ROWS rows.

        Raises:
            DataError: the groups are not of as many samples.
        """
        if groups is not None and np.shape(groups) != (count,):
            raise DataError(f"groups must be of shape ({count},), one for each sample; got {np.shape(groups)}")
        of_row = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
        affordable = max(LEAST, MOST_ROWS // max(count, 1))
        return cls(of_row, int(of_row.max()) + 1 if count else 0, min(resamples, affordable), seed)

    def draws_as(self, other: Resampling) -> bool:
        """Whether the resamples are the same, so that what was scored on them can be paired."""
        alike = (self.seed, self.resamples) == (other.seed, other.resamples)
        return alike and np.array_equal(self.of_row, other.of_row)

    @property
    def scale(self) -> float:
        """What a deviation counts for: below 1 where one of an odd number of groups makes the halves smaller."""
        half = self.groups // 2
        return (half / (self.groups - half)) ** 0.5 if self.groups else 0.0

    def weights(self, cells: int) -> Iterator[Values]:
        """(N, some of B) 1 for the samples that a resample holds, else 0; fewer at once for a part of many `cells`."""
        step = min(256, max(8, _CELLS_A_BLOCK // max(cells, 1)))
        for start in range(0, self.resamples, step):
            numbers = range(start, min(start + step, self.resamples))
            held_BG = np.array([self._held(number) for number in numbers], dtype=np.float64)
            yield np.ascontiguousarray(held_BG.T)[self.of_row]

    def _held(self, number: int) -> Bools:
        """(G,) half of the groups, drawn without replacement."""
        return np.random.default_rng((self.seed, number)).permutation(self.groups) < self.groups // 2


@dataclass(frozen=True, eq=False)
class Spread:
    """What a model scores, and how far that is from what it scores on resamples.

    Attributes:
        scores: of all samples, as `metrics.score` has them.
        values: (B,) float64 by metric, NaN where undefined; of those metrics that were asked for.
    """

    scores: Scores
    values: Mapping[str, Values]
    resampling: Resampling

    @property
    def intervals(self) -> dict[str, Interval | None]:
        """By metric, with 95% confidence; None where undefined."""
        return {
            metric: _interval(self.scores[metric], self.noise(metric), is_fraction=metric not in _PLAIN)
            for metric in self.values
        }

    def noise(self, metric: str) -> _Noise | None:
        """How the resamples deviate from the score; None where it, or too much of them, is undefined."""
        return _Noise.of(self.scores[metric], self.values[metric], self.resampling)

    def corrected(self, metric: str) -> float | None:
        """A fraction, less what so few samples add to it: halves deviate from the score as it from the truth."""
        noise, value = self.noise(metric), self.scores[metric]
        return value if value is None or noise is None else min(1.0, max(0.0, value - noise.bias))

    def likely(self, metric: str, value: float, at_least: float) -> tuple[Interval, float] | None:
        """Where the truth of a fraction lies with 95% confidence, and how probable it is that it is `at_least` so much.

        The probability is the confidence of the one-sided interval that begins there. Where nothing is wrong, resamples
        say nothing; of G groups that are all right, the truth is below t with probability t^G at most. So it is above t
        with probability (1 - t)^G at most where nothing is right.

        Args:
            value: the estimate of the truth: the score, or the score less what flatters it.

        Returns:
            None where the resamples say nothing.
        """
        noise, groups = self.noise(metric), self.resampling.groups
        if noise is None:
            return None
        if noise.error > 0 and 0 < value < 1:
            return noise.within_one(value), noise.probability(value, at_least)
        if groups < 2 or 0 < value < 1:
            return None
        end = ((1 - _CONFIDENCE) / 2) ** (1 / groups)
        return (
            (Interval(end, 1.0), 1 - at_least**groups) if value else (Interval(0.0, 1 - end), (1 - at_least) ** groups)
        )


def resample(answers: Answers, resampling: Resampling, metrics: Collection[str] = METRICS) -> Spread:
    """Every metric of the answers, and those that are asked for of each resample of them.

    Raises:
        DataError: the answers cannot be scored, or the resampling is of another number of samples.
    """
    labels_NL, p_NL = checked(answers.labels_NL, answers.probabilities_NL)
    decided_NL = Answers(labels_NL, p_NL, answers.decisions_NL).decided_NL
    scores = score_decisions(labels_NL, decided_NL, p_NL)
    if len(labels_NL) != len(resampling.of_row):
        raise DataError(f"the resampling is of {len(resampling.of_row)} samples; there are {len(labels_NL)}")
    weighable = Weighable(labels_NL, decided_NL, p_NL, metrics)
    blocks = [weighable.score(weights_NB) for weights_NB in resampling.weights(len(labels_NL))]
    values = {metric: np.concatenate([block[metric] for block in blocks]) for metric in metrics}
    return Spread(scores, values, resampling)


def difference(after: Spread, before: Spread) -> dict[str, Difference | None]:
    """By metric, paired: both were scored on the same resamples. None where either has no standard error.

    Raises:
        DataError: the two were not scored on the same resamples.
    """
    if not after.resampling.draws_as(before.resampling):
        raise DataError("a difference needs both spreads from the same resamples; these are of two kinds")
    differences: dict[str, Difference | None] = {}
    for metric in after.values:
        now, then = after.scores[metric], before.scores[metric]
        moved = None if now is None or then is None else now - then
        noise = _Noise.of(moved, after.values[metric] - before.values[metric], after.resampling)
        differences[metric] = _difference(moved, noise)
    return differences


def _difference(value: float | None, noise: _Noise | None) -> Difference | None:
    """None where either is not known."""
    return None if value is None or noise is None else Difference.around(value, noise.around(value), noise.error)


def gap(one: Spread, other: Spread) -> dict[str, Difference | None]:
    """By metric, one less the other, of two parts that have no sample in common. None where either has no error."""
    gaps: dict[str, Difference | None] = {}
    for metric in METRICS:
        here, there = one.scores[metric], other.scores[metric]
        first, second = one.noise(metric), other.noise(metric)
        gaps[metric] = None
        if here is not None and there is not None and first is not None and second is not None:
            error, dof = math.hypot(first.error, second.error), min(first.dof, second.dof)
            gaps[metric] = _difference(here - there, _Noise(error, first.bias - second.bias, dof))
    return gaps


def contrast(spread: Spread, one: str, other: str) -> Difference | None:
    """By how much one metric of the same answers is above another. None where either has no standard error."""
    here, there = spread.scores[one], spread.scores[other]
    if here is None or there is None:
        return None
    above = here - there
    return _difference(above, _Noise.of(above, spread.values[one] - spread.values[other], spread.resampling))


def mean_and_interval(values_G: Values) -> tuple[float | None, Interval | None]:
    """The mean of fractions, one a group, and where it lies with 95% confidence."""
    if len(values_G) < 2:
        return (float(values_G[0]) if len(values_G) else None), None
    resampling = Resampling.of(len(values_G))
    means = [values_G @ weights_GB / weights_GB.sum(axis=0) for weights_GB in resampling.weights(len(values_G))]
    mean = float(values_G.mean())
    return mean, _interval(mean, _Noise.of(mean, np.concatenate(means), resampling))


def wilson(hits: int, count: int) -> Interval:
    """Of a fraction, given that `hits` of `count` were counted; count is above 0.

    Wilson, *Probable inference, the law of succession, and statistical inference* (1927).
    """
    from scipy.stats import binomtest

    # the interval is of no hypothesis; testing the fraction itself takes a tenth of the time of testing 0.5
    found = binomtest(hits, count, hits / count).proportion_ci(method="wilson")
    return Interval(float(found.low), float(found.high))


def label_f1_intervals(answers: Answers, resampling: Resampling) -> list[Interval | None]:
    """Where the F1 of each label lies with 95% confidence; None where undefined.

    A label that no sample of a resample has is left out of it, as `macro_f1` does.
    """
    counted = masks(answers.labels_NL, answers.decided_NL)[:3]
    hits_LN, decided_LN, yes_LN = (np.ascontiguousarray(mask.T, dtype=np.float64) for mask in counted)
    both_LN = yes_LN + decided_LN

    def f1_LB(weights_NB: Values) -> Values:
        both_LB = np.maximum(both_LN @ weights_NB, 1)
        return np.where(yes_LN @ weights_NB > 0, 2 * (hits_LN @ weights_NB) / both_LB, np.nan)

    values_LB = np.concatenate([f1_LB(weights_NB) for weights_NB in resampling.weights(both_LN.size)], axis=1)
    f1_L = f1_LB(np.ones((both_LN.shape[1], 1)))[:, 0].tolist()
    return [
        None if math.isnan(f1) else _interval(f1, _Noise.of(f1, values_B, resampling))
        for f1, values_B in zip(f1_L, values_LB, strict=True)
    ]


# ----------------------------------------------------------------------------------------------- noise


@dataclass(frozen=True)
class _Noise:
    """How resamples deviate from a value.

    Attributes:
        error: root of the mean squared deviation, the bias included.
        bias: mean deviation.
        dof: G - 1, the degrees of freedom of Student's t.
    """

    error: float
    bias: float
    dof: int

    @classmethod
    def of(cls, value: float | None, values: Values, resampling: Resampling) -> _Noise | None:
        defined = values[~np.isnan(values)]
        if value is None or resampling.groups < 2 or defined.size < (1 - _MOST_UNDEFINED) * values.size:
            return None
        deviations = resampling.scale * (defined - value)
        error = float(np.sqrt(np.mean(deviations**2)))
        # what is left of resamples that agree is rounding
        error = error if error > 1e-12 else 0.0
        return cls(error, resampling.scale * float(deviations.mean()), resampling.groups - 1)

    @property
    def reach(self) -> float:
        """How many errors an interval extends."""
        return float(special.stdtrit(self.dof, (1 + _CONFIDENCE) / 2))

    def around(self, value: float) -> Interval:
        """From the value, or from the value without the bias, whichever reaches farther."""
        corrected, reach = value - self.bias, self.reach * self.error
        return Interval(min(value, corrected) - reach, max(value, corrected) + reach)

    def probability(self, value: float, at_least: float) -> float:
        """That the truth of a fraction is at least so much: what `within_one` leaves below it, on one side."""
        error, corrected = self.error / (value * (1 - value)), min(0.0, -self.bias / (value * (1 - value)))
        with np.errstate(divide="ignore"):
            above = float(special.logit(value)) + corrected - float(special.logit(at_least))
        return float(special.stdtr(self.dof, above / error))

    def within_one(self, value: float) -> Interval:
        """The same of a fraction between 0 and 1, on the logit scale."""
        slope = 1 / (value * (1 - value))
        logits = _Noise(self.error * slope, self.bias * slope, self.dof).around(float(special.logit(value)))
        return Interval(float(special.expit(logits.low)), float(special.expit(logits.high)))


def _interval(value: float | None, noise: _Noise | None, *, is_fraction: bool = True) -> Interval | None:
    """None also where all resamples agree, which says nothing of what else could have come."""
    if value is None or noise is None or noise.error == 0:
        return None
    if is_fraction:
        return noise.within_one(value) if 0 < value < 1 else None
    low, high = noise.around(value)
    return Interval(max(low, 0.0), high)
