"""What the mean of folds' networks is estimated to score, against what it truly scores.

TAGFIT_PROVE=1 with -s prints what docs/data.md says; it takes ten minutes on one core.
"""

import numpy as np
import pytest

import tagfit
from making import PROVE
from populations import drawn
from tagfit.metrics.averaging import WIDER, SecondPredictions, averaged
from tagfit.metrics.intervals import Answers, Resampling, resample
from tagfit.metrics.scores import score

NETWORKS, LABELS = 5, 4


def said(rng, samples, networks=NETWORKS):
    """(N, L) labels and (networks, N, L) what networks say of them that err alike, and each for itself as well."""
    evidence = rng.normal(size=(samples, LABELS))
    labels_NL = (evidence + 0.6 * rng.normal(size=evidence.shape) > 0.3).astype(np.int8)
    own = rng.normal(size=(networks, samples, LABELS))
    return labels_NL, 1 / (1 + np.exp(-2.5 * (evidence + 0.35 * own - 0.3)))


def estimated(rng, samples=300, resamples=200):
    """Single networks' scores, each on its fold, and the estimate for their mean."""
    labels_NL, p_KNL = said(rng, samples)
    fold_N = np.arange(samples) % NETWORKS
    answers = Answers(labels_NL, p_KNL[fold_N, np.arange(samples)].astype(np.float32))
    # each network also stops by samples of other folds
    stopped = [np.flatnonzero((fold_N != fold) & (rng.random(samples) < 0.15)) for fold in range(NETWORKS)]
    second_ML = np.concatenate([p_KNL[fold, rows] for fold, rows in enumerate(stopped)]).astype(np.float32)
    single = resample(answers, Resampling.of(samples, resamples=resamples))
    return single, averaged(single, answers, SecondPredictions(np.concatenate(stopped), second_ML), NETWORKS)


def truly():
    labels_NL, p_KNL = said(np.random.default_rng(99), 40_000)
    return score(labels_NL, p_KNL[0]), score(labels_NL, p_KNL.mean(axis=0))


@pytest.fixture(scope="module")
def draws():
    return [estimated(np.random.default_rng(seed)) for seed in range(400 if PROVE else 40)]


@pytest.mark.parametrize("metric", ["micro_f1", "label_accuracy", "map", "log_loss", "ranking_loss"])
def test_the_estimate_and_its_interval_are_of_the_mean(draws, metric):
    alone, together = truly()
    gain = together[metric] - alone[metric]
    gained = np.mean([several.scores[metric] - single.scores[metric] for single, several in draws])
    assert abs(gained - gain) < 0.25 * abs(gain)
    held, by_single = (
        np.mean([together[metric] in pair[which].intervals[metric] for pair in draws]) for which in (1, 0)
    )
    assert held >= (0.9 if PROVE else 0.85)
    assert by_single < held


def test_networks_that_say_the_same_gain_nothing():
    rng = np.random.default_rng(0)
    labels_NL, p_KNL = said(rng, 200, networks=1)
    answers = Answers(labels_NL, p_KNL[0].astype(np.float32))
    places = np.arange(60)
    single = resample(answers, Resampling.of(200, resamples=200))
    found = averaged(single, answers, SecondPredictions(places, answers.probabilities_NL[places]), NETWORKS)
    assert found.scores.micro_f1 == pytest.approx(single.scores.micro_f1)
    wide, narrow = (high - low for low, high in (found.intervals["micro_f1"], single.intervals["micro_f1"]))
    assert wide == pytest.approx(WIDER * narrow, rel=0.02)


def test_what_is_undefined_stays_so():
    labels_NL, p_KNL = np.zeros((40, 1), dtype=np.int8), np.full((40, 1), 0.2, dtype=np.float32)
    answers = Answers(labels_NL, p_KNL)
    single = resample(answers, Resampling.of(40, resamples=200))
    found = averaged(single, answers, SecondPredictions(np.arange(9), p_KNL[:9]), NETWORKS)
    assert found.scores.map is None
    assert found.intervals["map"] is None


def test_a_fit_in_folds_quotes_the_ensemble():
    x, labels_NL = drawn(160, 0)
    record = tagfit.fit(tagfit.load(x, labels_NL, folds=3), recipe="dense-regularised").record
    estimate = record.after.ensemble["micro_f1"]
    assert record.expected.value == pytest.approx(estimate.value)
    assert record.expected.averaging == pytest.approx(estimate.value - record.after.score("val", "micro_f1"))
    assert estimate.value in estimate.interval
    assert any("Averaging the folds' networks" in text for text in record.verdict.sentences)


@pytest.mark.skipif(not PROVE, reason="trains for ten minutes: make prove")
@pytest.mark.parametrize(
    ("recipe", "rows", "folds", "fits"),
    [("dense-regularised", 400, 5, 200), ("dense-regularised", 250, 10, 60), ("dense-baseline", 400, 5, 60)],
)
def test_of_real_fits_the_interval_holds_the_ensembles_truth(recipe, rows, folds, fits):
    x, truth_NL = drawn(20_000, 1_000_999)
    held, alone = [], []
    for seed in range(fits):
        result = tagfit.fit(tagfit.load(*drawn(rows, seed), folds=folds), recipe=recipe, seed=seed)
        truth = score(truth_NL, result.tagger.predict(x).scores).micro_f1
        held.append(truth in result.record.after.ensemble["micro_f1"].interval)
        alone.append(truth in result.record.after.interval("val", "micro_f1"))
    print(f"\nthe ensemble's interval holds its truth in {np.mean(held):.1%}, val's in {np.mean(alone):.1%}", end=" ")
    assert np.mean(held) >= 0.9
