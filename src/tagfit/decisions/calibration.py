"""Calibration: what makes probabilities of a network's scores. Explained in docs/probabilities.md.

It is fitted on rows that the network was not trained on. Unknown cells are left out of everything.
Shapes: N samples, L labels, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from tagfit.decisions.crossfitting import left_out
from tagfit.errors import DataError
from tagfit.metrics.curves import LIMIT, Curve, IsotonicCurve, SigmoidCurve
from tagfit.metrics.scores import CLIP, Floats, Labels, checked_labels, checked_probabilities
from tagfit.records.data import UNKNOWN, YES

Method = Literal["none", "temperature", "platt", "isotonic"]
#: from the simplest on
METHODS: tuple[Method, ...] = get_args(Method)

Groups = NDArray[np.intp]

_Temperature = Annotated[float, Meta(ge=1 / LIMIT, le=LIMIT, description=f"a number from {1 / LIMIT:g} to {LIMIT:g}")]


@dataclass(frozen=True)
class Calibration:
    """What makes probabilities of scores, as plain numbers.

    Attributes:
        method: the richest kind of curve in it.
        temperature: what the logits of labels without a curve of their own are divided by.
        by_label: (L,) the curve of each label, None if only the temperature applies to it; empty without such curves.

    Raises:
        ValueError: curves that the method does not have.
    """

    method: Method = "none"
    temperature: _Temperature = 1.0
    by_label: tuple[Curve | None, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.by_label) is not (self.method in ("platt", "isotonic")):
            raise ValueError(f"by_label of a calibration by {self.method} has {len(self.by_label)} curves")
        if self.method == "platt" and any(isinstance(curve, IsotonicCurve) for curve in self.by_label):
            raise ValueError("by_label of a calibration by platt must hold no isotonic curves")

    def apply(self, probabilities_NL: Floats) -> Floats:
        """(N, L) calibrated, of the same dtype; within a label no order is turned round.

        Raises:
            DataError: another number of labels.
        """
        if self.method == "none":
            return probabilities_NL
        L = probabilities_NL.shape[1]
        if self.by_label and len(self.by_label) != L:
            raise DataError(f"this calibration is for {len(self.by_label)} labels; the probabilities have {L}")
        shared = SigmoidCurve(1 / self.temperature)
        calibrated_NL = np.empty_like(probabilities_NL)
        for label, curve in enumerate(self.by_label or (None,) * L):
            calibrated_NL[:, label] = (shared if curve is None else curve).apply(probabilities_NL[:, label])
        return calibrated_NL


# --------------------------------------------------------------------------------------------- fitting


def fit_calibration(
    labels_NL: Labels, probabilities_NL: Floats, groups: Groups | None = None, *, seed: int = 0
) -> Calibration:
    """Fit each method on some folds, take the log-loss on the others, and fit the chosen method on all rows.

    A method is chosen over a simpler one when it is better by more than one standard error of the difference by
    group: Breiman, Friedman, Olshen and Stone, *Classification and Regression Trees* (1984).

    Args:
        labels_NL: (N, L) of YES, NO, UNKNOWN.
        probabilities_NL: (N, L) floats from 0 to 1, the scores as they are.
        groups: (N,) numbers of what belongs together, or None: each row by itself.
        seed: deals the folds.

    Raises:
        DataError: shapes, values or dtypes are not as above.
    """
    labels_NL = checked_labels(labels_NL)
    probabilities_NL = checked_probabilities(probabilities_NL, labels_NL.shape)
    losses = {method: np.zeros(len(labels_NL)) for method in METHODS}
    for here in left_out(len(labels_NL), groups, seed=seed):
        for method, fitted in _candidates(labels_NL[~here], probabilities_NL[~here]).items():
            losses[method][here] = _losses(labels_NL[here], fitted.apply(probabilities_NL[here]))
    known_N = np.count_nonzero(labels_NL != UNKNOWN, axis=1)
    chosen: Method = "none"
    for method in METHODS:
        if _is_gain(losses[chosen] - losses[method], known_N, groups):
            chosen = method
    return _candidates(labels_NL, probabilities_NL)[chosen]


def _candidates(labels_NL: Labels, probabilities_NL: Floats) -> dict[Method, Calibration]:
    """What each method makes of these rows: of a label whose cells are too few, what the simpler one makes."""
    known_NL, yes_NL = labels_NL != UNKNOWN, labels_NL == YES
    none = Calibration()
    shared = SigmoidCurve.fit(probabilities_NL[known_NL], yes_NL[known_NL], shifted=False)
    temperature = none if shared is None else Calibration("temperature", 1 / shared.slope)
    sigmoids: list[Curve | None] = []
    curves: list[Curve | None] = []
    for label, known_N in enumerate(known_NL.T):
        scores, yes = probabilities_NL[:, label][known_N], yes_NL[:, label][known_N]
        sigmoids.append(SigmoidCurve.fit(scores, yes))
        curves.append(IsotonicCurve.fit(scores, yes) or sigmoids[-1])
    platt = Calibration("platt", temperature.temperature, tuple(sigmoids)) if any(sigmoids) else temperature
    isotonic = Calibration("isotonic", temperature.temperature, tuple(curves)) if curves != sigmoids else platt
    return {"none": none, "temperature": temperature, "platt": platt, "isotonic": isotonic}


def _losses(labels_NL: Labels, probabilities_NL: Floats) -> NDArray[np.float64]:
    """(N,) the log-loss of each row, summed over its known cells."""
    of_truth_NL = np.where(labels_NL == YES, probabilities_NL, 1 - probabilities_NL.astype(np.float64))
    losses_NL = -np.log(np.clip(of_truth_NL, CLIP, 1 - CLIP))
    losses_N: NDArray[np.float64] = losses_NL.sum(axis=1, where=labels_NL != UNKNOWN)
    return losses_N


def _is_gain(gains_N: NDArray[np.float64], known_N: NDArray[np.intp], groups: Groups | None) -> bool:
    """Whether the mean gain of a cell is above its standard error, with groups for the unit that is drawn."""
    of_row = np.arange(len(gains_N)) if groups is None else np.unique(groups, return_inverse=True)[1]
    gains_G, known_G = np.bincount(of_row, gains_N), np.bincount(of_row, known_N)
    G, known = len(gains_G), known_G.sum()
    if G < 2 or known == 0:
        return False
    gain = gains_G.sum()
    # of a ratio of two sums: what each group is off it
    off_G = gains_G - known_G * gain / known
    return bool(gain > np.sqrt(G / (G - 1) * np.square(off_G).sum()))
