"""Lines against scikit-learn's logistic regression, steps against its isotonic regression; both never fall."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tagfit.metrics.curves import LEAST_FOR_ISOTONIC, LEAST_FOR_SIGMOID, IsotonicCurve, SigmoidCurve


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def cells(seed=0, count=400, slope=1.0, shift=0.0, dtype=np.float32):
    """Scores of cells whose true probability is sigmoid(slope · logit + shift), and which of them are yes."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=count)
    return sigmoid(logits).astype(dtype), rng.random(count) < sigmoid(slope * logits + shift)


@st.composite
def any_cells(draw):
    """Enough cells for every curve; saturated, tied, upside down, perfectly ranked, or none of it."""
    seed, sharpness = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.001, 0.1, 1, 10, 1000]))
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    rng = np.random.default_rng(seed)
    logits = rng.normal(loc=draw(st.floats(-5, 5)), size=draw(st.integers(110, 300)))
    yes = rng.random(len(logits)) < sigmoid(draw(st.sampled_from([-1, 0, 1, 50])) * (logits - np.median(logits)))
    yes[:LEAST_FOR_ISOTONIC], yes[LEAST_FOR_ISOTONIC : 2 * LEAST_FOR_ISOTONIC] = True, False
    scores = sigmoid(np.clip(sharpness * logits, -200, 200)).astype(dtype)
    return draw(st.sampled_from([scores, scores.round(1)])), yes


def around(scores):
    """The scores, their next neighbours either way, and all of the range, in order."""
    near = [np.nextafter(scores, scores.dtype.type(end)) for end in (0, 1)]
    return np.unique(np.concatenate([scores, *near, np.linspace(0, 1, 101, dtype=scores.dtype)]))


class TestBoth:
    @given(any_cells(), st.sampled_from([SigmoidCurve, IsotonicCurve]))
    def test_they_never_fall_and_stay_in_the_range(self, given_cells, kind):
        scores, yes = given_cells
        curve = kind.fit(scores, yes)
        if curve is not None:
            made = curve.apply(around(scores)).astype(scores.dtype)
            assert (np.diff(made) >= 0).all()
            assert 0 <= made[0] <= made[-1] <= 1

    @given(any_cells())
    def test_the_log_loss_of_the_cells_themselves_is_not_above_that_of_their_frequency(self, given_cells):
        scores, yes = given_cells
        frequency = (yes.sum() + 1) / (len(yes) + 2)
        constant = -np.log(np.where(yes, frequency, 1 - frequency)).mean()
        for curve in (SigmoidCurve.fit(scores, yes), IsotonicCurve.fit(scores, yes)):
            if curve is not None:
                p = curve.apply(scores)
                assert -np.log(np.where(yes, p, 1 - p)).mean() <= constant + 0.01

    @pytest.mark.parametrize(
        ("kind", "least"), [(SigmoidCurve, LEAST_FOR_SIGMOID), (IsotonicCurve, LEAST_FOR_ISOTONIC)]
    )
    def test_it_takes_some_cells_that_are_yes_and_some_that_are_no(self, kind, least):
        scores = np.linspace(0.1, 0.9, 2 * least, dtype=np.float32)
        yes = np.arange(2 * least) % 2 == 1
        assert kind.fit(scores, yes) is not None
        for fewer in (np.flatnonzero(~yes)[0], np.flatnonzero(yes)[0]):
            assert kind.fit(np.delete(scores, fewer), np.delete(yes, fewer)) is None

    @pytest.mark.parametrize("kind", [SigmoidCurve, IsotonicCurve])
    @pytest.mark.parametrize("value", [0, 0.3, 1])
    def test_scores_that_are_all_alike_have_no_curve(self, kind, value):
        assert kind.fit(np.full(200, value, dtype=np.float32), np.arange(200) % 2 == 0) is None


class TestSigmoid:
    @pytest.mark.parametrize("shifted", [True, False])
    def test_it_is_the_logistic_regression_of_platts_targets(self, shifted):
        scores, yes = cells(slope=0.4, shift=-1.0)
        logits = np.log(scores.astype(np.float64)) - np.log1p(-scores.astype(np.float64))
        n_yes, n_no = yes.sum(), (~yes).sum()
        target = np.where(yes, (n_yes + 1) / (n_yes + 2), 1 / (n_no + 2))
        # a target between 0 and 1 is a yes and a no of that weight
        reference = LogisticRegression(C=np.inf, fit_intercept=shifted, tol=1e-10, max_iter=1000).fit(
            np.tile(logits, 2)[:, np.newaxis], np.repeat([1, 0], len(yes)), np.concatenate([target, 1 - target])
        )
        curve = SigmoidCurve.fit(scores, yes, shifted=shifted)
        assert curve.slope == pytest.approx(reference.coef_[0, 0], abs=1e-5)
        assert curve.shift == pytest.approx(reference.intercept_[0] if shifted else 0, abs=1e-5)

    def test_it_finds_slope_and_shift(self):
        curve = SigmoidCurve.fit(*cells(count=100_000, slope=0.5, shift=-1.0))
        assert (curve.slope, curve.shift) == pytest.approx((0.5, -1), abs=0.05)

    def test_a_perfect_ranking_does_not_make_it_infinitely_steep(self):
        scores = np.repeat(np.array([0.4, 0.6], dtype=np.float32), 20)
        p = SigmoidCurve.fit(scores, scores > 0.5).apply(scores)
        # Platt's targets for twenty of each
        assert p[[0, -1]] == pytest.approx([1 / 22, 21 / 22])

    def test_scores_that_rank_upside_down_have_none(self):
        scores, yes = cells(slope=-1.0)
        assert SigmoidCurve.fit(scores, yes) is None

    def test_saturated_scores_keep_their_order(self):
        scores = np.array([0, 1e-30, 1e-20, 1e-9, 0.5, 1 - 1e-6, 1], dtype=np.float32)
        assert (np.diff(SigmoidCurve(0.2, 0.0).apply(scores)) > 0).all()


class TestIsotonic:
    def test_they_are_the_isotonic_regression_but_for_the_smoothing(self):
        scores, yes = cells(count=20_000)
        steps = IsotonicCurve.fit(scores, yes)
        reference = IsotonicRegression(out_of_bounds="clip").fit(scores, yes)
        middle = np.linspace(0.05, 0.95, 50, dtype=np.float32)
        assert steps.apply(middle) == pytest.approx(reference.predict(middle), abs=0.01)

    def test_few_cells_never_make_it_sure(self):
        # three cells that are yes above everything else, three that are no below
        scores = np.concatenate([[0.1] * 3, np.full(100, 0.5), [0.9] * 3]).astype(np.float32)
        yes = np.concatenate([[False] * 3, np.arange(100) % 2 == 0, [True] * 3])
        assert IsotonicCurve.fit(scores, yes).apply(np.array([0, 0.5, 1])) == pytest.approx([0.2, 0.5, 0.8])

    def test_the_bounds_are_those_of_the_rule_of_succession(self):
        scores = np.repeat(np.array([0.4, 0.6], dtype=np.float32), 300)
        assert IsotonicCurve.fit(scores, scores > 0.5).apply(np.array([0, 1])) == pytest.approx(
            [1 / 302, 301 / 302], rel=1e-5
        )

    def test_scores_that_rank_upside_down_are_all_given_their_frequency(self):
        scores, yes = cells(slope=-1.0, count=4000)
        assert np.ptp(IsotonicCurve.fit(scores, yes).values) < 0.1
