"""Populations whose truth is known: draw a small data set, then as many fresh rows as you like from the same law."""

from dataclasses import dataclass

import numpy as np
import torch

import tagfit
from tagfit.metrics.intervals import Answers, Resampling, resample
from tagfit.metrics.scores import score_one
from tagfit.runs.record import RunRecord
from tagfit.search.campaign import Campaign
from tagfit.training.inference import probabilities
from tagfit.training.inputs import NetworkInputs

HIDDEN, FREQUENCIES = 12, (0.5, 0.45, 0.4, 0.4)


def drawn(count, seed, features=40, frequencies=FREQUENCIES):
    """(count, features) float32 and (count, L) int8: 12 hidden numbers make labels and features, each not linearly."""
    labels = len(frequencies)
    law = np.random.default_rng(7)
    a, b = law.normal(size=(2, HIDDEN, features)) / HIDDEN**0.5
    w, v = law.normal(size=(2, HIDDEN, labels)) / HIDDEN**0.5

    def evidence(z):
        return 2.2 * (z @ w) + 1.2 * np.tanh(1.4 * (z @ v)) * np.sign(z[:, :1])

    many = np.random.default_rng(99).normal(size=(100_000, HIDDEN))
    levels = [np.quantile(column, 1 - f) for column, f in zip(evidence(many).T, frequencies, strict=True)]
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(count, HIDDEN))
    x = z @ a + np.sin(1.5 * (z @ b)) + 0.025 * rng.normal(size=(count, features))
    return x.astype(np.float32), (evidence(z) > levels).astype(np.int8)


def tailed(count, seed, rare=101):
    """As `drawn`, with many labels that one to four samples in 600 have, by chance: an ordinary collection's tail."""
    x, labels_NL = drawn(count, seed, features=24, frequencies=(0.4, 0.35, 0.3, 0.25, 0.2, 0.15))
    shares = np.random.default_rng(5).choice([1, 1.5, 2, 3, 4], size=rare) / 600
    tail_NL = np.random.default_rng((seed, 77)).random((count, rare)) < shares
    return x, np.hstack([labels_NL, tail_NL.astype(np.int8)])


@dataclass(frozen=True)
class Known:
    """What a cure says, and the truth of what it delivers and of its baseline: scores on 30,000 fresh rows.

    Attributes:
        fresh: what the delivered model answers there.
    """

    record: RunRecord
    truth: float
    before: float
    fresh: Answers

    def other_tests(self, rows, times):
        """The scores on other test parts, of so many fresh rows each: any of them could have come."""
        rng = np.random.default_rng(0)
        for _ in range(times):
            chosen = rng.choice(len(self.fresh.labels_NL), rows, replace=False)
            yield resample(self.fresh.rows(chosen), Resampling.of(rows), (self.record.target.metric,))


def known_cure(count, seed, folds=None, **options):
    """A cure on so many rows, with the truth."""
    outcomes = []
    work = Campaign.work

    def watched(campaign):
        outcomes.append(work(campaign))
        return outcomes[-1]

    x, labels_NL = drawn(count, seed)
    data = tagfit.load(x, labels_NL) if folds is None else tagfit.load(x, labels_NL, folds=folds)
    Campaign.work = watched
    try:
        record = tagfit.cure(data, **options).record
    finally:
        Campaign.work = work
    fresh, truth_NL = drawn(30_000, 1_000_000 + seed)
    inputs = NetworkInputs(fresh, 1.0, torch.device("cpu"))
    after, before = (
        Answers(truth_NL, probabilities(one.network, inputs, np.arange(len(fresh))))
        for one in (outcomes[0].after, outcomes[0].before)
    )
    truth, before = (score_one(record.target.metric, truth_NL, one.probabilities_NL) for one in (after, before))
    return Known(record, truth, before, after)
