"""Thresholds that keep a promise, against plain Python, against MAPIE, and against truths that are known."""

import math
import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from mapie.risk_control import FWERFixedSequenceTesting, MultiLabelClassificationController, control_fwer

from making import PROVE
from tagfit.decisions.risks import THRESHOLDS, Precision, Recall

DRAWS = 1000 if PROVE else 120
#: how far a mean over draws of a fraction may lie from what it estimates: three standard errors, of 0.05 at most
NOISE = 3 * 0.05 / math.sqrt(DRAWS)


def sampled(rng, count, bias=-1.5, spread=2.0, labels=6):
    """Labels that are yes with exactly the probabilities that are said."""
    odds = rng.normal(bias, spread, size=(count, labels))
    p = 1 / (1 + np.exp(-odds))
    return (rng.random(p.shape) < p).astype(np.int8), p.astype(np.float32)


def recall_of(labels, decided):
    some = labels.any(axis=1)
    return float((((labels == 1) & decided)[some].sum(axis=1) / labels[some].sum(axis=1)).mean())


def precision_of(labels, decided):
    some = decided.any(axis=1)
    return float((((labels == 1) & decided)[some].sum(axis=1) / decided[some].sum(axis=1)).mean())


def everyone(units):
    return np.ones((1, units), dtype=bool)


def fitted(risk, units):
    return float(risk.fit(everyone(units))[0])


@st.composite
def answers(draw):
    N, L = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    cells = st.integers(0, 1)
    levels = st.sampled_from([0.0, 1e-7, 0.2, 0.5, 0.7, 1.0])
    labels = [draw(st.lists(cells, min_size=L, max_size=L)) for _ in range(N)]
    p = [draw(st.lists(levels, min_size=L, max_size=L)) for _ in range(N)]
    units = np.unique(draw(st.lists(st.integers(0, 3), min_size=N, max_size=N)), return_inverse=True)[1]
    return np.array(labels, dtype=np.int8), np.array(p, dtype=np.float32), units


def in_plain_python(labels, decided, units, metric):
    """The mean of each unit that counts."""
    values = {}
    for row, answer, unit in zip(labels, decided, units, strict=True):
        hits, of = sum(row[answer]), (sum(row) if metric == "recall" else sum(answer))
        if of:
            values.setdefault(unit, []).append(hits / of)
    return [sum(some) / len(some) for some in values.values()]


@given(answers(), st.sampled_from([0.3, 0.5, 0.75, 0.9]))
def test_recall_takes_the_highest_threshold_that_conformal_risk_control_allows(data, level):
    labels, p, units = data
    threshold = fitted(Recall.of(level, labels, p, units), units.max() + 1)

    def allowed(t):
        found = in_plain_python(labels, p > np.float64(t), units, "recall")
        n = len(found)
        return (sum(1 - value for value in found) + 1) / (n + 1) <= 1 - level + 1e-9

    steps = np.unique(p).astype(float)
    best = max((t for t in steps if allowed(t)), default=None)
    assert math.isnan(threshold) if best is None else threshold == best


@given(answers())
def test_precision_is_the_mean_over_units_that_are_given_a_label(data):
    labels, p, units = data
    precision_BT, units_BT = Precision.of(0.8, 0.95, labels, p, units).measured(everyone(units.max() + 1))
    for place, threshold in enumerate(THRESHOLDS):
        values = in_plain_python(labels, p > threshold, units, "precision")
        assert units_BT[0, place] == len(values)
        assert math.isnan(precision_BT[0, place]) if not values else np.isclose(precision_BT[0, place], np.mean(values))


def test_the_thresholds_for_precision_fall_and_are_exact_in_float32():
    assert (np.diff(THRESHOLDS) < 0).all()
    assert (THRESHOLDS.astype(np.float32) == THRESHOLDS).all()
    assert len(THRESHOLDS) == 80


def test_recall_is_what_mapie_finds():
    rng = np.random.default_rng(0)
    for level in (0.73, 0.87):
        labels, p = sampled(rng, 60, labels=4)
        labels, p = labels[labels.any(axis=1)], p[labels.any(axis=1)].astype(np.float64)
        mapie = MultiLabelClassificationController(lambda x: x, target_level=level, predict_params=np.unique(p))
        mapie.calibrate(p, labels)
        assert fitted(Recall.of(level, labels, p, np.arange(len(p))), len(p)) == mapie.best_predict_param[0]


def test_precision_is_what_mapie_measures_but_for_samples_that_are_given_nothing():
    """MAPIE's class counts those as entirely wrong, which is why it is not the one that decides."""
    labels, p = sampled(np.random.default_rng(0), 40, labels=4)
    labels[:, 0], p[:, 0] = 1, np.maximum(p[:, 0], 0.02)
    mapie = MultiLabelClassificationController(
        lambda x: x.astype(np.float64), risk="precision", confidence_level=0.95, predict_params=THRESHOLDS[::-1]
    )
    mapie.compute_risks(p, labels)
    with warnings.catch_warnings(action="ignore"):
        mapie.compute_best_predict_param()  # it finds nothing, and says so twice
    precision_BT, units_BT = Precision.of(0.9, 0.95, labels, p, np.arange(40)).measured(everyone(40))
    assert np.allclose(1 - mapie.r_hat[::-1], np.nan_to_num(precision_BT[0]) * units_BT[0] / 40)
    assert (units_BT[0] < 40).any()
    assert (units_BT[0] == 40).any()


def test_testing_goes_down_from_each_start_to_the_first_that_fails():
    """What is asked of MAPIE: of six tests in two rows, at half the risk each."""
    p_values = np.array([0.004, 0.006, 0.0, 0.004, 0.005, 0.006])
    assert control_fwer(p_values, 0.01, FWERFixedSequenceTesting(n_starts=2)).tolist() == [0, 3, 4]
    p_values[0] = 0.006
    assert control_fwer(p_values, 0.01, FWERFixedSequenceTesting(n_starts=2)).tolist() == [3, 4]


def test_units_needed_is_exact():
    assert [Recall.units_needed(level) for level in (0.9, 0.99)] == [9, 99]
    assert [Precision.units_needed(level, 0.95) for level in (0.8, 0.95)] == [24, 104]
    for level in (0.5, 0.75, 0.8, 0.9, 0.95, 0.99):
        n = Recall.units_needed(level)
        labels = np.ones((n, 2), dtype=np.int8)
        p = np.full((n, 2), 0.9, dtype=np.float32)
        p[:, 1] = 0.8
        labels[:, 1] = 0
        assert fitted(Recall.of(level, labels, p, np.arange(n)), n) == np.float32(0.8)
        assert math.isnan(fitted(Recall.of(level, labels[1:], p[1:], np.arange(n - 1)), n - 1))
        n = Precision.units_needed(level, 0.95)
        labels, p = np.ones((n, 1), dtype=np.int8), np.full((n, 1), 0.9999, dtype=np.float32)
        assert fitted(Precision.of(level, 0.95, labels, p, np.arange(n)), n) == THRESHOLDS[-1]
        assert math.isnan(fitted(Precision.of(level, 0.95, labels[1:], p[1:], np.arange(n - 1)), n - 1))


# ------------------------------------------------------------------------------ truths that are known


def test_recall_holds_on_average_and_is_not_given_away():
    rng = np.random.default_rng(1)
    new_labels, new_p = sampled(rng, 20_000)
    for level, count in ((0.9, 30), (0.8, 100)):
        recalls = []
        for _ in range(DRAWS):
            labels, p = sampled(rng, count)
            labels, p = labels[labels.any(axis=1)], p[labels.any(axis=1)]
            threshold = fitted(Recall.of(level, labels, p, np.arange(len(p))), len(p))
            recalls.append(recall_of(new_labels, new_p > np.float64(threshold)))
        # above the level by at most 2 / (n + 1), as the paper has it for losses that jump
        assert level - NOISE < np.mean(recalls) < level + 2 / (0.8 * count) + NOISE


def test_precision_holds_with_its_probability():
    """One label a sample: losses are 0 or 1, and vary as much as losses can."""
    rng = np.random.default_rng(2)
    new_labels, new_p = sampled(rng, 40_000, bias=0, labels=1)
    for level, count in ((0.8, 500), (0.7, 500)):
        precisions = []
        for _ in range(DRAWS):
            labels, p = sampled(rng, count, bias=0, labels=1)
            threshold = fitted(Precision.of(level, 0.95, labels, p, np.arange(count)), count)
            precisions.append(precision_of(new_labels, new_p > threshold) if threshold == threshold else math.nan)
        found = np.array([value for value in precisions if value == value])
        assert len(found) > 0.6 * DRAWS
        # refused draws hold too: nothing was promised
        assert np.count_nonzero(found < level) / DRAWS < 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS)
        assert found.mean() < level + 0.13


def alike(rng, labels, p, size):
    """Each row becomes a group of samples that are all but copies of each other."""
    jitter = rng.normal(scale=1e-4, size=(len(p) * size, p.shape[1])).astype(np.float32)
    copies = np.clip(p.repeat(size, axis=0) + jitter, 0, 1)
    return labels.repeat(size, axis=0), copies, np.arange(len(p)).repeat(size)


def test_recall_of_groups_holds_and_would_not_if_groups_were_ignored():
    rng = np.random.default_rng(3)
    new_labels, new_p = sampled(rng, 40_000, labels=1)
    by_group, ignored = [], []
    for _ in range(2 * DRAWS):
        labels, p = sampled(rng, 200, labels=1)
        some = np.flatnonzero(labels[:, 0])[:12]
        labels, p, groups = alike(rng, labels[some], p[some], 20)
        for recalls, units in ((by_group, groups), (ignored, np.arange(len(p)))):
            threshold = fitted(Recall.of(0.9, labels, p, units), units.max() + 1)
            recalls.append(recall_of(new_labels, new_p > np.float64(threshold)))
    # of 12 groups a part of one may be missed, of 240 samples 23: more than a group
    assert 0.9 < np.mean(by_group) < 0.94
    assert np.mean(ignored) < 0.87


def test_precision_of_groups_holds_and_would_not_if_groups_were_ignored():
    rng, truth = np.random.default_rng(4), {"bias": -0.5, "spread": 3, "labels": 1}
    new_labels, new_p = sampled(rng, 40_000, **truth)
    below, refused = {"groups": 0, "samples": 0}, 0
    for _ in range(DRAWS):
        labels, p, groups = alike(rng, *sampled(rng, 60, **truth), 12)
        for name, units in (("groups", groups), ("samples", np.arange(len(p)))):
            threshold = fitted(Precision.of(0.6, 0.95, labels, p, units), units.max() + 1)
            refused += math.isnan(threshold)
            below[name] += not math.isnan(threshold) and precision_of(new_labels, new_p > threshold) < 0.6
    allowed = (0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS)) * DRAWS
    assert below["groups"] < allowed < below["samples"]
    assert refused < 0.5 * DRAWS
