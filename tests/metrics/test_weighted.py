"""Weighted metrics against `metrics.score` on rows that are repeated as often as their weight says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from making import as_json
from tagfit.metrics import weighted
from tagfit.metrics.scores import score_decisions
from tagfit.metrics.weighted import Weighable
from tagfit.records.data import NO, UNKNOWN, YES
from tagfit.records.scores import METRICS

#: ties, the threshold, both ends, edges of bins and what lies outside the clip
LEVELS = (0.0, -0.0, 1e-9, 0.2, 1 / 3, 0.5, np.nextafter(0.5, 1), 0.9, 1 - 1e-9, 1.0)


@st.composite
def weighings(draw):
    """Labels, decisions, probabilities and weights; rows, labels and all may be unknown, empty or weigh nothing."""
    shape = draw(st.integers(0, 8)), draw(st.integers(1, 5))
    labels_NL = draw(arrays(np.int8, shape, elements=st.sampled_from((YES, NO, UNKNOWN))))
    probability = draw(st.sampled_from([st.sampled_from(LEVELS), st.floats(0, 1)]))
    probabilities_NL = draw(arrays(np.float64, shape, elements=probability))
    probabilities_NL = probabilities_NL.astype(draw(st.sampled_from([np.float32, np.float64])))
    decisions_NL = draw(arrays(np.bool_, shape))
    weights_NB = draw(arrays(np.int64, (shape[0], draw(st.integers(1, 3))), elements=st.integers(0, 3)))
    return labels_NL, decisions_NL, probabilities_NL, weights_NB


def assert_as_repeated(labels_NL, decisions_NL, probabilities_NL, weights_NB):
    weighted = Weighable(labels_NL, decisions_NL, probabilities_NL).score(weights_NB.astype(np.float64))
    assert set(weighted) == set(METRICS)
    for number, weights_N in enumerate(weights_NB.T):
        rows = np.repeat(np.arange(len(labels_NL)), weights_N)
        expected = as_json(score_decisions(labels_NL[rows], decisions_NL[rows], probabilities_NL[rows]))
        found = {metric: values[number] for metric, values in weighted.items()}
        missing = {metric: np.nan if value is None else value for metric, value in expected.items()}
        assert found == pytest.approx(missing, rel=1e-9, abs=1e-12, nan_ok=True)


@given(weighings())
def test_a_weight_is_so_many_rows(weighing):
    assert_as_repeated(*weighing)


@pytest.mark.parametrize("unknown", [0.0, 0.4])
def test_larger_parts(unknown):
    rng = np.random.default_rng(0)
    labels_NL = (rng.random((300, 7)) < rng.uniform(0.01, 0.6, size=7)).astype(np.int8)
    labels_NL[rng.random(labels_NL.shape) < unknown] = UNKNOWN
    probabilities_NL = (0.3 * (labels_NL == YES) + 0.7 * rng.random(labels_NL.shape)).round(2)
    weights_NB = rng.poisson(1.0, size=(300, 5))
    assert_as_repeated(labels_NL, rng.random(labels_NL.shape) < 0.4, probabilities_NL, weights_NB)


@pytest.mark.parametrize("unknown", [0.0, 0.4])
def test_weightings_in_blocks_change_no_bit(monkeypatch, unknown):
    rng = np.random.default_rng(1)
    labels_NL = (rng.random((50, 9)) < 0.3).astype(np.int8)
    labels_NL[rng.random(labels_NL.shape) < unknown] = UNKNOWN
    probabilities_NL, weights_NB = rng.random(labels_NL.shape).round(2), (rng.random((50, 40)) < 0.5).astype(np.float64)
    ready = Weighable(labels_NL, probabilities_NL > 0.5, probabilities_NL)
    whole = ready.score(weights_NB)
    monkeypatch.setattr(weighted, "_CELLS_A_BLOCK", 1)
    in_blocks = ready.score(weights_NB)
    for metric in METRICS:
        assert in_blocks[metric].tobytes() == whole[metric].tobytes()
