"""Scores are of known labels: whether these may stand for the unknown ones."""

import numpy as np
import pytest

import tagfit
from making import PROVE, QUICK
from populations import with_margins
from tagfit.decisions.decider import Predictions
from tagfit.records.data import UNKNOWN
from tagfit.runs.unknown_labels import UnknownLabels


def by_chance(margins_NL, rng):
    return rng.random(margins_NL.shape) < 0.3


def where_hard(margins_NL, rng):
    """Whoever labels leaves open what lies near the line between yes and no."""
    return np.abs(margins_NL) < np.quantile(np.abs(margins_NL), 0.3)


def seldom_no(margins_NL, rng):
    return (margins_NL <= 0) & (rng.random(margins_NL.shape) < 0.6)


def record(open_, seed, rows=600):
    x, margins_NL = with_margins(rows, seed)
    labels_NL = np.where(open_(margins_NL, np.random.default_rng(seed)), UNKNOWN, margins_NL > 0).astype(np.int8)
    return tagfit.fit(tagfit.load(x, labels_NL, minus_one="unknown"), recipe=QUICK).record


def said(one):
    return [text for text in one.verdict.sentences if text.startswith("Unknown labels are")]


def test_labels_that_are_open_by_chance_are_worth_no_word():
    alarms = [bool(said(record(by_chance, seed))) for seed in range(100 if PROVE else 8)]
    if PROVE:
        print(f"\nlabels open by chance: {sum(alarms)} alarms in {len(alarms)} fits")
    assert np.mean(alarms) <= 0.1


@pytest.mark.parametrize(("open_", "word"), [(seldom_no, "not open by chance"), (where_hard, "harder than known")])
def test_labels_that_are_open_for_a_reason_are_warned_of(open_, word):
    found = [any(word in text for text in said(record(open_, seed))) for seed in range(40 if PROVE else 3)]
    if PROVE:
        print(f"\nlabels {word}: warned of in {sum(found)} of {len(found)} fits")
    assert np.mean(found) >= 0.8


def predictions(labels_NL, p_NL, groups=None):
    return Predictions(labels_NL, p_NL.astype(np.float32), np.arange(len(p_NL)) if groups is None else groups)


def test_few_labels_say_nothing():
    labels_NL = np.ones((20, 1), np.int8)
    labels_NL[:4] = UNKNOWN
    p_NL = np.linspace(0, 1, 20)[:, None]
    assert UnknownLabels.of({"val": predictions(labels_NL, p_NL)}) is None
    assert UnknownLabels.of({"train": predictions(labels_NL[:, [0, 0]], p_NL[:, [0, 0]])}) is None


def test_samples_of_one_group_count_as_one():
    rng = np.random.default_rng(0)
    labels_NL = np.where(rng.random((200, 2)) < 0.3, UNKNOWN, 1).astype(np.int8)
    p_NL = rng.random((200, 2))
    alone = UnknownLabels.of({"val": predictions(labels_NL, p_NL)})
    copies = predictions(np.repeat(labels_NL, 4, axis=0), np.repeat(p_NL, 4, axis=0), np.repeat(np.arange(200), 4))
    assert UnknownLabels.of({"val": copies}).level.error == pytest.approx(alone.level.error, rel=0.02)
