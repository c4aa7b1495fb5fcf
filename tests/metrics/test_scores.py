"""Each metric against scikit-learn, and against a plain-Python definition that goes cell by cell."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from making import as_json
from tagfit.errors import DataError
from tagfit.metrics import scores as metrics
from tagfit.metrics.scores import count_left_out, score, score_decisions, score_one
from tagfit.records.data import NO, UNKNOWN, YES
from tagfit.records.scores import LOWER_IS_BETTER, METRICS

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"

# ------------------------------------------------------------------------------------------- reference
# Rows are lists of (label, probability, decision) of the known cells: no arrays, no sorting, nothing shared.


def _mean(values):
    values = list(values)
    return math.fsum(values) / len(values) if values else None


def _f1(cells):
    both = sum(y and d for y, _, d in cells)
    either = sum(bool(y) + d for y, _, d in cells)
    return 2 * both / either if either else 1.0


def _jaccard(cells):
    union = sum(bool(y or d) for y, _, d in cells)
    return sum(bool(y and d) for y, _, d in cells) / union if union else 1.0


def _down_to(cells, p):
    return [y for y, q, _ in cells if q >= p]


def _average_precision(cells):
    return _mean(sum(_down_to(cells, p)) / len(_down_to(cells, p)) for y, p, _ in cells if y)


def _ranking_loss(cells):
    pairs = [(p, q) for y, p, _ in cells if y for z, q, _ in cells if not z]
    return _mean(q >= p for p, q in pairs)


def _coverage(cells):
    return max((len(_down_to(cells, p)) for y, p, _ in cells if y), default=0)


def _one_error(cells):
    top = max(p for _, p, _ in cells)
    return not all(y for y, p, _ in cells if p == top)


def _keras(cells, n_labels):
    if n_labels == 1:
        return (cells[0][1] > 0.5) == bool(cells[0][0])
    labels, probabilities = [y for y, _, _ in cells], [p for _, p, _ in cells]
    return labels.index(max(labels)) == probabilities.index(max(probabilities))


def _log_loss(cells):
    clipped = [(y, min(max(p, 1e-7), 1 - 1e-7)) for y, p, _ in cells]
    return _mean(-math.log(p if y else 1 - p) for y, p in clipped)


def _ece(cells):
    bins = {}
    for y, p, _ in cells:
        bins.setdefault(min(math.floor(p * 15), 14), []).append((y, p))
    gaps = (len(b) * abs(_mean(p for _, p in b) - _mean(y for y, _ in b)) for b in bins.values())
    return math.fsum(gaps) / len(cells) if cells else None


def reference(labels, probabilities, decisions=None):
    """All metrics and what each leaves out, from lists of lists."""
    decisions = [[p > 0.5 for p in row] for row in probabilities] if decisions is None else decisions
    rows = [
        [cell for cell in zip(ys, ps, ds, strict=True) if cell[0] != UNKNOWN]
        for ys, ps, ds in zip(labels, probabilities, decisions, strict=True)
    ]
    n_labels = len(labels[0]) if labels else 0
    columns = [
        [(ys[j], ps[j], ds[j]) for ys, ps, ds in zip(labels, probabilities, decisions, strict=True) if ys[j] != UNKNOWN]
        for j in range(n_labels)
    ]
    cells = list(itertools.chain.from_iterable(rows))
    judged = [row for row in rows if row]
    with_yes = [row for row in rows if any(y for y, _, _ in row)]
    with_both = [row for row in with_yes if not all(y for y, _, _ in row)]
    columns_with_yes = [column for column in columns if any(y for y, _, _ in column)]
    accuracy = _mean(bool(y) == d for y, _, d in cells)
    values = {
        "keras_accuracy": _mean(_keras(row, n_labels) for row in judged),
        "label_accuracy": accuracy,
        "subset_accuracy": _mean(all(bool(y) == d for y, _, d in row) for row in judged),
        "jaccard": _mean(map(_jaccard, judged)),
        "micro_f1": _f1(cells) if any(y or d for y, _, d in cells) else None,
        "macro_f1": _mean(map(_f1, columns_with_yes)),
        "sample_f1": _mean(map(_f1, judged)),
        "hamming_loss": None if accuracy is None else 1 - accuracy,
        "ranking_loss": _mean(_ranking_loss(row) if row in with_both else 0.0 for row in judged),
        "coverage_error": _mean(map(_coverage, judged)),
        "one_error": _mean(map(_one_error, with_yes)),
        "lrap": _mean(_average_precision(row) if row in with_yes else 1.0 for row in judged),
        "map": _mean(map(_average_precision, columns_with_yes)),
        "micro_ap": _average_precision(cells),
        "log_loss": _log_loss(cells),
        "ece": _ece(cells),
    }
    n = len(rows)
    left_out = dict.fromkeys(
        ("keras_accuracy", "subset_accuracy", "jaccard", "sample_f1", "coverage_error", "ranking_loss", "lrap"),
        n - len(judged),
    )
    left_out["one_error"] = n - len(with_yes)
    left_out |= dict.fromkeys(("macro_f1", "map"), n_labels - len(columns_with_yes))
    return values, {name: count for name, count in left_out.items() if count}


def assert_scores(scores, values):
    for name, value in values.items():
        if value is None:
            assert getattr(scores, name) is None, name
        else:
            assert getattr(scores, name) == pytest.approx(value, rel=1e-9, abs=1e-12), name


def assert_as_reference(labels, probabilities):
    values, left_out = reference(labels.tolist(), probabilities.tolist())
    assert_scores(score(labels, probabilities), values)
    assert count_left_out(labels, probabilities) == left_out


# ------------------------------------------------------------------------------------------ strategies

#: ties, the threshold, both ends, a bin's edge and what lies outside the clip
LEVELS = (0.0, -0.0, 1e-9, 0.2, 1 / 3, 0.5, np.nextafter(0.5, 1), 0.9, 1 - 1e-9, 1.0)


@st.composite
def parts(draw, values=(NO, YES, UNKNOWN), min_labels=1, min_rows=1):
    """Labels and probabilities of one part, often with ties."""
    N, L = draw(st.integers(min_rows, 7)), draw(st.integers(min_labels, 5))
    probability = draw(st.sampled_from([st.sampled_from(LEVELS), st.floats(0, 1)]))
    labels = draw(st.lists(st.lists(st.sampled_from(values), min_size=L, max_size=L), min_size=N, max_size=N))
    probabilities = draw(st.lists(st.lists(probability, min_size=L, max_size=L), min_size=N, max_size=N))
    return np.array(labels, dtype=np.int8), np.array(probabilities)


def random_part(seed, N=200, L=6, density=0.3, unknown=0.0):
    random = np.random.default_rng(seed)
    labels = (random.random((N, L)) < density).astype(np.int8)
    labels[random.random((N, L)) < unknown] = UNKNOWN
    return labels, np.clip(0.3 * labels + random.random((N, L)).round(2) * 0.7, 0, 1)


# ------------------------------------------------------------------------------- against the reference


class TestReference:
    @given(parts())
    def test_every_metric_with_unknown_cells(self, part):
        assert_as_reference(*part)

    @given(parts(), st.randoms(use_true_random=False))
    def test_decisions_of_something_else_than_one_half(self, part, random):
        labels, probabilities = part
        decisions = np.array([[random.random() < 0.5 for _ in row] for row in labels])
        expected, _ = reference(labels.tolist(), probabilities.tolist(), decisions.tolist())
        assert_scores(score_decisions(labels, decisions, probabilities), expected)

    @pytest.mark.parametrize("unknown", [0.0, 0.3, 0.95])
    @pytest.mark.parametrize("shape", [(60, 1), (1, 8), (40, 12)])
    def test_larger_parts(self, shape, unknown):
        assert_as_reference(*random_part(1, *shape, unknown=unknown))

    @pytest.mark.parametrize("value", [NO, YES, UNKNOWN])
    def test_parts_of_one_value(self, value):
        assert_as_reference(np.full((4, 3), value, dtype=np.int8), np.random.default_rng(0).random((4, 3)))

    def test_work_in_blocks_changes_nothing(self, monkeypatch):
        labels, probabilities = random_part(2, unknown=0.1)
        whole = score(labels, probabilities)
        monkeypatch.setattr(metrics, "_CELLS_A_BLOCK", 50)
        assert_scores(score(labels, probabilities), as_json(whole))

    def test_a_part_larger_than_a_block(self):
        labels, probabilities = random_part(3, N=metrics._CELLS_A_BLOCK // 4 + 7, L=5)
        halves = [score(labels[rows], probabilities[rows]) for rows in (slice(None, 100_000), slice(100_000, None))]
        whole = score(labels, probabilities)
        for name in ("jaccard", "coverage_error", "log_loss", "keras_accuracy"):
            parts_mean = np.average([getattr(half, name) for half in halves], weights=[100_000, len(labels) - 100_000])
            assert getattr(whole, name) == pytest.approx(parts_mean)


# ------------------------------------------------------------------------------- against scikit-learn


def sklearn_anywhere(labels, probabilities):
    """The metrics on which scikit-learn agrees for all rows and labels."""
    decided = (probabilities > 0.5).astype(int)
    occurring = np.flatnonzero(labels.any(axis=0))
    values = {
        "label_accuracy": sklearn.metrics.accuracy_score(labels.ravel(), decided.ravel()),
        "subset_accuracy": sklearn.metrics.accuracy_score(labels, decided),
        "hamming_loss": sklearn.metrics.hamming_loss(labels, decided),
        "jaccard": sklearn.metrics.jaccard_score(labels, decided, average="samples", zero_division=1),
        "sample_f1": sklearn.metrics.f1_score(labels, decided, average="samples", zero_division=1),
        "coverage_error": sklearn.metrics.coverage_error(labels, probabilities),
        "log_loss": sklearn.metrics.log_loss(labels.ravel(), probabilities.clip(1e-7, 1 - 1e-7).ravel(), labels=[0, 1]),
    }
    if labels.any() or decided.any():
        values["micro_f1"] = sklearn.metrics.f1_score(labels, decided, average="micro", zero_division=0)
    if labels.any():
        values["macro_f1"] = sklearn.metrics.f1_score(labels, decided, average="macro", labels=occurring)
        ap = sklearn.metrics.average_precision_score
        values["map"] = ap(labels[:, occurring], probabilities[:, occurring], average="macro")
        values["micro_ap"] = ap(labels.ravel(), probabilities.ravel())
    if labels.shape[1] > 1:
        values["lrap"] = sklearn.metrics.label_ranking_average_precision_score(labels, probabilities)
        values["ranking_loss"] = sklearn.metrics.label_ranking_loss(labels, probabilities)
    return values


class TestScikitLearn:
    @given(parts(values=(NO, YES), min_labels=2))
    def test_degenerate_parts(self, part):
        assert_scores(score(*part), sklearn_anywhere(*part))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("density", [0.02, 0.3, 0.9])
    def test_random_parts(self, density, dtype):
        labels, probabilities = random_part(4, N=300, L=7, density=density)
        probabilities = probabilities.astype(dtype)
        wide = probabilities.astype(np.float64)
        assert_scores(score(labels, probabilities), sklearn_anywhere(labels, wide))

    def test_where_no_row_is_degenerate_nothing_is_left_out(self):
        labels, probabilities = random_part(5)
        proper = labels.any(axis=1) & ~labels.all(axis=1)
        labels, probabilities = labels[proper], probabilities[proper]
        scores = score(labels, probabilities)
        assert count_left_out(labels, probabilities) == {}
        assert scores.lrap == pytest.approx(
            sklearn.metrics.label_ranking_average_precision_score(labels, probabilities)
        )
        assert scores.ranking_loss == pytest.approx(sklearn.metrics.label_ranking_loss(labels, probabilities))
        assert scores.macro_f1 == pytest.approx(
            sklearn.metrics.f1_score(labels, probabilities > 0.5, average="macro", zero_division=0)
        )
        assert scores.map == pytest.approx(sklearn.metrics.average_precision_score(labels, probabilities))

    def test_an_unknown_row_is_as_if_it_were_not_there(self):
        labels, probabilities = random_part(6)
        masked = labels.copy()
        masked[::3] = UNKNOWN
        kept = np.arange(len(labels)) % 3 != 0
        assert_scores(score(masked, probabilities), sklearn_anywhere(labels[kept], probabilities[kept]))

    def test_an_unknown_label_is_as_if_it_were_not_there(self):
        labels, probabilities = random_part(7)
        masked = labels.copy()
        masked[:, 2] = UNKNOWN
        rest = np.arange(labels.shape[1]) != 2
        assert_scores(score(masked, probabilities), sklearn_anywhere(labels[:, rest], probabilities[:, rest]))


# ------------------------------------------------------------------------------------------- choices


def test_one_metric_alone_is_that_of_all_together():
    labels, probabilities = random_part(11)
    scores = score(labels, probabilities)
    for metric in METRICS:
        assert score_one(metric, labels, probabilities) == getattr(scores, metric)


class TestChoices:
    def test_exactly_one_half_is_no(self):
        assert score(np.array([[YES, NO]]), np.array([[0.5, 0.5]])).micro_f1 == 0

    def test_keras_takes_the_first_of_equals_and_index_0_of_an_empty_row(self):
        labels = np.array([[NO, NO, NO], [NO, NO, NO], [NO, YES, YES], [NO, YES, YES]])
        probabilities = np.array([[0.4, 0.4, 0.1], [0.1, 0.4, 0.4], [0.2, 0.3, 0.3], [0.1, 0.2, 0.9]])
        assert score(labels, probabilities).keras_accuracy == 0.5

    def test_keras_reports_binary_accuracy_of_a_single_label(self):
        scores = score(np.array([[YES], [NO], [NO]]), np.array([[0.4], [0.6], [0.5]]))
        assert scores.keras_accuracy == scores.label_accuracy == pytest.approx(1 / 3)

    def test_unknown_cells_take_no_part_in_the_argmax(self):
        labels = np.array([[UNKNOWN, NO, YES]])
        assert score(labels, np.array([[0.9, 0.1, 0.2]])).keras_accuracy == 1

    def test_a_top_that_ties_with_a_wrong_label_is_an_error(self):
        labels = np.array([[YES, NO], [NO, YES]])
        assert score(labels, np.full((2, 2), 0.7)).one_error == 1

    def test_both_empty_counts_one_and_a_ranking_of_nothing_is_without_fault(self):
        labels = np.array([[NO, NO], [NO, YES]])
        probabilities = np.array([[0.1, 0.2], [0.7, 0.1]])
        scores = score(labels, probabilities)
        assert (scores.jaccard, scores.sample_f1) == (0.5, 0.5)
        assert (scores.lrap, scores.ranking_loss, scores.one_error) == (0.75, 0.5, 1)
        assert scores.coverage_error == 1
        assert count_left_out(labels, probabilities) == {"one_error": 1, "macro_f1": 1, "map": 1}

    def test_a_label_without_a_yes_is_left_out_of_the_means_over_labels(self):
        labels = np.array([[YES, NO], [NO, NO]])
        probabilities = np.array([[0.9, 0.9], [0.1, 0.9]])
        scores, left_out = score(labels, probabilities), count_left_out(labels, probabilities)
        assert (scores.macro_f1, scores.map) == (1, 1)
        assert (left_out["macro_f1"], left_out["map"]) == (1, 1)

    def test_micro_f1_is_0_where_only_the_answers_say_yes_and_null_where_nothing_does(self):
        labels = np.zeros((2, 2), dtype=np.int8)
        assert score(labels, np.full((2, 2), 0.9)).micro_f1 == 0
        assert score(labels, np.full((2, 2), 0.1)).micro_f1 is None

    @pytest.mark.parametrize(("n", "left_out"), [(0, 0), (3, 3)])
    def test_without_a_known_cell_everything_is_null(self, n, left_out):
        labels, probabilities = np.full((n, 2), UNKNOWN, dtype=np.int8), np.full((n, 2), 0.3)
        assert set(as_json(score(labels, probabilities)).values()) == {None}
        counts = count_left_out(labels, probabilities)
        assert counts.get("jaccard", 0) == left_out
        assert counts["macro_f1"] == 2

    def test_the_log_loss_is_clipped(self):
        scores = score(np.array([[YES, NO]]), np.array([[0.0, 1.0]]))
        assert scores.log_loss == pytest.approx(-math.log(1e-7))

    def test_an_ece_bin_holds_its_lower_edge_and_the_last_one_both(self):
        # the bins from 6/15 and 9/15 on: one cell each
        apart = score(np.array([[YES, NO]]), np.array([[0.4, 0.6]])).ece
        assert apart == pytest.approx(0.6)
        # 14/15 and 1 share the last bin, where too high and too low cancel
        together = score(np.array([[YES, YES, NO]]), np.array([[14.01 / 15, 1.0, 0.0]])).ece
        assert together == pytest.approx(0.99 / 15 / 3)

    def test_better_is_better(self):
        labels, probabilities = random_part(8)
        best, worse = score(labels, labels.astype(float)), score(labels, probabilities)
        for name in METRICS:
            better = min if name in LOWER_IS_BETTER else max
            assert better(getattr(best, name), getattr(worse, name)) == getattr(best, name), name


class TestInvariance:
    @given(parts(), st.floats(0, 1))
    def test_the_probability_of_an_unknown_cell_is_nothing_to_anyone(self, part, other):
        labels, probabilities = part
        changed = np.where(labels == UNKNOWN, other, probabilities)
        assert score(labels, probabilities) == score(labels, changed)

    @given(parts(min_labels=2))
    def test_the_order_of_rows_and_labels_is_nothing_to_any_but_keras(self, part):
        labels, probabilities = (array[::-1, ::-1] for array in part)
        expected = as_json(score(*part))
        del expected["keras_accuracy"]
        assert_scores(score(labels, probabilities), expected)

    @given(parts())
    def test_float32_and_float64_of_the_same_values_score_alike(self, part):
        labels, narrow = part[0], part[1].astype(np.float32)
        assert score(labels, narrow) == score(labels, narrow.astype(np.float64))

    def test_half_precision_bool_labels_and_transposed_memory_are_read(self):
        labels, probabilities = random_part(9)
        half = probabilities.astype(np.float16)
        expected = score(labels, half.astype(np.float32))
        assert score(labels == YES, half) == expected
        assert score(np.asfortranarray(labels), np.asfortranarray(half)) == expected

    def test_the_inputs_stay_as_they_are(self):
        labels, probabilities = random_part(10, unknown=0.2)
        before = labels.copy(), probabilities.copy()
        score(labels, probabilities)
        np.testing.assert_array_equal(labels, before[0])
        np.testing.assert_array_equal(probabilities, before[1])


class TestErrors:
    @pytest.mark.parametrize(
        ("labels", "probabilities", "message"),
        [
            (np.zeros((2, 3), int), np.zeros((2, 2)), r"shape of the labels, \(2, 3\); got \(2, 2\)"),
            (np.zeros(3, int), np.zeros(3), r"\(samples, labels\).*got shape \(3,\)"),
            (np.zeros((3, 0), int), np.zeros((3, 0)), "at least one label"),
            (np.full((1, 1), 2), np.zeros((1, 1)), "values from 2 to 2"),
            (np.full((1, 1), -2), np.zeros((1, 1)), "values from -2"),
            (np.zeros((1, 1)), np.zeros((1, 1)), "labels must be integers; got float64"),
            (np.zeros((1, 1), int), np.full((1, 1), np.nan), "from 0 to 1; got values from nan"),
            (np.zeros((1, 1), int), np.full((1, 1), 1.5), "from 0 to 1; got values from 1.5"),
            (np.zeros((1, 1), int), np.full((1, 1), -0.1), "from 0 to 1; got values from -0.1"),
            (np.zeros((1, 1), int), np.zeros((1, 1), int), "probabilities must be floats; got int64"),
        ],
    )
    def test_what_cannot_be_scored_says_why(self, labels, probabilities, message):
        with pytest.raises(DataError, match=message):
            score(labels, probabilities)

    @pytest.mark.parametrize("decisions", [np.zeros((1, 2), int), np.zeros((2, 1), bool)])
    def test_decisions_are_bool_of_the_same_shape(self, decisions):
        with pytest.raises(DataError, match=r"decisions must be bool of shape \(1, 2\)"):
            score_decisions(np.zeros((1, 2), np.int8), decisions, np.zeros((1, 2)))


class TestDocumentation:
    def test_the_table_defines_every_metric_in_order(self):
        assert re.findall(r"^\| `(\w+)` \|", DOCS.read_text("utf-8").split("## The constant baseline")[0], re.M) == [
            *METRICS
        ]

    def test_the_constants_are_those_of_the_code(self):
        text = DOCS.read_text("utf-8")
        assert f"p > {metrics.THRESHOLD}" in text
        assert f"{metrics.BINS} bins" in text
        assert f"[{metrics.CLIP:.0e}".replace("e-07", "e-7") in text
