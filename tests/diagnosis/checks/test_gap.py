"""The gap: found where it is planted, and not where it isn't."""

import numpy as np
import pytest

from making import answers, evidence
from tagfit.diagnosis.checks.gap import gap
from tagfit.diagnosis.evidence import CannotCheck
from tagfit.records.scores import Target


def found(wrong_on_val, *, seed=0, samples=400, **changes):
    train, val = answers(800, wrong=0.05, seed=seed), answers(samples, wrong=wrong_on_val, seed=seed + 10_000)
    return gap(evidence(train, val, **changes))


def test_a_model_that_knows_its_training_set_better_overfits():
    (finding,) = found(0.25)
    assert finding.meaning.startswith("The model overfits")
    assert finding.strength in finding.interval
    assert finding.interval.low > 0.05


def test_the_labels_that_make_the_gap_are_named():
    labels_NL, p_NL = answers(800, wrong=0.05, seed=1)
    p_NL[:, 2] = np.random.default_rng(2).random(len(p_NL))
    (finding,) = gap(evidence(answers(800, wrong=0.05), (labels_NL, p_NL)))
    assert finding.names == ("label_2",)


def test_too_few_samples_cannot_tell():
    with pytest.raises(CannotCheck, match="val has 20 samples"):
        found(0.1, samples=20)


def test_a_model_that_does_not_reach_what_is_asked_even_on_train_underfits():
    (finding,) = gap(evidence(answers(800, wrong=0.3), answers(800, wrong=0.3, seed=1)))
    assert finding.meaning.startswith("The model underfits")
    assert finding.tries == ("cnn", "dense-wide")
    assert not gap(evidence(answers(800, wrong=0.3), answers(800, wrong=0.3, seed=1), target=Target(val_at_least=0.2)))


def test_probabilities_that_are_far_too_sure_are_a_finding_of_their_own():
    train = answers(800, wrong=0.05, sure=0.8)
    labels_NL, p_NL = answers(800, wrong=0.05, seed=1)
    (finding,) = gap(evidence(train, (labels_NL, np.where(p_NL > 0.5, 1.0, 0.0))))
    assert finding.tries == ("dense-label-smoothing",)
    assert "overconfident" in finding.meaning
