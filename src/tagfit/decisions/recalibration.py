"""Levelling: one line for all labels makes probabilities of the scores of a network whose loss has shifted them.

Such a network ranks samples well and gives hardly any label, or nearly all, above 0.5. The line is fitted by log-loss
and not by the metric that ranks recipes, so that a levelled network has no advantage over one trained by bce. A line
common to all labels turns no order round, neither of samples nor of labels.

Shapes: N samples, L labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.crossfitting import left_out
from tagfit.metrics.curves import Line
from tagfit.metrics.scores import Floats, Labels
from tagfit.records.data import UNKNOWN, YES

#: what changes nothing, where there is too little to fit a line on
STRAIGHT = Line(1.0)


def fit_recalibration(labels_NL: Labels, probabilities_NL: Floats) -> Line:
    """The line of all known cells together, of rows that the network was not trained on."""
    known_NL = labels_NL != UNKNOWN
    return Line.fit(probabilities_NL[known_NL], labels_NL[known_NL] == YES) or STRAIGHT


def recalibrated(line: Line, probabilities_NL: Floats) -> Floats:
    """(N, L) of the same dtype."""
    if line == STRAIGHT:
        return probabilities_NL
    return line.apply(probabilities_NL).astype(probabilities_NL.dtype)


def crossfitted(
    labels_NL: Labels, probabilities_NL: Floats, groups: NDArray[np.intp] | None = None, *, seed: int = 0
) -> Floats:
    """(N, L) each row by a line that was fitted on other rows."""
    found = np.empty_like(probabilities_NL)
    for here in left_out(len(labels_NL), groups, seed=seed):
        found[here] = recalibrated(fit_recalibration(labels_NL[~here], probabilities_NL[~here]), probabilities_NL[here])
    return found
