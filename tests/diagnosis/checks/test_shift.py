"""Shift: val that differs from train is told apart, and val that was drawn from the same is not."""

from dataclasses import replace

import numpy as np
import pytest

from making import PROVE, feature_table, locked, looked_at, tell_power
from tagfit.diagnosis.checks.shift import shift
from tagfit.diagnosis.evidence import CannotCheck


def found(seed=0, samples=400, moved=0.0, wider=1.0, dropped=0.0, groups=None):
    """Rows of which the last third is val: moved, spread wider, or with so many of one label's yes made no."""
    table = feature_table(samples=samples, seed=seed)
    parts = (np.arange(samples) * 3 >= 2 * samples).astype(np.int8)
    x, labels_NL = table.x.copy(), table.labels_NL.copy()
    x[parts == 1] = x[parts == 1] * wider + moved
    gone = (np.random.default_rng(seed + 1000).random(samples) < dropped) & (parts == 1)
    labels_NL[gone, 1] = 0
    data = locked(replace(table, x=x, labels_NL=labels_NL, given_split=parts))
    if groups is not None:
        data = replace(data, split=replace(data.split, groups=np.arange(samples) // groups))
    return shift(looked_at(data))


@pytest.mark.parametrize(("moved", "least"), [(0.1, 0.0), (0.25, 0.5), (0.5, 1.0)])
def test_power_of_features_that_moved(moved, least):
    draws = 50 if PROVE else 4
    hits = [any("AUC" in finding.seen for finding in found(seed, moved=moved)) for seed in range(draws)]
    tell_power("val moved, in deviations", "shift", moved, hits)
    assert np.mean(hits) >= least


def test_features_that_spread_wider_are_told_apart_as_well():
    (finding,) = found(wider=2.0)
    assert finding.strength in finding.interval
    assert "the features" in finding.seen


@pytest.mark.parametrize(("dropped", "least"), [(0.2, 0.0), (0.5, 0.75), (0.8, 1.0)])
def test_power_of_a_label_that_is_rarer(dropped, least):
    draws = 50 if PROVE else 4
    hits = [any(f.names == ("label_1",) for f in found(seed, dropped=dropped)) for seed in range(draws)]
    tell_power("a label rarer in val", "shift", dropped, hits)
    assert np.mean(hits) >= least


@pytest.mark.parametrize("groups", [None, 5])
def test_val_of_the_same_kind_raises_at_most_one_alarm_in_twenty(groups):
    draws = 200 if PROVE else 20 if groups is None else 10
    alarms = [bool(found(seed, groups=groups)) for seed in range(draws)]
    tell_power("clean", "shift", groups or 1, alarms)
    assert sum(alarms) <= draws / 20


def test_too_little_val_cannot_be_checked():
    with pytest.raises(CannotCheck, match="20 samples"):
        found(samples=45)
    data = locked(feature_table())
    folded = replace(data, split=replace(data.split, parts=np.zeros(120, dtype=np.int8)))
    with pytest.raises(CannotCheck, match="no val"):
        shift(looked_at(folded))
