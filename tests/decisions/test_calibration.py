"""Calibration on distortions that are known, and on degenerate input."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tagfit.api import fit, load
from tagfit.decisions.calibration import METHODS, Calibration, fit_calibration
from tagfit.decisions.decider import Predictions, fit_decider
from tagfit.decisions.reliability import CalibrationBin, reliability
from tagfit.errors import BundleError, DataError
from tagfit.inference.tagger import Tagger
from tagfit.io.typed_json import from_plain, to_plain
from tagfit.metrics import curves
from tagfit.metrics.curves import IsotonicCurve, SigmoidCurve
from tagfit.metrics.intervals import wilson
from tagfit.metrics.scores import probability_means
from tagfit.records.data import NO, UNKNOWN, YES

DOCS = Path(__file__).parents[2] / "docs" / "probabilities.md"

SHIFTS = np.array([-2, -1, 0, 1, 2, 3])
DISTORTIONS = {
    "none": lambda logits: logits,
    "temperature": lambda logits: 3 * logits,
    "platt": lambda logits: logits + SHIFTS[: logits.shape[1]],
    "isotonic": lambda logits: np.where(logits > 0, 4 * logits, logits / 4) - 1,
}


def drawn(seed, N=300, L=6, distortion="none", unknown=0.0):
    """Labels, the probabilities that they were drawn from, and what a network says instead; float32."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, size=(N, L))
    truth = 1 / (1 + np.exp(-logits))
    labels = (rng.random((N, L)) < truth).astype(np.int8)
    labels[rng.random((N, L)) < unknown] = UNKNOWN
    predictions = 1 / (1 + np.exp(-DISTORTIONS[distortion](logits)))
    return labels, truth.astype(np.float32), predictions.astype(np.float32)


def crossfitted(labels, predictions, groups=None):
    """What a calibration makes of each row that has not seen it, nor chosen its method on it."""
    belongs_to = np.arange(len(labels)) if groups is None else groups
    return fit_decider(Predictions(labels, predictions, belongs_to), "val", None, seen_NL=None).probabilities_NL


def log_loss(labels, probabilities):
    return probability_means(labels, probabilities)["log_loss"].value


def ece(labels, probabilities):
    return probability_means(labels, probabilities)["ece"].value


class TestChoice:
    @pytest.mark.parametrize("unknown", [0.0, 0.3])
    @pytest.mark.parametrize("distortion", DISTORTIONS)
    def test_a_known_distortion_is_undone_by_the_method_that_is_made_for_it(self, distortion, unknown):
        labels, _, predictions = drawn(0, N=1000, distortion=distortion, unknown=unknown)
        calibration = fit_calibration(labels, predictions)
        assert calibration.method == distortion
        labels, truth, predictions = drawn(1, N=3000, distortion=distortion)
        made = calibration.apply(predictions)
        assert ece(labels, made) < 0.02
        assert log_loss(labels, made) < log_loss(labels, truth) + 0.015
        if distortion != "none":
            assert log_loss(labels, made) < log_loss(labels, predictions) - 0.05
            assert ece(labels, made) < ece(labels, predictions) / 4

    def test_what_is_calibrated_stays_as_it_is(self):
        methods, worse = [], []
        for seed in range(30):
            labels, _, predictions = drawn(seed, N=200, L=4)
            calibration = fit_calibration(labels, predictions)
            methods.append(calibration.method)
            labels, _, predictions = drawn(1000 + seed, N=1000, L=4)
            worse.append(log_loss(labels, calibration.apply(predictions)) - log_loss(labels, predictions))
        assert methods.count("none") >= 28
        assert np.mean(worse) < 0.0005
        assert max(worse) < 0.01

    def test_near_copies_are_no_evidence(self):
        labels, _, predictions = drawn(3, N=30, L=3)
        groups = np.repeat(np.arange(30), 20)
        assert fit_calibration(labels, predictions).method == "none"
        labels, predictions = labels.repeat(20, axis=0), predictions.repeat(20, axis=0)
        assert fit_calibration(labels, predictions).method != "none"
        assert fit_calibration(labels, predictions, groups).method == "none"

    def test_the_probability_of_an_unknown_cell_is_nothing_to_anyone(self):
        labels, _, predictions = drawn(4, distortion="platt", unknown=0.4)
        other = np.where(labels == UNKNOWN, np.float32(0.99), predictions)
        assert fit_calibration(labels, predictions) == fit_calibration(labels, other)

    def test_it_is_the_same_every_time(self):
        labels, _, predictions = drawn(5, distortion="isotonic")
        assert fit_calibration(labels, predictions) == fit_calibration(labels, predictions)

    def test_a_label_with_few_cells_keeps_to_a_simpler_curve(self):
        labels, _, predictions = drawn(6, N=1000, distortion="isotonic")
        yes = [np.flatnonzero(labels[:, label] == YES) for label in range(2)]
        labels[yes[0][5:], 0] = NO
        labels[yes[1][20:], 1] = UNKNOWN
        calibration = fit_calibration(labels, predictions)
        assert [type(curve) for curve in calibration.by_label] == [type(None), SigmoidCurve, *[IsotonicCurve] * 4]
        expected = Calibration("temperature", calibration.temperature).apply(predictions)
        np.testing.assert_array_equal(calibration.apply(predictions)[:, 0], expected[:, 0])

    def test_saturated_networks_are_made_less_sure(self):
        labels, _, predictions = drawn(7, N=1000, distortion="temperature")
        predictions = (predictions > 0.5).astype(np.float32)
        made = fit_calibration(labels, predictions).apply(predictions)
        assert 0 < made.min() < made.max() < 1
        assert ece(labels, made) < 0.05 < ece(labels, predictions)


DEGENERATE = {
    "no rows": (np.zeros((0, 2), np.int8), np.zeros((0, 2), np.float32)),
    "one row": (np.array([[YES, NO]], np.int8), np.array([[0.2, 0.9]], np.float32)),
    "one label": (np.array([[YES], [NO], [YES]], np.int8), np.array([[0], [1], [0.5]], np.float32)),
    "all yes": (np.full((200, 3), YES, np.int8), np.linspace(0, 1, 600, dtype=np.float32).reshape(200, 3)),
    "all no": (np.full((200, 3), NO, np.int8), np.linspace(0, 1, 600, dtype=np.float32).reshape(200, 3)),
    "all unknown": (np.full((200, 3), UNKNOWN, np.int8), np.linspace(0, 1, 600, dtype=np.float32).reshape(200, 3)),
    "constant": (np.tile(np.array([[YES, NO], [NO, NO]], np.int8), (100, 1)), np.full((200, 2), 0.3, np.float32)),
    "saturated and constant": (np.tile(np.array([[YES], [NO]], np.int8), (100, 1)), np.ones((200, 1), np.float32)),
    "upside down": (
        np.repeat(np.array([[YES], [NO]], np.int8), 100, axis=0),
        np.linspace(0, 1, 200, dtype=np.float32)[:, np.newaxis],
    ),
}


class TestDegenerate:
    @pytest.mark.parametrize("what", [name for name in DEGENERATE if name != "upside down"])
    def test_there_is_nothing_to_learn(self, what):
        labels, predictions = DEGENERATE[what]
        calibration = fit_calibration(labels, predictions)
        assert calibration == Calibration()
        np.testing.assert_array_equal(calibration.apply(predictions), predictions)
        np.testing.assert_array_equal(crossfitted(labels, predictions), predictions)

    def test_a_label_that_is_ranked_upside_down_is_made_level_but_never_turned_round(self):
        labels, predictions = DEGENERATE["upside down"]
        made = fit_calibration(labels, predictions).apply(predictions)
        assert (np.diff(made[:, 0]) >= 0).all()
        assert made == pytest.approx(0.5)

    def test_one_group_says_nothing_of_others(self):
        labels, _, predictions = drawn(8, distortion="temperature")
        assert fit_calibration(labels, predictions, np.zeros(len(labels), np.intp)) == Calibration()

    @given(
        st.integers(0, 2**32 - 1),
        st.integers(1, 300),
        st.integers(1, 3),
        st.sampled_from([np.float16, np.float32, np.float64]),
        st.booleans(),
    )
    def test_whatever_comes_makes_probabilities_in_the_same_order(self, seed, N, L, dtype, grouped):
        rng = np.random.default_rng(seed)
        truth = rng.beta(0.5, 0.5, size=(N, L))
        labels = (rng.random((N, L)) < truth).astype(np.int8)
        labels[rng.random((N, L)) < rng.choice([0, 0.3, 1], p=[0.6, 0.3, 0.1])] = UNKNOWN
        # from what is true to what has nothing to do with it, and bent
        predictions = np.where(rng.random((N, L)) < rng.random(), truth, rng.random((N, L))) ** rng.choice(
            [0.2, 1, 5, 500]
        )
        predictions = predictions.astype(dtype)
        groups = rng.integers(0, N, size=N) if grouped else None
        calibration = fit_calibration(labels, predictions, groups)
        made = calibration.apply(predictions)
        assert made.shape == predictions.shape
        assert made.dtype == crossfitted(labels, predictions, groups).dtype == dtype
        assert ((made >= 0) & (made <= 1)).all()
        for label in range(L):
            # float64 has no wider type to be computed in
            falls = np.diff(made[np.argsort(predictions[:, label]), label].astype(np.float64)).min(initial=0)
            assert falls >= (-1e-12 if dtype == np.float64 else 0)
        assert from_plain(json.loads(json.dumps(to_plain(calibration))), Calibration) == calibration

    @pytest.mark.parametrize(
        ("labels", "predictions", "message"),
        [
            (np.zeros((2, 3), np.int8), np.zeros((2, 2)), "shape of the labels"),
            (np.zeros((2, 1), np.int8), np.full((2, 1), np.nan), "from 0 to 1"),
            (np.full((2, 1), 2, np.int8), np.zeros((2, 1)), "labels must be"),
        ],
    )
    def test_what_cannot_be_calibrated_says_why(self, labels, predictions, message):
        for function in (fit_calibration, reliability):
            with pytest.raises(DataError, match=message):
                function(labels, predictions)


class TestCrossfitted:
    def test_no_row_is_calibrated_by_its_own_labels(self):
        labels, _, predictions = drawn(9, N=120, distortion="platt")
        made = crossfitted(labels, predictions)
        for row in (0, 50, 119):
            changed = labels.copy()
            changed[row] = 1 - changed[row]
            np.testing.assert_array_equal(crossfitted(changed, predictions)[row], made[row])
        assert not np.array_equal(made, fit_calibration(labels, predictions).apply(predictions))

    def test_nor_by_those_of_its_group(self):
        labels, _, predictions = drawn(10, N=120, distortion="platt")
        groups = np.arange(120) // 4
        made = crossfitted(labels, predictions, groups)
        changed = np.where((groups == 7)[:, np.newaxis], 1 - labels, labels).astype(np.int8)
        np.testing.assert_array_equal(crossfitted(changed, predictions, groups)[groups == 7], made[groups == 7])

    def test_it_tells_what_unseen_rows_will_get(self):
        labels, _, predictions = drawn(11, N=400, distortion="platt")
        later, _, said_later = drawn(12, N=4000, distortion="platt")
        unseen = log_loss(later, fit_calibration(labels, predictions).apply(said_later))
        assert log_loss(labels, crossfitted(labels, predictions)) == pytest.approx(unseen, abs=0.02)


class TestApply:
    EACH = (
        Calibration(),
        Calibration("temperature", 2.5),
        Calibration("platt", 0.5, (SigmoidCurve(0.5, -1.0), None)),
        Calibration("isotonic", 3.0, (IsotonicCurve((0.2, 0.2000001, 0.9), (0.1, 0.6, 0.95)), SigmoidCurve(2.0, 0.0))),
    )

    @pytest.mark.parametrize("calibration", EACH, ids=METHODS)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_rows_and_memory_do_not_matter(self, calibration, dtype):
        predictions = np.random.default_rng(0).random((500, 2)).astype(dtype)
        made, before = calibration.apply(predictions), predictions.copy()
        np.testing.assert_array_equal(predictions, before)
        np.testing.assert_array_equal(calibration.apply(np.asfortranarray(predictions)), made)
        np.testing.assert_array_equal(
            np.concatenate([calibration.apply(row[np.newaxis]) for row in predictions[:50]]), made[:50]
        )
        assert calibration.apply(predictions[:0]).shape == (0, 2)

    def test_a_temperature_divides_the_logits(self):
        predictions = np.array([[0.9, 0.1, 0.5]])
        assert Calibration("temperature", 2.0).apply(predictions)[0] == pytest.approx([0.75, 0.25, 0.5])

    @pytest.mark.parametrize("calibration", EACH, ids=METHODS)
    def test_a_sample_without_scores_has_no_probabilities(self, calibration):
        made = calibration.apply(np.array([[np.nan, np.nan], [0.5, 0.5]], dtype=np.float32))
        assert np.isnan(made).tolist() == [[True, True], [False, False]]

    def test_another_number_of_labels_is_refused(self):
        with pytest.raises(DataError, match="for 2 labels; the probabilities have 3"):
            self.EACH[2].apply(np.zeros((1, 3)))

    def test_it_needs_no_scikit_learn(self):
        code = (
            "import sys, numpy; from tagfit.decisions.calibration import Calibration;"
            "from tagfit.metrics.curves import IsotonicCurve;"
            "Calibration('isotonic', 1.0, (IsotonicCurve((0.1, 0.9), (0.2, 0.3)),)).apply(numpy.ones((1, 1)));"
            "assert not {'sklearn', 'scipy', 'torch'} & {*sys.modules}"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


SIGMOID, ISOTONIC = {"kind": "sigmoid"}, {"kind": "isotonic"}
CURVE_OF_1 = r"by_label\[1\]"
SPOILT_CURVES = (
    *({**SIGMOID, "slope": slope, "shift": 0} for slope in (-1, 1e7, True, "1", None, float("nan"))),
    *({**SIGMOID, "slope": 1, "shift": shift} for shift in (float("nan"), -1e7, "0", None)),
    *(SIGMOID, {"slope": 1.0, "shift": 0.0}, {**SIGMOID, "slope": 1, "shift": 0, "more": 0}),
    *([1, 0], 1, "12", {}, {"kind": "line", "slope": 1}, {"kind": ["sigmoid"], "slope": 1}),
    *(
        {**ISOTONIC, "at": at, "values": values}
        for at, values in (
            *(([], []), ([0.1], []), ([0.1], 0.2), ([0.1, 0.2], [0.5])),
            *(([0.2, 0.1], [0.1, 0.2]), ([0.1, 0.1], [0.1, 0.2]), ([0.1, 0.2], [0.2, 0.1])),
            *(([-0.1], [0.5]), ([0.1], [1.5]), ([0.1], [float("nan")]), ([float("nan")], [0.1]), ([0.1], ["0"])),
        )
    ),
)


class TestStored:
    @pytest.mark.parametrize("distortion", DISTORTIONS)
    def test_json_there_and_back(self, distortion):
        labels, _, predictions = drawn(13, N=500, distortion=distortion)
        calibration = fit_calibration(labels, predictions)
        text = json.dumps(to_plain(calibration), allow_nan=False)
        again = from_plain(json.loads(text), Calibration, surplus=False)
        assert again == calibration
        np.testing.assert_array_equal(again.apply(predictions), calibration.apply(predictions))
        assert len(text) < 10_000

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda v: v.update(more=1), "no field 'more'; known: method, temperature, by_label"),
            (lambda v: v.update(method="beta"), "one of none, temperature, platt, isotonic; got 'beta'"),
            (lambda v: v.update(method=[]), "one of none"),
            (lambda v: v.update(method="temperature"), "by_label of a calibration by temperature has 3 curves"),
            (lambda v: v.update(method="platt"), "by_label of a calibration by platt must hold no isotonic curves"),
            *[
                (lambda v, value=value: v.update(temperature=value), "temperature must be a number from")
                for value in (0, -1, float("nan"), float("inf"), 10**400, "1", True, None)
            ],
            (lambda v: v.update(by_label=[]), "by_label of a calibration by isotonic has 0 curves"),
            (lambda v: v.update(by_label=None), "by_label must be a list"),
            *[(lambda v, value=value: v["by_label"].__setitem__(1, value), CURVE_OF_1) for value in SPOILT_CURVES],
        ],
    )
    def test_what_was_tampered_with_is_refused(self, spoil, message):
        curves_of_each = (None, SigmoidCurve(1.0, 0.5), IsotonicCurve((0.1, 0.9), (0.2, 0.8)))
        values = json.loads(json.dumps(to_plain(Calibration("isotonic", 1.5, curves_of_each))))
        from_plain(values, Calibration, surplus=False)
        spoil(values)
        with pytest.raises(BundleError, match=message):
            from_plain(values, Calibration, surplus=False)

    def test_no_mapping_at_all_is_refused_and_all_faults_are_told(self):
        with pytest.raises(BundleError):
            from_plain([], Calibration)
        values = {
            "method": "platt",
            "temperature": 0,
            "by_label": [{**SIGMOID, "slope": -1}, None, {**SIGMOID, "slope": 0, "shift": "x"}],
        }
        with pytest.raises(BundleError) as told:
            from_plain(values, Calibration)
        assert len(told.value.faults) == 3


class TestReliability:
    @pytest.mark.parametrize("unknown", [0.0, 0.5, 1.0])
    def test_the_bins_are_those_of_ece(self, unknown):
        labels, _, predictions = drawn(14, distortion="temperature", unknown=unknown)
        predictions[0] = 1.0
        bins = reliability(labels, predictions)
        known = np.count_nonzero(labels != UNKNOWN)
        assert (len(bins), bins[0].low, bins[-1].high, sum(b.count for b in bins)) == (15, 0, 1, known)
        filled = [b for b in bins if b.count]
        assert all(b.low <= b.mean <= b.high and b.yes in b.interval for b in filled)
        if known:
            gaps = sum(b.count * abs(b.mean - b.yes) for b in filled) / known
            assert gaps == pytest.approx(ece(labels, predictions))

    def test_a_bin_without_cells_says_so(self):
        first = reliability(np.array([[YES]], np.int8), np.array([[0.5]]))[0]
        assert to_plain(first) == {"low": 0, "high": 1 / 15, "count": 0, "mean": None, "yes": None, "interval": None}

    def test_json(self):
        labels, _, predictions = drawn(15)
        bins = reliability(labels, predictions)
        again = json.loads(json.dumps(to_plain(bins), allow_nan=False))
        assert from_plain(again, tuple[CalibrationBin, ...], surplus=False) == bins

    @given(st.integers(1, 5000), st.floats(0, 1))
    def test_the_interval_is_wilsons(self, count, share):
        hits = round(share * count)
        expected = binomtest(hits, count).proportion_ci(method="wilson")
        interval = wilson(hits, count)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert 0 <= interval.low <= hits / count <= interval.high <= 1


def test_an_overconfident_network_on_real_data(shared, tmp_path):
    data = load(shared / "scene")
    fit(data, recipe="dense-baseline", output=tmp_path / "run")
    tagger, rows = Tagger.load(tmp_path / "run"), {part: data.split.rows(part) for part in ("val", "test")}
    predictions = {part: tagger.predict_array(data.dataset.x[at]).scores for part, at in rows.items()}
    calibration = fit_calibration(data.labels("val"), predictions["val"])
    made, test = calibration.apply(predictions["test"]), data.labels("test")
    assert ece(test, made) < ece(test, predictions["test"]) / 2
    assert log_loss(test, made) < log_loss(test, predictions["test"]) / 2
    honest = crossfitted(data.labels("val"), predictions["val"])
    assert ece(data.labels("val"), honest) < ece(data.labels("val"), predictions["val"]) / 2


def test_the_documents_give_the_constants_of_the_code():
    section = DOCS.read_text("utf-8").split('<a id="calibration">')[1].split("<a id=")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [*METHODS]
    assert f"{curves.LEAST_FOR_SIGMOID} cells" in section
    assert f"{curves.LEAST_FOR_ISOTONIC} cells" in section
