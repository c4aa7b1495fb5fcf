"""The constant baseline against every other constant baseline there is, where it is said to be the best."""

from __future__ import annotations

import itertools
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tagfit.errors import BundleError, DataError
from tagfit.io.typed_json import from_plain, to_plain
from tagfit.metrics import baselines as constant
from tagfit.metrics.baselines import RANKING_METRICS, SET_METRICS, ConstantBaseline
from tagfit.metrics.scores import (
    DECISION_METRICS,
    PRECISION_METRICS,
    PROBABILITY_METRICS,
    ROW_RANKING_METRICS,
    score,
    score_decisions,
)
from tagfit.records.data import NO, UNKNOWN, YES
from tagfit.records.scores import LOWER_IS_BETTER, METRICS

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


@st.composite
def label_tables(draw, values=(NO, YES, UNKNOWN), max_labels=4):
    N, L = draw(st.integers(1, 8)), draw(st.integers(1, max_labels))
    rows = st.lists(st.sampled_from(values), min_size=L, max_size=L)
    labels = np.array(draw(st.lists(rows, min_size=N, max_size=N)), dtype=np.int8)
    assume((labels != UNKNOWN).any())
    return labels


known_tables = label_tables(values=(NO, YES))


def of_set(labels, answer):
    """The scores of always answering one label set."""
    decisions = np.broadcast_to(answer, labels.shape)
    return score_decisions(labels, decisions, decisions.astype(float))


def of_ranking(labels, levels):
    """The scores of always answering one ranking, given as whole numbers that may tie."""
    return score(labels, np.broadcast_to(np.array(levels) / labels.shape[1], labels.shape))


def all_sets(labels):
    return [np.array(bits) for bits in itertools.product([False, True], repeat=labels.shape[1])]


def all_rankings(labels):
    L = labels.shape[1]
    return itertools.product(range(L), repeat=L)


def best(name, every):
    values = [value for scores in every if (value := getattr(scores, name)) is not None]
    return (min if name in LOWER_IS_BETTER else max)(values, default=None)


def correlated(seed, N=400, L=12, unknown=0.0):
    """Rows near a few prototypes."""
    random = np.random.default_rng(seed)
    rows = (random.random((5, L)) < 0.3)[random.integers(0, 5, N)] ^ (random.random((N, L)) < 0.1)
    labels = rows.astype(np.int8)
    labels[random.random((N, L)) < unknown] = UNKNOWN
    return labels


class TestBest:
    """On the labels it was chosen on, no other constant baseline scores higher."""

    @given(label_tables())
    def test_label_sets_with_unknown_cells(self, labels):
        scores, every = ConstantBaseline.choose(labels).score(labels), [of_set(labels, s) for s in all_sets(labels)]
        for name in ("label_accuracy", "hamming_loss", "macro_f1"):
            assert getattr(scores, name) == pytest.approx(best(name, every)), name
        # where nothing is yes, only the empty set has no micro-F1, and any other has 0
        assert (scores.micro_f1 or 0) == pytest.approx(best("micro_f1", every) or 0)

    @given(known_tables)
    def test_the_commonest_row(self, labels):
        every = [of_set(labels, s) for s in all_sets(labels)]
        scores = ConstantBaseline.choose(labels).score(labels)
        assert scores.subset_accuracy == pytest.approx(best("subset_accuracy", every))

    @given(label_tables())
    def test_the_one_label_that_keras_is_shown(self, labels):
        L = labels.shape[1]
        tops = [np.arange(L) == k for k in range(L)] if L > 1 else all_sets(labels)
        scores = ConstantBaseline.choose(labels).score(labels)
        assert scores.keras_accuracy == pytest.approx(best("keras_accuracy", [of_set(labels, t) for t in tops]))

    @given(known_tables)
    def test_rankings(self, labels):
        every = [of_ranking(labels, levels) for levels in all_rankings(labels)]
        scores = ConstantBaseline.choose(labels).score(labels)
        for name in ("ranking_loss", "one_error", *PRECISION_METRICS):
            assert getattr(scores, name) == pytest.approx(best(name, every)), name

    @given(label_tables(), st.integers(0, 2**32 - 1))
    def test_probabilities_with_unknown_cells(self, labels, seed):
        answer = ConstantBaseline.choose(labels)
        scores = answer.score(labels)
        assert scores.ece == pytest.approx(0, abs=1e-12)
        other = np.random.default_rng(seed).random(labels.shape[1])
        for toward in (1.0, 0.1, 0.001):
            moved = np.array(answer.frequencies) * (1 - toward) + other * toward
            assert scores.log_loss <= score(labels, np.broadcast_to(moved, labels.shape)).log_loss + 1e-12


class TestGoodEnough:
    """What is searched among candidates is at least as good as the obvious answers."""

    @given(label_tables(max_labels=5))
    def test_sets_of_frequent_labels_and_single_rows(self, labels):
        answer = ConstantBaseline.choose(labels)
        scores, order = answer.score(labels), answer.rankings["micro_ap"]
        for n in range(len(order) + 1):
            other = of_set(labels, np.isin(np.arange(len(order)), order[:n]))
            for name in ("jaccard", "sample_f1", "subset_accuracy"):
                assert getattr(scores, name) >= getattr(other, name) - 1e-12
        for row in labels[(labels != UNKNOWN).all(axis=1)]:
            assert scores.jaccard >= of_set(labels, row == YES).jaccard - 1e-12

    @given(label_tables())
    def test_the_ranking_by_frequency(self, labels):
        answer = ConstantBaseline.choose(labels)
        frequency = np.argsort(np.argsort(-np.array(answer.frequencies), kind="stable"))
        scores, plain = answer.score(labels), of_ranking(labels, labels.shape[1] - 1 - frequency)
        for name in ROW_RANKING_METRICS:
            better = min if name in LOWER_IS_BETTER else max
            mine, other = getattr(scores, name) or 0, getattr(plain, name) or 0
            assert better(mine, other) == pytest.approx(mine), name

    def test_the_coverage_is_not_answered_by_frequency_where_labels_come_together(self):
        # whoever needs a needs b too: the rarer c costs less on top than below both
        labels = np.array([[1, 1, 0]] * 3 + [[0, 0, 1]] * 2, dtype=np.int8)
        every = [of_ranking(labels, levels) for levels in all_rankings(labels)]
        answer = ConstantBaseline.choose(labels)
        assert answer.rankings["coverage_error"] == (2, 0, 1)
        assert answer.score(labels).coverage_error == pytest.approx(best("coverage_error", every))


class TestAnswers:
    def test_a_hand_made_example(self):
        labels = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, UNKNOWN]], dtype=np.int8)
        answer = ConstantBaseline.choose(labels)
        assert answer.frequencies == (0.75, 0.5, 0)
        assert answer.sets["label_accuracy"] == answer.sets["hamming_loss"] == answer.sets["keras_accuracy"] == (0,)
        assert answer.sets["micro_f1"] == answer.sets["macro_f1"] == answer.sets["subset_accuracy"] == (0, 1)
        assert answer.rankings["micro_ap"] == (0, 1, 2)

    def test_unknown_is_never_read_as_no(self):
        labels = np.array([[1, UNKNOWN], [0, 1], [0, UNKNOWN]], dtype=np.int8)
        answer = ConstantBaseline.choose(labels)
        assert answer.frequencies == (1 / 3, 1)
        assert answer.sets["label_accuracy"] == (1,)

    def test_a_label_that_train_says_nothing_about_is_as_frequent_as_labels_are(self):
        labels = np.array([[1, 0, UNKNOWN], [0, 0, UNKNOWN]], dtype=np.int8)
        assert ConstantBaseline.choose(labels).frequencies == (0.5, 0, 0.25)

    def test_where_nothing_is_yes_the_answer_is_nothing(self):
        answer = ConstantBaseline.choose(np.zeros((3, 4), np.int8))
        assert {answer.sets[name] for name in DECISION_METRICS} == {()}
        scores = answer.score(np.zeros((3, 4), np.int8))
        assert (scores.jaccard, scores.micro_f1, scores.lrap, scores.one_error) == (1, None, 1, None)

    def test_every_ranking_holds_every_label_once(self):
        answer = ConstantBaseline.choose(correlated(0, unknown=0.2))
        for order in answer.rankings.values():
            assert sorted(order) == list(range(12))

    @pytest.mark.parametrize("unknown", [0.0, 0.2])
    def test_work_in_blocks_changes_nothing(self, monkeypatch, unknown):
        labels = correlated(1, unknown=unknown)
        whole = ConstantBaseline.choose(labels)
        monkeypatch.setattr(constant, "_CELLS_A_BLOCK", 500)
        assert ConstantBaseline.choose(labels) == whole

    def test_it_needs_a_known_label(self):
        for nothing in (np.full((3, 2), UNKNOWN, np.int8), np.zeros((0, 2), np.int8)):
            with pytest.raises(DataError, match="at least one known label"):
                ConstantBaseline.choose(nothing)


class TestScore:
    """Later data is scored by the metrics' own code."""

    @pytest.mark.parametrize("unknown", [0.0, 0.3])
    def test_each_metric_is_of_the_answer_chosen_for_it(self, unknown):
        answer, later = ConstantBaseline.choose(correlated(2)), correlated(3, unknown=unknown)
        scores, L = answer.score(later), later.shape[1]
        for name in SET_METRICS:
            expected = of_set(later, np.isin(np.arange(L), answer.sets[name]))
            assert getattr(scores, name) == getattr(expected, name)
        for name in RANKING_METRICS:
            expected = of_ranking(later, L - np.argsort(answer.rankings[name]))
            assert getattr(scores, name) == pytest.approx(getattr(expected, name))
        expected = score(later, np.broadcast_to(answer.frequencies, later.shape))
        for name in PROBABILITY_METRICS:
            assert getattr(scores, name) == getattr(expected, name)
        assert {*SET_METRICS, *RANKING_METRICS, *PROBABILITY_METRICS} == {*METRICS}

    def test_no_rows_have_no_scores(self):
        scores = ConstantBaseline.choose(correlated(4)).score(np.zeros((0, 12), np.int8))
        assert {scores[name] for name in METRICS} == {None}

    def test_another_number_of_labels_is_refused(self):
        with pytest.raises(DataError, match="for 12 labels; the data has 3"):
            ConstantBaseline.choose(correlated(5)).score(np.zeros((2, 3), np.int8))


class TestStored:
    def test_json_there_and_back(self):
        answer = ConstantBaseline.choose(correlated(6, unknown=0.1))
        again = from_plain(json.loads(json.dumps(to_plain(answer), allow_nan=False)), ConstantBaseline, surplus=False)
        assert again == answer
        assert again.score(correlated(7)) == answer.score(correlated(7))
        assert pickle.loads(pickle.dumps(answer)) == answer

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda v: v.pop("sets"), "sets is missing"),
            (lambda v: v.update(more=1), "no field 'more'; known: sets, rankings, frequencies"),
            (lambda v: v["sets"].pop("jaccard"), "sets must be of keras_accuracy, .*, jaccard, "),
            (lambda v: v["sets"].update(x=[]), "sets must be of keras_accuracy"),
            (lambda v: v.update(rankings=[]), "rankings must be an object"),
            (lambda v: v.update(rankings={}), "rankings must be of ranking_loss"),
            (lambda v: v["sets"].update(jaccard=[3]), "sets.jaccard must be different label indexes below 3"),
            (lambda v: v["sets"].update(jaccard=[-1]), "sets.jaccard"),
            (lambda v: v["sets"].update(jaccard=[True]), "sets.jaccard"),
            (lambda v: v["sets"].update(jaccard=[1, 1]), "sets.jaccard"),
            (lambda v: v["sets"].update(jaccard="01"), "sets.jaccard"),
            (lambda v: v["rankings"].update(lrap=[0, 1]), "rankings.lrap must be all 3 label indexes"),
            (lambda v: v.update(frequencies=[]), "frequencies must be a list of fractions, one a label"),
            (lambda v: v.update(frequencies=[0.5, 0.5, 1.5]), "a fraction from 0 to 1"),
            (lambda v: v.update(frequencies=[0.5, 0.5, float("nan")]), "a fraction from 0 to 1"),
            (lambda v: v.update(frequencies=[0.5, 0.5, "0"]), "a fraction from 0 to 1"),
        ],
    )
    def test_what_was_tampered_with_is_refused(self, spoil, message):
        values = to_plain(ConstantBaseline.choose(np.array([[1, 0, 0], [1, 1, 0]], np.int8)))
        spoil(values)
        with pytest.raises(BundleError, match=message):
            from_plain(values, ConstantBaseline, surplus=False)

    def test_no_mapping_at_all_is_refused_and_all_faults_are_told(self):
        with pytest.raises(BundleError):
            from_plain([], ConstantBaseline)
        for wrong in ({"jaccard": ["9"], "micro_f1": None}, {"jaccard": [9], "micro_f1": [0, 0]}):
            values = to_plain(ConstantBaseline.choose(np.array([[1, 0]], np.int8)))
            values["sets"] |= wrong
            with pytest.raises(BundleError) as told:
                from_plain(values, ConstantBaseline)
            assert len(told.value.faults) == 2


def test_the_docs_tell_the_answer_for_every_metric():
    section = DOCS.read_text("utf-8").split("## The constant baseline")[1]
    told = [name for line in re.findall(r"^\| (`.*?) \|", section, re.M) for name in re.findall(r"`(\w+)`", line)]
    assert sorted(told) == sorted(METRICS)
    assert f"{constant.COMMON_SETS} commonest" in section


@given(label_tables(), label_tables())
def test_its_answers_score_what_it_scores(train_NL, labels_NL):
    assume(train_NL.shape[1] == labels_NL.shape[1])
    chosen = ConstantBaseline.choose(train_NL)
    for metric in METRICS:
        p_NL, decisions_NL = chosen.answers(metric, len(labels_NL))
        scored = getattr(score_decisions(labels_NL, decisions_NL, p_NL), metric)
        assert scored == pytest.approx(getattr(chosen.score(labels_NL), metric))
