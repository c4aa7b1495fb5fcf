"""Thresholds against every threshold there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfit.decisions.rules import METRIC_OBJECTIVES
from tagfit.decisions.threshold_search import FitRows, nearest_best
from tagfit.metrics.scores import decision_means
from tagfit.records.data import UNKNOWN

seeds = st.integers(0, 2**32 - 1)


def rows_of(seed, N=30, L=3, unknown=0.15, levels=12):
    rng = np.random.default_rng(seed)
    labels = (rng.random((N, L)) < rng.uniform(0.05, 0.7, L)).astype(np.int8)
    labels[rng.random((N, L)) < unknown] = UNKNOWN
    labels[0] = 1
    return FitRows(labels, rng.integers(0, levels + 1, (N, L)) / levels)


def scored(metric, rows, thresholds):
    return decision_means(rows.labels_NL, rows.p_NL > thresholds)[metric].value


@given(seeds)
def test_each_labels_own_threshold_is_the_best_there_is_for_macro_f1(seed):
    rows = rows_of(seed)
    found = rows.by_label("macro_f1", 0.5)
    for label in range(3):
        one = FitRows(rows.labels_NL[:, [label]], rows.p_NL[:, [label]])
        best = max(scored("macro_f1", one, cut) for cut in np.arange(13) / 12)
        assert scored("macro_f1", one, found[label]) == pytest.approx(best)


@given(seeds, st.sampled_from(METRIC_OBJECTIVES))
def test_own_thresholds_are_never_below_the_start(seed, metric):
    rows = rows_of(seed)
    assert scored(metric, rows, rows.by_label(metric, 0.5)) >= scored(metric, rows, 0.5) - 1e-9


@given(seeds)
def test_what_is_unknown_is_not_looked_at(seed):
    rows = rows_of(seed, unknown=0.4)
    other = np.where(rows.known_NL, rows.p_NL, np.random.default_rng(seed).random(rows.p_NL.shape))
    assert rows.by_label("macro_f1", 0.5).tolist() == FitRows(rows.labels_NL, other).by_label("macro_f1", 0.5).tolist()


@given(seeds)
def test_the_common_threshold_is_the_best_candidate(seed):
    rows = rows_of(seed, levels=6)
    found = rows.common(lambda threshold: scored("micro_f1", rows, threshold))
    best = max(scored("micro_f1", rows, cut) for cut in rows.candidates_T)
    assert scored("micro_f1", rows, found) == pytest.approx(best)


@given(seeds, st.floats(0.02, 0.98))
def test_a_price_buys_the_most_hits(seed, price):
    rows = rows_of(seed)
    chosen = rows.at_price(price, 0.0)
    for label, cut in enumerate(rows.candidates_T[chosen]):
        known = rows.known_NL[:, label]
        yes, p = rows.yes_NL[known, label], rows.p_NL[known, label]
        worths = [(yes[p > t].sum() - price * (p > t).sum()) for t in np.arange(13) / 12]
        assert yes[p > cut].sum() - price * (p > cut).sum() == pytest.approx(max(0, *worths))


def test_own_thresholds_shrink_towards_the_common_one():
    rows = rows_of(0, unknown=0)
    rows.labels_NL[:, 2] = 0
    own = np.array([0.1, 0.9, 0.9])
    assert rows.shrunk(own, 0.4, 1e-9)[:2] == pytest.approx(own[:2])
    assert rows.shrunk(own, 0.4, 1e9) == pytest.approx([0.4] * 3)
    half = rows.shrunk(own, 0.4, float(rows.yes_L[0]))
    assert 0.1 < half[0] < 0.4
    assert rows.shrunk(own, 0.4, 1.0)[2] == pytest.approx(0.4), "no yes cell, nothing of its own"


def test_of_equal_candidates_the_nearest_is_taken():
    assert nearest_best(np.array([0.1, 0.45, 0.9]), np.array([1.0, 1.0, 1.0]), 0.5) == 0.45
