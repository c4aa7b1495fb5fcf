"""Objectives and rules: what they say, what they decide, and what of a stranger's is refused."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfit.decisions.rules import METRIC_OBJECTIVES, MOST_SETS, Objective, Rule
from tagfit.errors import BundleError, DataError
from tagfit.io.typed_json import from_plain, to_plain

NAMES = ("beach", "forest", "sea")


class TestObjective:
    @pytest.mark.parametrize("text", [*METRIC_OBJECTIVES, "recall>=0.9", "precision>=0.75"])
    def test_its_text_comes_back(self, text):
        assert str(Objective.parse(text)) == text

    def test_blanks_do_not_matter(self):
        assert Objective.parse(" recall >= 0.90 ") == Objective("recall", 0.9)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("macro-f1", "Did you mean 'macro_f1'"),
            ("recal>=0.9", "Did you mean 'recall'"),
            ("recall", "need a level, such as recall>=0.9"),
            ("map", "one of micro_f1, macro_f1"),
            ("macro_f1>=0.5", "one of"),
            ("", "one of"),
            ("recall>=high", "between 0 and 1"),
            ("recall>=1", "between 0 and 1"),
            ("precision>=nan", "between 0 and 1"),
            ("precision>=90", "between 0 and 1"),
        ],
    )
    def test_others_are_refused(self, text, expected):
        with pytest.raises(DataError, match=expected):
            Objective.parse(text)


P = np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.9], [0.5, 0.5, 0.5], [0.4, 0.8, 0.4]], dtype=np.float32)


def given_labels(rule, p=P):
    return [tuple(np.flatnonzero(row).tolist()) for row in rule.decide(p)]


class TestDecide:
    def test_yes_is_above_the_threshold(self):
        assert given_labels(Rule.flat(3)) == [(), (0, 1, 2), (), (1,)]
        assert given_labels(Rule((0.05, 0.75, 0.45))) == [(0,), (0, 2), (0, 2), (0, 1)]

    def test_at_least_one_is_the_highest_and_of_equal_ones_the_first(self):
        assert given_labels(Rule((0.5, 0.5, 0.5), at_least_one=True)) == [(2,), (0, 1, 2), (0,), (1,)]

    def test_at_most_keeps_the_highest(self):
        assert given_labels(Rule((0.05,) * 3, at_most=2)) == [(1, 2), (1, 2), (0, 1), (0, 1)]
        # a label that is not given takes nobody's place
        assert given_labels(Rule((0.05, 0.05, 0.95), at_most=1)) == [(1,), (1,), (0,), (1,)]

    def test_float32_is_compared_as_it_is(self):
        assert not Rule.flat(1, float(np.float32(0.3))).decide(np.array([[0.3]], dtype=np.float32)).any()

    @given(st.integers(0, 2**32 - 1))
    def test_the_likeliest_set_against_all_products(self, seed):
        rng = np.random.default_rng(seed)
        sets = [labels for size in range(4) for labels in itertools.combinations(range(3), size)]
        sets = tuple(sets[number] for number in rng.permutation(8)[: rng.integers(1, 9)])
        weights = tuple(rng.normal(size=len(sets)).tolist())
        p = rng.random((5, 3))
        rule = Rule((0.5,) * 3, label_sets=sets, set_weights=weights)
        for row, labels in zip(p, given_labels(rule, p), strict=True):
            products = [
                np.log([row[label] if label in members else 1 - row[label] for label in range(3)]).sum() + weight
                for members, weight in zip(sets, weights, strict=True)
            ]
            assert labels == sets[int(np.argmax(products))]

    @pytest.mark.parametrize(
        "rule",
        [
            Rule.flat(3, 0.0),
            Rule((0.1, 0.2, 0.3), at_least_one=True, at_most=1),
            Rule((0.5,) * 3, label_sets=((0,), (1, 2)), set_weights=(0.0, -1.0)),
        ],
    )
    def test_no_probabilities_no_labels(self, rule):
        assert not rule.decide(np.full((2, 3), np.nan, dtype=np.float32)).any()
        assert rule.decide(np.empty((0, 3), dtype=np.float32)).shape == (0, 3)
        with_nan = np.concatenate([P, np.full((1, 3), np.nan, dtype=np.float32)])
        assert given_labels(rule, with_nan) == [*given_labels(rule), ()]

    def test_certain_probabilities_do_no_harm(self):
        rule = Rule((0.5,) * 2, label_sets=((0,), (1,)), set_weights=(0.0, 0.0))
        assert given_labels(rule, np.array([[0.0, 1.0], [1.0, 0.0]])) == [(1,), (0,)]

    def test_another_number_of_labels_is_refused(self):
        with pytest.raises(DataError, match="for 3 labels"):
            Rule.flat(3).decide(np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule.flat(3), "above 0.5"),
        (Rule((0.21, 0.4, 0.55)), "thresholds from 0.21 (beach) to 0.55 (sea)"),
        (Rule((0.21, 0.4, 0.55), at_least_one=True), "thresholds from 0.21 (beach) to 0.55 (sea), at least one label"),
        (Rule.flat(3, 0.31), "above 0.31"),
        (Rule((0.3,) * 3, at_most=2), "above 0.3, at most 2 labels"),
        (Rule((0.3,) * 3, True, 2), "above 0.3, at least one label, at most 2 labels"),
        (Rule((0.3,) * 3, True, 1), "above 0.3, exactly one label"),
        (Rule.flat(3, note="as it was"), "above 0.5; as it was"),
        (
            Rule((0.5,) * 3, label_sets=((0,), (1,)), set_weights=(0.0, 0.0)),
            "the likeliest of 2 label sets seen in training",
        ),
        (
            Rule((0.5,) * 3, label_sets=((0,),), set_weights=(-0.1,)),
            "the likeliest of 1 label set seen in training, the common ones sooner",
        ),
    ],
)
def test_it_is_described_in_plain_words(rule, words):
    assert rule.describe(NAMES) == words


RULE = Rule((0.1, 0.2, 0.9), True, 2, ((), (0, 2)), (-0.5, -1.5), "a note")


def test_it_is_plain_data():
    assert from_plain(json.loads(json.dumps(to_plain(RULE))), Rule, surplus=False) == RULE
    assert from_plain(json.loads(json.dumps(to_plain(Rule.flat(3)))), Rule, surplus=False) == Rule.flat(3)


NONSENSE = {
    "thresholds": [None, [0.1, 0.2, 1.1], [0.1, 0.2, float("nan")], [0.1, 0.2, True], ["0.1"] * 3, "abc"],
    "at_least_one": [1, None, "yes"],
    "at_most": [0, 4, True, 1.5, "2", 10**400],
    "label_sets": [
        None,
        [[3]],
        [[-1]],
        [[2, 0]],
        [[0, 0]],
        [[True]],
        [[0], [0]],
        [0],
        [[0]] * (MOST_SETS + 1),
        [["0"]],
    ],
    "set_weights": [None, [0.1], [0.1, float("inf")], [0.1, 10**400], [0.1, "0"], [0.1, False]],
    "note": [None, 1, "x" * 201, "\x1b[31mred", "two\nlines"],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in NONSENSE.items() for value in values])
def test_a_strangers_nonsense_is_refused(field, value):
    with pytest.raises(BundleError, match=field):
        from_plain({**to_plain(RULE), field: value}, Rule, surplus=False)


def test_all_faults_are_said_at_once():
    wrong = {field: values[0] for field, values in NONSENSE.items()} | {"at_most": 0}
    with pytest.raises(BundleError) as refusal:
        from_plain(wrong, Rule)
    assert len(refusal.value.faults) == len(NONSENSE)
    together = {"thresholds": [0.5], "at_most": 2, "label_sets": [[0], [0], [1]], "set_weights": [], "note": "\x1b"}
    with pytest.raises(BundleError) as refusal:
        from_plain(together, Rule)
    assert len(refusal.value.faults) == 5


@pytest.mark.parametrize("values", [None, [], {}, {**to_plain(RULE), "code": "x"}])
def test_something_else_is_refused(values):
    with pytest.raises(BundleError, match=r"must be an object|is missing|no field 'code'"):
        from_plain(values, Rule, surplus=False)
