"""Whether unknown labels are open by chance: what a model predicts of them beside those that are known.

Shapes: N samples, L labels, G groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tagfit.decisions.appraisal import joined
from tagfit.decisions.decider import Predictions
from tagfit.records.data import UNKNOWN, Part
from tagfit.records.scores import Difference, Interval

#: of a label, so many have to be known and so many unknown
LEAST = 5

#: a difference that is smaller is not worth a word, however sure it is
SMALL = 0.02

#: two differences are looked at, so that each has to be sure to 97.5%
_CONFIDENCE = 0.975


@dataclass(frozen=True)
class UnknownLabels:
    """What a model predicts of unknown labels less what it predicts of known ones, of samples it was not trained on.

    Attributes:
        level: its probabilities.
        doubt: how far they are from 0 or 1, whichever is nearer: the share of errors that it expects at 0.5.
    """

    level: Difference
    doubt: Difference

    @classmethod
    def of(cls, predictions: Mapping[Part, Predictions]) -> UnknownLabels | None:
        """None where too few labels are unknown, or known.

        Args:
            predictions: by part; those of train are left out.
        """
        unseen = [one for part, one in predictions.items() if part != "train" and len(one)]
        if not unseen:
            return None
        everything = joined(unseen)
        open_NL = everything.labels_NL == UNKNOWN
        some_L = np.minimum(open_NL.sum(axis=0), (~open_NL).sum(axis=0)) >= LEAST
        if not some_L.any():
            return None
        p_NL = everything.probabilities_NL[:, some_L].astype(np.float64)
        groups = np.unique(everything.belongs_to, return_inverse=True)[1].ravel()
        level, doubt = (
            _difference(values_NL, open_NL[:, some_L], groups) for values_NL in (p_NL, np.minimum(p_NL, 1 - p_NL))
        )
        return None if level is None or doubt is None else cls(level, doubt)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is to be said of the scores; nothing where known labels may stand for all."""
        told = []
        if _telling(self.level):
            less, rarer = ("less", "rarer") if self.level.value < 0 else ("more", "more frequent")
            low, high = sorted(map(abs, self.level.interval))
            told.append(
                f"Unknown labels are not open by chance: of samples it was not trained on, the model gives them "
                f"{abs(self.level.value):.3f} {less} than known ones ({low:.3f} to {high:.3f}), so that yes is "
                f"probably {rarer} among them. Scores are of known labels alone, and need not hold for all."
            )
        if _telling(self.doubt) and self.doubt.value > 0:
            low, high = self.doubt.interval
            told.append(
                f"Unknown labels are harder than known ones: the model expects {self.doubt.value:.3f} more errors "
                f"among them ({low:.3f} to {high:.3f}). Scores are of known labels alone, and flatter."
            )
        return tuple(told)


def _telling(moved: Difference) -> bool:
    return 0 not in moved.interval and abs(moved.value) >= SMALL


def _difference(
    values_NL: NDArray[np.float64], open_NL: NDArray[np.bool_], groups: NDArray[np.intp]
) -> Difference | None:
    """The mean over unknown labels less that over known ones, label by label, by how many pairs of them there are.

    Its standard error is that of a sum of what each group contributes (Liang and Zeger, Longitudinal data analysis
    using generalized linear models, Biometrika 73, 1986). None of a single group.
    """
    count = int(groups.max()) + 1
    if count < 2:
        return None
    sides = [np.where(side_NL, 1.0, 0.0) for side_NL in (open_NL, ~open_NL)]
    sizes = [side_NL.sum(axis=0) for side_NL in sides]
    weight_L = sizes[0] * sizes[1] / (sizes[0] + sizes[1])
    weight_L /= weight_L.sum()
    means = [(values_NL * side_NL).sum(axis=0) / size_L for side_NL, size_L in zip(sides, sizes, strict=True)]
    value = float(weight_L @ (means[0] - means[1]))
    shares = [
        (side_NL * (values_NL - mean_L) / size_L) @ weight_L
        for side_NL, mean_L, size_L in zip(sides, means, sizes, strict=True)
    ]
    of_group_G = np.bincount(groups, weights=shares[0] - shares[1], minlength=count)
    error = float(np.sqrt((of_group_G**2).sum() * count / (count - 1)))
    reach = error * float(special.stdtrit(count - 1, (1 + _CONFIDENCE) / 2))
    return Difference.around(value, Interval(value - reach, value + reach), error)
