"""Thresholds that keep a promise: recall by conformal risk control, precision by Learn-then-Test.

Both average over units: a unit is a sample, or a group of samples that are not independent of each other, with the mean
over its samples. Shapes: N samples, L labels, U units, C cells that are yes, T thresholds, B draws of units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.metrics.scores import Bools, Floats, Ints, Labels
from tagfit.records.data import YES

Reals = NDArray[np.float64]

#: sums of fractions are compared up to this
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Recall:
    """What a threshold misses of the labels that are really there; samples without any are left out.

    Conformal risk control (Angelopoulos et al. 2022): of n units, the highest threshold t with
    (n R(t) + 1) / (n + 1) <= 1 - level, where R is the mean fraction missed. A new unit then loses at most
    1 - level on average. It is searched among all probabilities, not on a grid.

    Attributes:
        level: the recall to hold.
        cells_C: the probability of each cell that is yes, ascending.
        unit_C: whose it is.
        share_C: what its unit loses without it.
        counted_U: whether a unit has anything to miss.
        steps: all distinct probabilities of the part, ascending: where decisions change.
    """

    level: float
    cells_C: Floats
    unit_C: Ints
    share_C: Reals
    counted_U: Bools
    steps: Floats

    @classmethod
    def of(cls, level: float, labels_NL: Labels, probabilities_NL: Floats, unit_N: Ints) -> Recall:
        yes_NL = labels_NL == YES
        yes_N = yes_NL.sum(axis=1)
        samples_U = np.bincount(unit_N, weights=yes_N > 0)
        row_C, _ = np.nonzero(yes_NL)
        cells_C = probabilities_NL[yes_NL]
        order = np.argsort(cells_C, kind="stable")
        row_C = row_C[order]
        return cls(
            level=level,
            cells_C=cells_C[order],
            unit_C=unit_N[row_C],
            share_C=1 / (yes_N[row_C] * samples_U[unit_N[row_C]]),
            counted_U=samples_U > 0,
            steps=np.unique(probabilities_NL),
        )

    @staticmethod
    def units_needed(level: float) -> int:
        """With fewer, only every label for every sample keeps the level."""
        return math.ceil(level / (1 - level) - ROUNDING)

    def fit(self, drawn_BU: Bools) -> Reals:
        """(B,) the highest threshold that each draw allows; NaN where none below which something is not given."""
        return np.array([self._fit(drawn_U) for drawn_U in drawn_BU])

    def _fit(self, drawn_U: Bools) -> float:
        n = np.count_nonzero(drawn_U & self.counted_U)
        may_miss = n - self.level * (n + 1) + ROUNDING
        if may_miss < 0:
            return math.nan
        missed_C = np.cumsum(self.share_C * drawn_U[self.unit_C])
        # the first cell that must not be missed; cells are missed from the lowest up
        kept = self.cells_C[np.searchsorted(missed_C, may_miss, side="right")]
        below = int(np.searchsorted(self.steps, kept)) - 1
        return float(self.steps[below]) if below >= 0 else math.nan

    def achieved(self, thresholds_B: Reals, drawn_BU: Bools) -> Reals:
        """(B,) the mean recall of each draw's units under its threshold; NaN where there is none or nothing to miss."""
        achieved_B = np.full(len(drawn_BU), math.nan)
        for b, (threshold, drawn_U) in enumerate(zip(thresholds_B, drawn_BU, strict=True)):
            n = np.count_nonzero(drawn_U & self.counted_U)
            if n and not math.isnan(threshold):
                found_C = (self.cells_C > np.float64(threshold)) & drawn_U[self.unit_C]
                achieved_B[b] = self.share_C[found_C].sum() / n
        return achieved_B


#: where the tests of precision start, and where the last of them ends
_STARTS, _END = (0.999999, 0.999, 0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.2), 0.01
_STEPS = 8


def _thresholds() -> Reals:
    """(T,) descending, in _STEPS even steps of the log odds from start to start; float32 holds each of them exactly."""
    edges = np.array([*_STARTS, _END])
    odds_T = np.interp(np.arange(len(_STARTS) * _STEPS) / _STEPS, np.arange(len(edges)), np.log(edges / (1 - edges)))
    thresholds_T: Reals = (1 / (1 + np.exp(-odds_T))).astype(np.float32).astype(np.float64)
    thresholds_T.flags.writeable = False
    return thresholds_T


#: the thresholds that precision is tested at: chosen before any data is seen, or the tests would not hold
THRESHOLDS = _thresholds()


@dataclass(frozen=True, eq=False)
class Precision:
    """What of the labels given to a sample is right; samples given none are left out: they are neither right nor wrong.

    Learn-then-Test (Angelopoulos et al. 2021): at each of THRESHOLDS the Hoeffding-Bentkus p-value of "the precision
    is below the level", of the units that are given a label there; then fixed-sequence testing downwards from ten
    places with a tenth of the risk each, which holds however the precision changes from threshold to threshold.
    p-values and testing are MAPIE's.

    Attributes:
        level: the precision to hold.
        confidence: with which probability.
        right_UT: the mean fraction of right labels; 0 where none is given.
        counted_UT: whether a unit is given any label.
    """

    level: float
    confidence: float
    right_UT: Reals
    counted_UT: Bools

    @classmethod
    def of(
        cls, level: float, confidence: float, labels_NL: Labels, probabilities_NL: Floats, unit_N: Ints
    ) -> Precision:
        N, T = len(labels_NL), len(THRESHOLDS)
        # a cell is given at all thresholds but the first `over` ones, which are too high
        over_NL = T - np.searchsorted(THRESHOLDS[::-1], probabilities_NL)
        place_NL = np.arange(N)[:, np.newaxis] * (T + 1) + over_NL

        def given(cells_NL: Bools) -> Ints:
            counts = np.bincount(place_NL[cells_NL], minlength=N * (T + 1)).reshape(N, T + 1)
            return counts.cumsum(axis=1)[:, :T]

        given_NT, hits_NT = given(np.ones_like(labels_NL, dtype=np.bool_)), given(labels_NL == YES)
        samples_UT, right_UT = np.zeros((2, unit_N.max(initial=-1) + 1, T))
        np.add.at(samples_UT, unit_N, given_NT > 0)
        np.add.at(right_UT, unit_N, hits_NT / np.maximum(given_NT, 1))
        return cls(level, confidence, right_UT / np.maximum(samples_UT, 1), samples_UT > 0)

    @staticmethod
    def units_needed(level: float, confidence: float) -> int:
        """With fewer, not even a faultless threshold passes its test."""
        return math.ceil(math.log((1 - confidence) / len(_STARTS)) / math.log(level) - ROUNDING)

    def fit(self, drawn_BU: Bools) -> Reals:
        """(B,) the lowest threshold that passes in each draw; NaN where none does."""
        # an extra, and slow to import: only who fits needs it
        from mapie.risk_control import FWERFixedSequenceTesting, control_fwer
        from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

        precision_BT, units_BT = self.measured(drawn_BU)
        wrong_BT = np.where(units_BT > 0, 1 - precision_BT, 1.0)
        p_values = compute_hoeffding_bentkus_p_value(wrong_BT.ravel(), np.maximum(units_BT, 1).ravel(), 1 - self.level)
        thresholds_B = np.full(len(drawn_BU), math.nan)
        for b, p_value_T in enumerate(p_values.reshape(wrong_BT.shape)):
            passed = control_fwer(p_value_T, 1 - self.confidence, FWERFixedSequenceTesting(n_starts=len(_STARTS)))
            if len(passed):
                thresholds_B[b] = THRESHOLDS[passed.max()]
        return thresholds_B

    def achieved(self, thresholds_B: Reals, drawn_BU: Bools) -> Reals:
        """(B,) the mean precision of each draw's units under its threshold; NaN where there is none or none given."""
        precision_BT, _ = self.measured(drawn_BU)
        place_B = np.searchsorted(-THRESHOLDS, -np.nan_to_num(thresholds_B, nan=THRESHOLDS[0]))
        return np.where(np.isnan(thresholds_B), math.nan, precision_BT[np.arange(len(place_B)), place_B])

    def measured(self, drawn_BU: Bools) -> tuple[Reals, Reals]:
        """(B, T) the mean precision of the drawn units that are given a label, NaN without any; how many those are."""
        weights_BU = drawn_BU.astype(np.float64)
        units_BT = weights_BU @ self.counted_UT
        with np.errstate(invalid="ignore"):
            return weights_BU @ self.right_UT / units_BT, units_BT
