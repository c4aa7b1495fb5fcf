"""What decisions are worth, held against the metrics and against what a row's weight does to them."""

from __future__ import annotations

import numpy as np
import pytest

from tagfit.decisions.rule_worth import value, worth
from tagfit.decisions.rules import LEVEL_OBJECTIVES, METRIC_OBJECTIVES
from tagfit.metrics.scores import decision_means
from tagfit.records.data import UNKNOWN, YES

ALL = (*METRIC_OBJECTIVES, *LEVEL_OBJECTIVES)


def example(seed, N=40, L=5):
    rng = np.random.default_rng(seed)
    labels = (rng.random((N, L)) < 0.4).astype(np.int8)
    labels[rng.random((N, L)) < 0.1] = UNKNOWN
    labels[:, 0] = np.minimum(labels[:, 0], 0)
    labels[0] = UNKNOWN
    return labels, rng.random((N, L)) < 0.5


@pytest.mark.parametrize("metric", METRIC_OBJECTIVES)
def test_it_is_the_metric(metric):
    for seed in range(5):
        labels, decisions = example(seed)
        expected = pytest.approx(decision_means(labels, decisions)[metric].value)
        assert worth(metric, labels, decisions).value == expected
        assert value(metric, labels == YES, labels != UNKNOWN, decisions) == expected


@pytest.mark.parametrize("metric", ALL)
def test_influence_is_what_a_rows_weight_does(metric):
    labels, decisions = example(0, N=8)
    once = worth(metric, labels, decisions)
    assert once.influence_N.sum() == pytest.approx(0, abs=1e-12)
    times = 3000
    rows = np.tile(np.arange(8), times)
    for row in range(8):
        more = np.append(rows, row)
        grown = worth(metric, labels[more], decisions[more]).value
        assert (grown - once.value) * times == pytest.approx(once.influence_N[row], abs=2e-3)


@pytest.mark.parametrize("metric", ALL)
def test_nothing_known_is_worth_nothing(metric):
    labels = np.full((4, 2), UNKNOWN, dtype=np.int8)
    assert worth(metric, labels, np.ones((4, 2), dtype=bool)).value == 0


def test_more_is_better_only_beyond_noise():
    labels = np.ones((100, 1), dtype=np.int8)
    none, few, many = (np.arange(100)[:, np.newaxis] < right for right in (0, 2, 30))
    nothing = worth("subset_accuracy", labels, none)
    alone, together = np.arange(100), np.repeat(np.arange(2), 50)
    assert worth("subset_accuracy", labels, many).beats(nothing, alone, 2.0)
    assert not worth("subset_accuracy", labels, few).beats(nothing, alone, 2.0)
    assert not nothing.beats(nothing, alone, 2.0)
    # thirty right rows that are all of one group may be chance
    assert not worth("subset_accuracy", labels, many).beats(nothing, together, 2.0)
