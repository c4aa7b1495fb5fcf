"""Labels that cannot be learnt, and synonyms."""

from dataclasses import replace

import numpy as np
import pytest

from making import PROVE, feature_table, locked, looked_at
from tagfit.decisions.decider import Predictions
from tagfit.diagnosis.checks.unlearnable import unlearnable
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


@pytest.mark.parametrize(("differ", "hit"), [(0.0, True), (0.005, True), (0.2, False)])
def test_synonyms_and_opposites_are_named(differ, hit):
    def twins(labels_NL, rng):
        labels_NL[:, 2] = labels_NL[:, 0] ^ (rng.random(len(labels_NL)) < differ)
        labels_NL[:, 3] = 1 - labels_NL[:, 1]

    (finding,) = found(twins)
    pairs = ("label_0", "label_2", "label_1", "label_3")
    assert finding.names == (pairs if hit else pairs[2:])


def test_a_label_that_is_never_alone_is_named():
    def inside(labels_NL, rng):
        labels_NL[:, 3] = labels_NL[:, 0] & (rng.random(len(labels_NL)) < 0.4)

    (finding,) = found(inside)
    assert finding.names == ("label_3",)
    assert "only with label_0" in finding.seen


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
