import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfit.decisions.recalibration import STRAIGHT, crossfitted, fit_recalibration, recalibrated
from tagfit.metrics.scores import score
from tagfit.records.data import NO, UNKNOWN, YES


def drawn(count=800, seed=0):
    """Labels drawn by their probabilities (count, 3), and scores whose logits are half of theirs, less 2."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(count, 3))
    labels_NL = (rng.random((count, 3)) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    return labels_NL, (1 / (1 + np.exp(2 - logits / 2))).astype(np.float32)


def test_what_a_loss_has_shifted_is_set_right():
    labels_NL, shifted = drawn()
    curve = fit_recalibration(labels_NL, shifted)
    assert curve.slope == pytest.approx(2, rel=0.2)
    assert curve.shift == pytest.approx(4, rel=0.2)
    before, after = (score(labels_NL, p) for p in (shifted, crossfitted(labels_NL, shifted)))
    assert after.micro_f1 > before.micro_f1 + 0.2
    assert after.ece < 0.05 < before.ece


def test_no_order_is_turned_round():
    labels_NL, shifted = drawn()
    made = recalibrated(fit_recalibration(labels_NL, shifted), shifted)
    assert made.dtype == np.float32
    assert (np.diff(made.ravel()[np.argsort(shifted, axis=None, kind="stable")]) >= 0).all()
    assert score(labels_NL, made).map == pytest.approx(score(labels_NL, shifted).map, abs=1e-4)


def test_unknown_cells_tell_nothing():
    labels_NL, shifted = drawn()
    known = np.random.default_rng(1).random(labels_NL.shape) < 0.5
    hidden = np.where(known, labels_NL, UNKNOWN).astype(np.int8)
    other = np.where(known, shifted, 0.9).astype(np.float32)
    assert fit_recalibration(hidden, shifted) == fit_recalibration(hidden, other)


def test_a_row_is_recalibrated_by_curves_that_were_fitted_on_others():
    labels_NL, shifted = drawn(100)
    flipped = labels_NL.copy()
    flipped[7] = 1 - flipped[7]
    np.testing.assert_array_equal(crossfitted(labels_NL, shifted)[7], crossfitted(flipped, shifted)[7])
    assert (crossfitted(labels_NL, shifted) != crossfitted(flipped, shifted)).any()


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12))
def test_whatever_there_is_gives_probabilities(seed, count):
    rng = np.random.default_rng(seed)
    labels_NL = rng.choice([YES, NO, UNKNOWN], size=(count, 2)).astype(np.int8)
    scores = rng.choice([0, 1e-30, 0.5, 1], size=(count, 2)).astype(np.float32)
    made = crossfitted(labels_NL, scores)
    assert ((made >= 0) & (made <= 1)).all()


def test_too_little_to_fit_on_changes_nothing():
    scores = np.full((3, 2), 0.2, np.float32)
    assert fit_recalibration(np.ones((3, 2), np.int8), scores) == STRAIGHT
