"""Logit recalibration: one curve for all labels makes probabilities of scores that the loss of a network has shifted.

Such a network ranks samples well and gives hardly any label, or nearly all, above 0.5. The curve, a sigmoid of slope
and shift, is fitted by log-loss and not by the metric that ranks recipes, so that a recalibrated network has no
advantage over one trained by bce. What is common to all labels changes no order, neither of samples nor of labels.

Shapes: N samples, L labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.crossfitting import left_out
from tagfit.metrics.curves import SigmoidCurve
from tagfit.metrics.scores import Floats, Labels
from tagfit.records.data import UNKNOWN, YES

#: what changes nothing, where there is too little to fit a curve on
STRAIGHT = SigmoidCurve(1.0)


def fit_recalibration(labels_NL: Labels, probabilities_NL: Floats) -> SigmoidCurve:
    """The curve of all known labels together, of rows that the network was not trained on."""
    known_NL = labels_NL != UNKNOWN
    return SigmoidCurve.fit(probabilities_NL[known_NL], labels_NL[known_NL] == YES) or STRAIGHT


def recalibrated(curve: SigmoidCurve, probabilities_NL: Floats) -> Floats:
    """(N, L) of the same dtype."""
    if curve == STRAIGHT:
        return probabilities_NL
    return curve.apply(probabilities_NL).astype(probabilities_NL.dtype)


def crossfitted(
    labels_NL: Labels, probabilities_NL: Floats, groups: NDArray[np.intp] | None = None, *, seed: int = 0
) -> Floats:
    """(N, L) each row by a curve that was fitted on other rows."""
    found = np.empty_like(probabilities_NL)
    for here in left_out(len(labels_NL), groups, seed=seed):
        found[here] = recalibrated(fit_recalibration(labels_NL[~here], probabilities_NL[~here]), probabilities_NL[here])
    return found
