"""Calibration curves: what makes a probability of a network's score, for one label. None of them falls.

Shapes: N scores of one label, F features, B blocks of equal frequency, K knots. Everything is float64.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from tagfit.io.ranges import Fraction
from tagfit.metrics.scores import Bools, Floats, Values

#: how many labels that are yes, and how many that are no, it takes to fit a sigmoid, and to fit an isotonic curve
LEAST_FOR_SIGMOID, LEAST_FOR_ISOTONIC = 10, 50
#: what a sigmoid's slope and shift may be at most, either way
LIMIT = 1e6

#: scores of exactly 0 and 1 are taken to be the numbers next to them that float32 has room for; clipping more would
#: tie the scores of a saturated network
LOWEST, HIGHEST = float(np.finfo(np.float32).tiny), 1 - float(np.finfo(np.float32).epsneg)
#: logits that differ by less say nothing about a slope
_SAME = 1e-3
_NEWTON_STEPS, _HALVINGS = 50, 30


class _Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """Structs, where all else is a dataclass: of these alone msgspec reads a union."""


class SigmoidCurve(_Curve, frozen=True, tag="sigmoid"):
    """sigmoid(slope · logit + shift), of the clipped score's logit: a line in logits.

    Attributes:
        slope: the slope of the line.
        shift: what is added.
    """

    slope: Annotated[float, Meta(ge=0, le=LIMIT, description=f"a number from 0 to {LIMIT:g}")]
    shift: Annotated[float, Meta(ge=-LIMIT, le=LIMIT, description=f"a number from {-LIMIT:g} to {LIMIT:g}")] = 0.0

    def apply(self, scores_N: Floats) -> Values:
        """(N,) probabilities."""
        return _sigmoid(self.slope * _logits(scores_N) + self.shift)

    @classmethod
    def fit(cls, scores_N: Floats, yes_N: Bools, *, shifted: bool = True) -> SigmoidCurve | None:
        """The curve of the highest likelihood, or None where the cells are too few, all alike, or ranked upside down.

        Platt, *Probabilistic outputs for support vector machines* (1999); the targets are his, which are not quite
        0 and 1, so that neither few cells nor a perfect ranking make it infinitely steep. Without a shift it is the
        temperature scaling of Guo, Pleiss, Sun and Weinberger, *On calibration of modern neural networks* (2017).

        Args:
            scores_N: (N,) of known cells.
            yes_N: (N,) which of them are yes.
            shifted: False: the shift stays 0, and slope is 1 / temperature.
        """
        if not _enough(yes_N, LEAST_FOR_SIGMOID) or np.ptp(logits_N := _logits(scores_N)) < _SAME:
            return None
        features = [logits_N, np.ones_like(logits_N)] if shifted else [logits_N]
        slope, *shift = _logistic(np.stack(features), _targets(yes_N)).tolist()
        curve = cls(slope, *shift)
        return curve if 1 / LIMIT <= slope <= LIMIT and abs(curve.shift) <= LIMIT else None


class IsotonicCurve(_Curve, frozen=True, tag="isotonic"):
    """Straight from knot to knot; level before the first and after the last.

    Attributes:
        at: (K,) scores, rising.
        values: (K,) their probabilities, never falling, above 0 and below 1.

    Raises:
        ValueError: no knots, or knots in another order.
    """

    at: tuple[Fraction, ...]
    values: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if not self.at or len(self.at) != len(self.values):
            raise ValueError("an isotonic curve must have scores, and as many probabilities")
        if not all(a < b for a, b in pairwise(self.at)) or not all(a <= b for a, b in pairwise(self.values)):
            raise ValueError("the scores of an isotonic curve must rise, and its probabilities never fall")

    def apply(self, scores_N: Floats) -> Values:
        """(N,) probabilities."""
        return np.interp(_clipped(scores_N), self.at, self.values)

    @classmethod
    def fit(cls, scores_N: Floats, yes_N: Bools) -> IsotonicCurve | None:
        """Isotonic regression, or None where the cells are too few or all alike.

        Zadrozny and Elkan, *Transforming classifier scores into accurate multiclass probability estimates* (2002).
        Each block of equal frequency is then taken to hold one yes and one no more than it does (Laplace's rule of
        succession): three cells that are all yes make 0.8, three hundred 0.997.

        Args: as for a sigmoid.
        """
        if not _enough(yes_N, LEAST_FOR_ISOTONIC):
            return None
        at_K, of_cell = np.unique(_clipped(scores_N), return_inverse=True)
        if len(at_K) < 2:
            return None
        # scikit-learn takes its time to load, and applying a curve does not need it
        from sklearn.isotonic import isotonic_regression

        cells_K, yes_K = np.bincount(of_cell), np.bincount(of_cell, yes_N)
        frequency_K = isotonic_regression(yes_K / cells_K, sample_weight=cells_K.astype(np.float64))
        first_B = np.flatnonzero(np.diff(frequency_K, prepend=-1.0) > 0)
        last_B = np.append(first_B[1:], len(at_K)) - 1
        cells_B, yes_B = np.add.reduceat(cells_K, first_B) + 2.0, np.add.reduceat(yes_K, first_B) + 1.0
        smooth_B = isotonic_regression(yes_B / cells_B, sample_weight=cells_B)
        # a knot at both ends of each block, in no more digits than tell float32 scores apart
        ends_2B = np.stack([at_K[first_B], at_K[last_B]], axis=1).ravel()
        at, kept = np.unique(_rounded(ends_2B, 9), return_index=True)
        values = _rounded(np.repeat(smooth_B, 2), 6)[kept]
        return cls(tuple(at.tolist()), tuple(values.tolist()))


Curve = SigmoidCurve | IsotonicCurve


def _enough(yes_N: Bools, least: int) -> bool:
    yes = int(np.count_nonzero(yes_N))
    return min(yes, len(yes_N) - yes) >= least


def _targets(yes_N: Bools) -> Values:
    """(N,) Platt's targets: what one more cell that is yes, and one that is no, would make of 1 and 0."""
    yes = np.count_nonzero(yes_N)
    return np.where(yes_N, (yes + 1) / (yes + 2), 1 / (len(yes_N) - yes + 2))


def _clipped(scores_N: Floats) -> Values:
    return np.clip(np.ascontiguousarray(scores_N, dtype=np.float64), LOWEST, HIGHEST)


def _logits(scores_N: Floats) -> Values:
    clipped_N = _clipped(scores_N)
    return np.log(clipped_N) - np.log1p(-clipped_N)


def _sigmoid(logits_N: Values) -> Values:
    return 1 / (1 + np.exp(np.minimum(-logits_N, 700)))


def _rounded(values: Values, digits: int) -> Values:
    """Significant digits, as JSON will have them."""
    return np.array([float(f"{value:.{digits}g}") for value in values])


def _logistic(x_FN: Values, targets_N: Values) -> Values:
    """(F,) the weights of the least cross-entropy, by Newton's method with steps halved until they gain something.

    Lin, Lin and Weng, *A note on Platt's probabilistic outputs for support vector machines* (2007).
    """

    def loss(weights_F: Values) -> float:
        logits_N = weights_F @ x_FN
        return float((np.logaddexp(0, logits_N) - targets_N * logits_N).sum())

    weights_F = np.zeros(len(x_FN))
    now = loss(weights_F)
    for _ in range(_NEWTON_STEPS):
        p_N = _sigmoid(weights_F @ x_FN)
        uphill_F = x_FN @ (targets_N - p_N)
        curvature_FF = (x_FN * (p_N * (1 - p_N))) @ x_FN.T + 1e-12 * np.eye(len(x_FN))
        step_F = np.linalg.solve(curvature_FF, uphill_F)
        for _ in range(_HALVINGS):
            then = loss(weights_F + step_F)
            if then <= now:
                break
            step_F /= 2
        weights_F, gained, now = weights_F + step_F, now - then, then
        if gained <= 1e-12 * len(targets_N):
            break
    return weights_F
