"""Rules for a recall or a precision that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from tagfit.decisions.rule_fitting import fit_rule
from tagfit.decisions.rule_worth import worth
from tagfit.decisions.rules import Objective, Rule


def drawn(seed, N, L=6, bias=0.0):
    """Labels and the probabilities they were drawn by; odd labels' are given `bias` too high, in logits."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(N, L)) * 2 - 1
    labels = (rng.random((N, L)) < 1 / (1 + np.exp(-z))).astype(np.int8)
    return labels, 1 / (1 + np.exp(-z - bias * (np.arange(L) % 2)))


def levels(labels, p, rule):
    decisions = rule.decide(p)
    return worth("recall", labels, decisions).value, worth("precision", labels, decisions).value


@pytest.mark.parametrize(("text", "place"), [("recall>=0.9", 0), ("precision>=0.85", 1)])
def test_the_level_holds_on_new_rows_but_for_chance(text, place):
    labels, p = drawn(0, 2000)
    unseen = drawn(1, 20000)
    rule = fit_rule(Objective.parse(text), labels, p, seen_NL=labels)
    asked = Objective.parse(text).level
    # the chance is that of the rows it was fitted on: about 3,800 cells are decided yes there
    assert levels(*unseen, rule)[place] == pytest.approx(asked, abs=0.02)
    assert levels(*unseen, rule)[1 - place] > 0.3
    assert rule.note == ""


def test_of_all_common_cuts_that_keep_the_recall_it_takes_the_most_precise():
    labels, p = drawn(2, 60, L=2)
    rule = fit_rule(Objective("recall", 0.8), labels, p, seen_NL=labels)
    assert len(set(rule.thresholds)) == 1
    recall, precision = levels(labels, p, rule)
    assert recall >= 0.8
    every = [levels(labels, p, Rule.flat(2, cut)) for cut in np.unique(p)]
    assert precision == pytest.approx(max(exactness for found, exactness in every if found >= 0.8))


def test_labels_that_are_given_too_much_get_thresholds_of_their_own():
    labels, p = drawn(3, 2000, bias=2.0)
    rule = fit_rule(Objective("recall", 0.8), labels, p, seen_NL=labels)
    assert max(rule.thresholds[0::2]) < min(rule.thresholds[1::2])
    unseen = drawn(4, 20000, bias=2.0)
    recall, precision = levels(*unseen, rule)
    cut = np.quantile(p[labels == 1], 0.2)
    assert precision > levels(*unseen, Rule.flat(6, float(cut)))[1] + 0.02
    assert recall == pytest.approx(0.8, abs=0.02)


def test_a_level_out_of_reach_is_said():
    rng = np.random.default_rng(5)
    labels = (rng.random((200, 2)) < 0.3).astype(np.int8)
    p = np.where(labels == 1, 0.5, 0.6)
    rule = fit_rule(Objective("precision", 0.9), labels, p, seen_NL=labels)
    assert "; precision>=0.9 was not reached: 0." in rule.describe(("a", "b"))
    assert rule.decide(p).any()


def test_certain_probabilities_are_cut_between():
    labels = np.tile(np.array([[1, 0], [0, 1]], dtype=np.int8), (50, 1))
    p = labels.astype(np.float32)
    rule = fit_rule(Objective("recall", 0.9), labels, p, seen_NL=labels)
    assert levels(labels, p, rule) == (1, 1)


def test_probabilities_next_to_nothing_can_be_asked_for():
    labels, p = drawn(6, 200)
    p = np.where(labels == 1, 1e-9, 1e-12).astype(np.float32)
    rule = fit_rule(Objective("recall", 0.9), labels, p, seen_NL=labels)
    assert levels(labels, p, rule)[0] >= 0.9
    assert rule.note == ""
