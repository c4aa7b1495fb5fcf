"""What probabilities mean: of the labels that are given about this probability, is about this fraction yes?

Shapes: N samples, L labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagfit.decisions.calibration import Method
from tagfit.metrics.intervals import wilson
from tagfit.metrics.scores import BINS, Floats, Labels, checked_labels, checked_probabilities, probability_means
from tagfit.records.data import UNKNOWN, YES
from tagfit.records.scores import Interval

#: cells that are drawn for `perfect_ece`, about
_DRAWN = 4_000_000


@dataclass(frozen=True)
class CalibrationBin:
    """The known labels whose probability lies between two values.

    Attributes:
        low: the least probability.
        high: the probability that they stay below; the last bin holds 1 too.
        count: how many labels these are.
        mean: their mean probability; None without labels, as are the next two.
        yes: the fraction of them that are yes.
        interval: the 95% interval of that fraction, each label taken to be independent.
    """

    low: float
    high: float
    count: int
    mean: float | None
    yes: float | None
    interval: Interval | None


@dataclass(frozen=True)
class ProbabilityReport:
    """How far probabilities are from the truth, on rows that they were not fitted on.

    Attributes:
        log_loss: the log loss; None without known labels.
        ece: the expected calibration error; None without known labels.
        reliability: the bins of the reliability curve.
    """

    log_loss: float | None
    ece: float | None
    reliability: tuple[CalibrationBin, ...]


@dataclass(frozen=True)
class CalibrationReport:
    """What a calibration brings.

    Attributes:
        method: how it calibrates: [the methods](probabilities.md).
        fitted_on: the part that it was fitted on; None if there is none.
        before: how far the network's scores are from the truth.
        after: the same of calibrated probabilities. On the part that it was fitted on, each row is calibrated by a fit
            on others.
    """

    method: Method
    fitted_on: str | None
    before: ProbabilityReport
    after: ProbabilityReport


def probability_report(labels_NL: Labels, probabilities_NL: Floats) -> ProbabilityReport:
    """Log-loss, calibration error and its bins; arguments and errors are those of `reliability`."""
    means = probability_means(labels_NL, probabilities_NL)
    return ProbabilityReport(means["log_loss"].value, means["ece"].value, reliability(labels_NL, probabilities_NL))


def perfect_ece(labels_NL: Labels, probabilities_NL: Floats, seed: int = 0) -> float | None:
    """The `ece` of labels that are drawn by the probabilities themselves, on average; None without known cells.

    Labels are drawn independently of each other. Where they depend on each other beyond what the probabilities hold, a
    perfectly calibrated model reads more.
    """
    p = probabilities_NL[labels_NL != UNKNOWN].astype(np.float64)
    if not len(p):
        return None
    bins, rng = np.minimum((p * BINS).astype(np.int64), BINS - 1), np.random.default_rng(seed)
    draws = min(200, max(10, _DRAWN // len(p)))
    sums = [np.abs(np.bincount(bins, p - (rng.random(len(p)) < p), BINS)).sum() for _ in range(draws)]
    return float(np.mean(sums) / len(p))


def reliability(labels_NL: Labels, probabilities_NL: Floats, count: int = BINS) -> tuple[CalibrationBin, ...]:
    """All bins from 0 to 1, by default those of `ece`.

    Args:
        labels_NL: (N, L) of YES, NO, UNKNOWN.
        probabilities_NL: (N, L) floats from 0 to 1.
        count: how many bins, of equal width.

    Raises:
        DataError: shapes, values or dtypes are not as above.
    """
    labels_NL = checked_labels(labels_NL)
    known_NL = labels_NL != UNKNOWN
    p = checked_probabilities(probabilities_NL, labels_NL.shape)[known_NL].astype(np.float64)
    bins = np.minimum((p * count).astype(np.int64), count - 1)
    counts = np.bincount(bins, minlength=count).tolist()
    sums, yes = (np.bincount(bins, of, minlength=count).tolist() for of in (p, labels_NL[known_NL] == YES))
    return tuple(
        CalibrationBin(
            low=number / count,
            high=(number + 1) / count,
            count=held,
            mean=sums[number] / held if held else None,
            yes=yes[number] / held if held else None,
            interval=wilson(int(yes[number]), held) if held else None,
        )
        for number, held in enumerate(counts)
    )
