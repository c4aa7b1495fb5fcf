"""What the mean of several networks scores, where each sample has but one network that has not seen it.

With folds, each network is scored on its own fold, and no sample can score their mean. But each network also has
samples that it only stopped by. Two networks have not learnt from such a sample: that of its fold, and this one. So it
shows what the mean of two scores above one. The mean of K gains 2 (1 - 1/K) times as much, since the variance of a mean
falls as 1/K. That is exact for squared errors (Krogh and Vedelsby, Neural network ensembles, cross validation, and
active learning, 1994), and an approximation for other metrics.

Shapes: N samples, M second predictions, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.metrics.intervals import Answers, Resampling, Spread, resample
from tagfit.metrics.scores import Floats, Values
from tagfit.records.scores import LOWER_IS_BETTER, METRICS, Scores

#: deviations are widened by so much: networks of different folds learn from each other's samples, so that their scores
#: vary together, which resamples of the samples do not show (Nadeau and Bengio, Inference for the generalization error,
#: 2003). Measured: without it, intervals of real fits held the truth in 92%
WIDER = 1.15


@dataclass(frozen=True, eq=False)
class SecondPredictions:
    """What a second network says of samples that it did not learn from, either.

    Attributes:
        places: (M,) where each stands among the N samples that their own fold's networks predict.
        probabilities_ML: (M, L).
    """

    places: NDArray[np.intp]
    probabilities_ML: Floats

    @classmethod
    def mean_of(cls, several: Sequence[SecondPredictions]) -> SecondPredictions:
        """Of several recipes on the same folds."""
        mean_ML = np.stack([one.probabilities_ML for one in several]).mean(axis=0, dtype=np.float64)
        return cls(several[0].places, mean_ML.astype(np.float32))


def averaged(single: Spread, answers: Answers, second: SecondPredictions, networks: int) -> Spread:
    """What the mean of so many networks scores: what single ones score, and what the mean of two shows it to gain.

    Args:
        single: of `answers`.
        answers: what each fold's network says of its fold.
    """
    labels_ML, first_ML = answers.labels_NL[second.places], answers.probabilities_NL[second.places]
    mean_ML = ((first_ML.astype(np.float64) + second.probabilities_ML) / 2).astype(np.float32)
    draw = single.resampling
    draw = Resampling(draw.of_row[second.places], draw.groups, draw.resamples, draw.seed)
    both, *each = (
        resample(Answers(labels_ML, said_ML), draw, single.values)
        for said_ML in (mean_ML, first_ML, second.probabilities_ML)
    )
    factor = 2 * (1 - 1 / networks)
    values = {
        metric: values + factor * (both.values[metric] - np.mean([one.values[metric] for one in each], axis=0))
        for metric, values in single.values.items()
    }
    scores = {metric: _score(metric, single, both, each, factor) for metric in METRICS}
    widened = {metric: _widened(metric, scores[metric], one) for metric, one in values.items()}
    return Spread(Scores(**scores), widened, single.resampling)


def _score(metric: str, single: Spread, both: Spread, each: Sequence[Spread], factor: float) -> float | None:
    """None where any of them is undefined."""
    score, mean = single.scores[metric], both.scores[metric]
    alone = [value for one in each if (value := one.scores[metric]) is not None]
    if score is None or mean is None or len(alone) < len(each):
        return None
    return float(_bounded(metric, np.array(score + factor * (mean - sum(alone) / len(alone)))))


def _widened(metric: str, score: float | None, values: Values) -> Values:
    return values if score is None else _bounded(metric, score + WIDER * (values - score))


def _bounded(metric: str, values: Values) -> Values:
    bounded: Values = np.clip(values, 0, None if metric in LOWER_IS_BETTER else 1)
    return bounded
