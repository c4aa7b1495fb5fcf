"""Labels that cannot be learnt, and synonyms."""

import time
from dataclasses import replace

import numpy as np
import pytest

from making import PROVE, feature_table, locked, looked_at, tell_power
from tagfit.decisions.decider import Predictions
from tagfit.diagnosis.checks import unlearnable as check
from tagfit.diagnosis.checks.unlearnable import CHANCE, FEW, SYNONYM, unlearnable
from tagfit.diagnosis.evidence import CannotCheck


def found(change=lambda labels_NL, rng: None, predictions=None, seed=0, samples=400):
    table = feature_table(samples=samples, labels=4, seed=seed)
    labels_NL = table.labels_NL.copy()
    change(labels_NL, np.random.default_rng(seed + 1000))
    data = locked(replace(table, labels_NL=labels_NL))
    val_NL = data.labels("val")
    p_NL = np.clip(val_NL * 0.4 + 0.3 + np.random.default_rng(seed).normal(0, 0.2, val_NL.shape), 0, 1)
    p_NL = p_NL if predictions is None else predictions(p_NL)
    return unlearnable(
        looked_at(data, predictions={"val": Predictions(val_NL, p_NL.astype(np.float32), np.arange(len(val_NL)))})
    )


def test_a_label_with_too_few_samples_is_named():
    def rare(labels_NL, rng):
        labels_NL[:, 1] = rng.permutation(len(labels_NL)) < 6

    (finding,) = found(rare)
    assert finding.names == ("label_1",)
    assert "too few" in finding.meaning


@pytest.mark.parametrize(("differ", "hit"), [(0.0, True), (0.03, True), (0.2, False)])
def test_synonyms_and_opposites_are_named(differ, hit):
    def twins(labels_NL, rng):
        labels_NL[:, 2] = labels_NL[:, 0] ^ (rng.random(len(labels_NL)) < differ)
        labels_NL[:, 3] = 1 - labels_NL[:, 1]

    (finding,) = found(twins)
    pairs = ("label_0", "label_2", "label_1", "label_3")
    assert finding.names == (pairs if hit else pairs[2:])


def told(what, **options):
    return any(what in finding.meaning for finding in found(**options))


@pytest.mark.parametrize(("differ", "least"), [(0.0, 1), (0.03, 0.8), (0.05, 0), (0.1, 0)])
def test_power_of_synonyms(differ, least):
    def twins(labels_NL, rng):
        labels_NL[:, 2] = labels_NL[:, 0] ^ (rng.random(len(labels_NL)) < differ)

    hits = [told("synonyms", change=twins, seed=seed) for seed in range(30 if PROVE else 5)]
    tell_power("synonyms", "unlearnable", differ, hits)
    assert np.mean(hits) >= least
    assert not told("synonyms")


@pytest.mark.parametrize(("samples", "least"), [(400, 0), (800, 0), (1600, 0.6)])
def test_power_of_labels_dealt_at_random(samples, least):
    def dealt(labels_NL, rng):
        labels_NL[:, 1] = rng.permutation(labels_NL[:, 1])

    def by_chance(p_NL):
        return np.where(np.arange(p_NL.shape[1]) == 1, np.random.default_rng(0).random(p_NL.shape), p_NL)

    options = {"change": dealt, "predictions": by_chance, "samples": samples}
    hits = [told("not learnt", seed=seed, **options) for seed in range(20 if PROVE else 10)]
    tell_power("a label dealt at random", "unlearnable", samples, hits)
    assert np.mean(hits) >= least


def test_a_label_that_is_never_alone_is_named():
    def inside(labels_NL, rng):
        labels_NL[:, 3] = labels_NL[:, 0] & (rng.random(len(labels_NL)) < 0.4)

    (finding,) = found(inside)
    assert finding.names == ("label_3",)
    assert "only with label_0" in finding.seen


def related_one_by_one(labels_NL):
    """The plain definition, a pair at a time."""
    for first in range(labels_NL.shape[1]):
        for second in range(first + 1, labels_NL.shape[1]):
            known = (labels_NL[:, [first, second]] >= 0).all(axis=1)
            one, other = (labels_NL[known, label] == 1 for label in (first, second))
            if min(one.sum(), (~one).sum(), other.sum(), (~other).sum()) < FEW:
                continue
            correlation = np.corrcoef(one, other)[0, 1]
            if abs(correlation) >= SYNONYM:
                yield first, second, pytest.approx(correlation), False
            elif not (one & ~other).any() and other.mean() ** one.sum() <= CHANCE:
                yield first, second, None, False
            elif not (other & ~one).any() and one.mean() ** other.sum() <= CHANCE:
                yield first, second, None, True


@pytest.mark.parametrize("seed", range(12))
def test_blocks_of_labels_are_related_as_pairs_are(seed, monkeypatch):
    monkeypatch.setattr(check, "BLOCK", 4)
    rng = np.random.default_rng(seed)
    labels_NL = (rng.random((300, 11)) < rng.uniform(0.05, 0.6, 11)).astype(np.int8)
    labels_NL[:, 3] = labels_NL[:, 0] ^ (rng.random(300) < 0.01)
    labels_NL[:, 7] = 1 - labels_NL[:, 1]
    labels_NL[:, 9] = labels_NL[:, 2] & (rng.random(300) < 0.5)
    labels_NL[:, 5] |= labels_NL[:, 10]
    labels_NL[rng.random((300, 11)) < 0.2 * (seed % 3)] = -1
    assert sorted(check._related(labels_NL, np.arange(11))) == list(related_one_by_one(labels_NL))


def test_many_labels_are_compared_in_seconds(monkeypatch):
    labels_NL = (np.random.default_rng(0).random((500, 1500)) < 0.3).astype(np.int8)
    labels_NL[:, 1400] = labels_NL[:, 100] = labels_NL[:, 100] | labels_NL[:, 101]  # the commonest ones
    began = time.monotonic()
    assert (100, 1400) in [found[:2] for found in check._related(labels_NL, np.arange(1500))]
    assert time.monotonic() - began < 30  # a pair at a time, it took minutes
    monkeypatch.setattr(check, "MOST_COMPARED", 2)
    assert [found[:2] for found in check._related(labels_NL, np.arange(1500))] == [(100, 1400)]


def test_a_label_of_which_the_model_knows_nothing_is_named():
    def guess(p_NL):
        p_NL[:, 2] = np.random.default_rng(7).random(len(p_NL))
        return p_NL

    (finding,) = found(predictions=guess, samples=2000)
    assert finding.names == ("label_2",)


def test_without_a_model_the_labels_alone_are_looked_at():
    with pytest.raises(CannotCheck, match="chance"):
        unlearnable(looked_at(locked(feature_table())))


def test_clean_labels_raise_at_most_one_alarm_in_twenty():
    draws = 400 if PROVE else 20
    assert sum(bool(found(seed=seed)) for seed in range(draws)) <= draws / 20
