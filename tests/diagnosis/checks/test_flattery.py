"""A model that is no better than a constant baseline: worth nothing, or decided at the wrong threshold."""

import numpy as np

from making import evidence
from tagfit.diagnosis.checks.flattery import flattery
from tagfit.records.scores import Target


def rare(shift, known, seed, samples=600):
    """Rare labels and probabilities that lie below 0.5, and know so much of them."""
    rng = np.random.default_rng(seed)
    labels_NL = (rng.random((samples, 6)) < 0.15).astype(np.int8)
    logits_NL = shift + known * labels_NL + rng.normal(size=labels_NL.shape)
    return labels_NL, 1 / (1 + np.exp(-logits_NL))


def as_good(known, metric="micro_f1"):
    train, val = (rare(-4.0, known, seed) for seed in (0, 1))
    return flattery(evidence(train, val, target=Target(metric)))[0]


def test_what_ranks_better_is_not_worth_nothing():
    found = as_good(known=2.0)
    assert found.meaning == (
        "Decided at 0.5, the model is no better than a constant baseline, although it ranks samples better."
    )
    assert "mAP is 0.748; a constant baseline's is 0.153." in found.seen
    assert found.todo == "Fit thresholds: --decide-for micro_f1."
    assert found.tries == ()


def test_what_ranks_no_better_is():
    found = as_good(known=0.0)
    assert "worth nothing" in found.meaning
    assert "cnn" in found.tries


def test_a_metric_that_no_thresholds_are_fitted_for():
    assert "worth nothing" in as_good(known=2.0, metric="jaccard").meaning
