import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import average_precision_score, f1_score

from making import answers
from tagfit.metrics.intervals import Answers
from tagfit.records.data import NO, UNKNOWN, YES
from tagfit.report import labels as labels_module
from tagfit.report.labels import Confused, label_reliability, label_scores, precision_recall, together


def saved(labels_NL, scores_NL):
    return Answers(labels_NL, scores_NL, scores_NL > 0.5)


def test_scores_are_those_of_scikit_learn():
    labels_NL, scores_NL = answers(samples=400, labels=5, wrong=0.25, sure=0.6)
    scores_NL = np.round(scores_NL, 2)  # ties
    rows = label_scores(saved(labels_NL, scores_NL), np.arange(400))
    expected = average_precision_score(labels_NL, scores_NL, average=None)
    assert [row.average_precision for row in rows] == pytest.approx(expected)
    assert [row.f1 for row in rows] == pytest.approx(f1_score(labels_NL, scores_NL > 0.5, average=None))
    for row in rows:
        assert row.interval.low < row.f1 < row.interval.high
        assert row.f1 == pytest.approx(2 * row.precision * row.recall / (row.precision + row.recall))


def test_intervals_of_labels_hold_the_truth():
    """The F1 of a label on 100,000 samples lies in the intervals of small draws of them, about as often as said."""
    labels_NL, scores_NL = answers(samples=100_000, labels=2, wrong=0.2, share=0.3)
    truth = [row.f1 for row in label_scores(saved(labels_NL, scores_NL), np.arange(100_000), sure=False)]
    rng, held = np.random.default_rng(1), []
    for _ in range(60):
        rows = rng.choice(100_000, size=200, replace=False)
        found = label_scores(saved(labels_NL[rows], scores_NL[rows]), np.arange(200))
        held += [f1 in row.interval for row, f1 in zip(found, truth, strict=True)]
    assert 0.88 <= np.mean(held) <= 1


def test_what_belongs_together_is_drawn_together():
    labels_NL, scores_NL = (np.repeat(one, 10, axis=0) for one in answers(samples=40, labels=1, wrong=0.3))
    alone, grouped = (
        label_scores(saved(labels_NL, scores_NL), groups)[0].interval
        for groups in (np.arange(400), np.arange(400) // 10)
    )
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


@given(
    arrays.arrays(
        np.int8, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.sampled_from([YES, NO, UNKNOWN])
    ),
    st.integers(0, 1000),
)
def test_any_labels_have_scores(labels_NL, seed):
    scores_NL = np.random.default_rng(seed).integers(0, 4, size=labels_NL.shape).astype(np.float32) / 3
    for row, labels_N in zip(
        label_scores(saved(labels_NL, scores_NL), np.arange(len(labels_NL))), labels_NL.T, strict=True
    ):
        assert row.yes == (labels_N == YES).sum()
        assert (row.f1 is None) == (row.average_precision is None) == (row.yes == 0)
        for value in (row.precision, row.recall, row.f1, row.average_precision):
            assert value is None or 0 <= value <= 1
    pairs, every_L = Confused.of(saved(labels_NL, scores_NL)), np.arange(labels_NL.shape[1])
    assert (pairs.counts(every_L, every_L) <= pairs.misses_L[:, None]).all()
    assert (np.nan_to_num(together(labels_NL)) <= 1).all()


def test_unknown_cells_count_neither_way():
    labels_N = np.array([YES, UNKNOWN, NO, YES, UNKNOWN], dtype=np.int8)
    scores_N = np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    recall_K, precision_K = precision_recall(labels_N, scores_N)
    assert recall_K.tolist() == [0.5, 0.5, 1.0]
    assert precision_K == pytest.approx([1, 1 / 2, 2 / 3])
    assert sum(one.count for one in label_reliability(labels_N, scores_N)) == 3


def test_confusions_count_what_was_given_where_something_else_was_missed():
    labels_NL = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, -1]], dtype=np.int8)
    scores_NL = np.array([[0.1, 0.9, 0.1], [0.1, 0.9, 0.9], [0.1, 0.9, 0.9], [0.9, 0.9, 0.9]])
    pairs = Confused.of(saved(labels_NL, scores_NL))
    assert pairs.counts(np.arange(3), np.arange(3)).tolist() == [[0, 2, 2], [0, 0, 0], [0, 0, 0]]
    assert pairs.misses_L.tolist() == [3, 0, 0]
    assert pairs.most(12) == [(0, 1, 2), (0, 2, 2)]


def test_pairs_counted_in_blocks_come_in_the_order_of_all_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    labels_NL = rng.choice(np.array([YES, NO, UNKNOWN], dtype=np.int8), size=(40, 30), p=[0.3, 0.6, 0.1])
    pairs, every_L = Confused.of(saved(labels_NL, rng.random(labels_NL.shape))), np.arange(30)
    counts_LL = pairs.counts(every_L, every_L)
    order = np.argsort(-counts_LL, axis=None, kind="stable")[:12]
    whole = [(number // 30, number % 30, int(counts_LL.ravel()[number])) for number in order.tolist()]
    for block in (1 << 22, 100, 1):
        monkeypatch.setattr(labels_module, "_PAIRS_A_BLOCK", block)
        assert pairs.most(12) == whole


def test_occurrence_is_of_the_samples_that_have_the_first():
    labels_NL = np.array([[1, 1], [1, 0], [1, -1], [0, 1]], dtype=np.int8)
    assert together(labels_NL).tolist() == [[1.0, 0.5], [0.5, 1.0]]
