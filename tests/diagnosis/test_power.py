"""Each fault is planted at several strengths and found; where it isn't planted, no check raises an alarm.

    TAGFIT_PROVE=1 .venv/bin/python -m pytest -s tests/diagnosis/test_power.py

prints how often each is found (docs/diagnosis.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch

from making import PROVE, answers, evidence, feature_table, locked
from tagfit.diagnosis.checks.more_data import learning_curve
from tagfit.diagnosis.evidence import Evidence, cheapest_features
from tagfit.diagnosis.registry import CHECKS
from tagfit.metrics.scores import score_one
from tagfit.models.registry import build_network
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.records.data import PARTS
from tagfit.records.runs import Fitting
from tagfit.records.scores import Target
from tagfit.training.inference import dead_units
from tagfit.training.inputs import NetworkInputs
from tagfit.training.quick import fit_all


@dataclass(frozen=True)
class Plant:
    """A fault that can be planted.

    Attributes:
        told: what a finding of it begins with.
        make: the evidence, given a strength and a seed.
        strengths: from the weakest to the strongest, which is always found.
        clean: the strength that is no fault.
        draws: of the long form, for each strength; four times as many that are clean.
    """

    check: str
    told: str
    make: Callable[[float, int], Evidence]
    strengths: tuple[float, ...]
    clean: float
    draws: int = 25


# -------------------------------------------------------------------------------------- what a model says


def overfit(wrong: float, seed: int) -> Evidence:
    """Wrong on 5% of train's cells, and on more of val's."""
    return evidence(answers(800, wrong=0.05, seed=seed), answers(400, wrong=wrong, seed=seed + 10**6))


def underfit(wrong: float, seed: int) -> Evidence:
    """Wrong on as many cells of train as of val."""
    return evidence(answers(800, wrong=wrong, seed=seed), answers(1000, wrong=wrong, seed=seed + 10**6))


def too_sure(sure: float, seed: int) -> Evidence:
    """No more often wrong on val, but surer of it: `sure` to 1 - `sure` where train's are 0.9 to 0.1."""
    train, (labels_NL, p_NL) = answers(800, wrong=0.08, seed=seed), answers(400, wrong=0.08, seed=seed + 10**6)
    return evidence(train, (labels_NL, np.where(p_NL > 0.5, sure, 1 - sure)))


def worthless(signal: float, seed: int) -> Evidence:
    """Probabilities that know `signal` of each cell, in standard deviations."""
    rng, predictions = np.random.default_rng(seed), []
    for samples in (800, 400):
        labels_NL = (rng.random((samples, 6)) < 0.4).astype(np.int8)
        predictions.append(
            (labels_NL, 1 / (1 + np.exp(-(signal * (labels_NL - 0.4) + rng.normal(size=labels_NL.shape)))))
        )
    return evidence(*predictions)


def untrained(signal: float, seed: int) -> Evidence:
    """Probabilities around the frequency of yes, that know `signal` of each cell of train."""
    rng, predictions = np.random.default_rng(seed), []
    for samples in (800, 400):
        labels_NL = (rng.random((samples, 6)) < 0.3).astype(np.int8)
        p_NL = 0.3 + signal * (labels_NL - 0.3) + rng.normal(scale=0.05, size=labels_NL.shape)
        predictions.append((labels_NL, np.clip(p_NL, 0.01, 0.99)))
    return evidence(*predictions)


def sparse(missed: float, seed: int) -> Evidence:
    """One cell in twenty is yes, so many of these are missed, and hardly a no is mistaken."""
    rng, predictions = np.random.default_rng(seed), []
    for samples in (800, 600):
        labels_NL = (rng.random((samples, 10)) < 0.05).astype(np.int8)
        seen_NL = np.where(labels_NL == 1, rng.random(labels_NL.shape) >= missed, rng.random(labels_NL.shape) < 0.005)
        predictions.append(
            (labels_NL, np.where(seen_NL, rng.uniform(0.5, 1.0, labels_NL.shape), rng.uniform(0.0, 0.5)))
        )
    return evidence(*predictions)


# --------------------------------------------------------------------------------- how it was trained


def history(train: np.ndarray, val: np.ndarray, **changes: object) -> Evidence:
    rows = [{"epoch": n, "train_loss": t, "val_loss": v} for n, (t, v) in enumerate(zip(train, val, strict=True), 1)]
    recipe = Recipe(name="mine", training=Training(epochs=len(rows), patience=0))
    return Evidence(**{"target": Target(), "recipe": recipe, "label_names": ("a",), "history": rows, **changes})


def losses(seed: int, pace: float = 6.0, jitter: float = 0.004) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of 60 epochs: the epochs, train's losses and val's, which have long settled."""
    rng, epochs = np.random.default_rng(seed), np.arange(60)
    train, val = (level + (0.7 - level) * np.exp(-epochs / pace) for level in (0.25, 0.3))
    return epochs, train + rng.normal(scale=jitter, size=60), val + rng.normal(scale=jitter, size=60)


def cut_short(pace: float, seed: int) -> Evidence:
    """A loss that falls to 1/e in `pace` epochs, of which there are 60."""
    return history(*losses(seed, pace)[1:])


def past_its_best(rise: float, seed: int) -> Evidence:
    """Val's loss rises by such a share from epoch 20 on."""
    epochs, train, val = losses(seed)
    return history(train, val * (1 + rise * np.clip((epochs - 20) / 40, 0, 1)))


def diverging(rise: float, seed: int) -> Evidence:
    """Train's loss rises by such a share of its first from epoch 30 on."""
    epochs, train, val = losses(seed)
    return history(train + 0.7 * rise * np.clip((epochs - 30) / 30, 0, 1), val)


def dying(share: float, seed: int) -> Evidence:
    """A network of which such a share of the first hidden units is pushed below 0."""
    x = np.random.default_rng(seed).normal(size=(300, 10)).astype(np.float32)
    recipe = Recipe(name="mine", model=DenseModel(widths=(50, 20)))
    network = build_network(recipe, (10,), 3, seed=seed)
    with torch.no_grad():
        network.layers.dense_0.bias[: round(50 * share)] = -100.0
    inputs = NetworkInputs(x, 1.0, torch.device("cpu"))
    return history(*losses(seed)[1:], units=lambda: dead_units(network, inputs, np.arange(300)))


def small_batches(size: float, seed: int) -> Evidence:
    """BatchNorm with so many samples a step."""
    recipe = Recipe(name="m", model=DenseModel(batch_norm=True), training=Training(batch_size=int(size), epochs=60))
    return history(*losses(seed)[1:], recipe=recipe)


# ------------------------------------------------------------------------------------ quick trainings


def trained(samples: int, features: int, recipe: Recipe, seed: int) -> Evidence:
    data = locked(feature_table(samples, features, labels=4, seed=seed))
    features_of = cheapest_features(data.dataset.x, data.dataset.preprocessing)
    return Evidence(
        target=Target(),
        recipe=recipe,
        label_names=data.dataset.label_names,
        data=data,
        features=features_of,
        quick_recipe=recipe,
        train=partial(fit_all, x_ND=features_of.x_ND, recipe=recipe),
        seed=seed,
    )


def by_heart(width: float, seed: int) -> Evidence:
    """210 samples of train of 20 features, and so many hidden units; none is a linear model."""
    widths = (int(width),) if width else ()
    recipe = Recipe(name="mine", model=DenseModel(widths=widths), training=Training(epochs=100, rate=0.01, patience=0))
    return trained(300, 20, recipe, seed)


LEARNER = Recipe(name="mine", model=DenseModel(widths=(16,)), training=Training(epochs=40, rate=0.01, patience=5))


def too_little(samples: float, seed: int) -> Evidence:
    """So many samples, 70% of them train."""
    return trained(int(samples), 20, LEARNER, seed)


PLANTS = {
    "overfit": Plant("gap", "The model overfits", overfit, (0.08, 0.10, 0.12, 0.15), 0.05),
    "underfit": Plant("gap", "The model underfits", underfit, (0.09, 0.10, 0.11, 0.12), 0.05),
    "untrained": Plant("untrained", "The model has learnt nothing", untrained, (0.02, 0.01, 0.0), 0.2),
    "too sure": Plant("gap", "The model is overconfident", too_sure, (0.99, 0.995, 0.999, 1.0), 0.9),
    "worthless": Plant("flattery", ("A constant baseline", "Decided at 0.5"), worthless, (1.0, 0.8, 0.6, 0.0), 2.0),
    "sparse labels": Plant("flattery", "Label accuracy flatters", sparse, (0.3, 0.4, 0.6, 0.8), 0.05),
    "cut short": Plant("schedule", "Training was cut short", cut_short, (12, 15, 20, 30), 6),
    "past its best": Plant("schedule", "The model was trained past", past_its_best, (0.05, 0.1, 0.15, 0.3), 0.0),
    "diverging": Plant("schedule", "Training diverges", diverging, (0.05, 0.1, 0.15, 0.3), 0.0),
    "dead units": Plant("schedule", "Much of the network", dying, (0.4, 0.5, 0.6, 0.9), 0.0, draws=10),
    "small batches": Plant("schedule", "The batches are too small", small_batches, (8, 4, 2), 32, draws=10),
    "by heart": Plant("memorisation", "The network can memorise", by_heart, (8, 16, 32, 64), 0, draws=10),
    "too little data": Plant("more_data", "There is too little", too_little, (1600, 800, 400, 200), 3000, draws=10),
}


def found(plant: Plant, strength: float, seed: int, *, any_at_all: bool = False) -> bool:
    findings = CHECKS[plant.check].run(plant.make(strength, seed))
    return any(any_at_all or finding.meaning.startswith(plant.told) for finding in findings)


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found(name):
    plant = PLANTS[name]
    draws = plant.draws if PROVE else 2
    strengths = plant.strengths if PROVE else plant.strengths[-1:]
    power = {strength: np.mean([found(plant, strength, seed) for seed in range(draws)]) for strength in strengths}
    if PROVE:
        print(
            f"\n| {name} | `{plant.check}` | " + ", ".join(f"{s:g}: {hit:.0%}" for s, hit in power.items()), end=" | "
        )
    assert power[plant.strengths[-1]] >= 0.95


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_clean_raises_at_most_one_alarm_in_twenty(name):
    plant = PLANTS[name]
    draws = 4 * plant.draws if PROVE else 4 if plant.draws > 10 else 2
    alarms = sum(found(plant, plant.clean, 10_000 + seed, any_at_all=True) for seed in range(draws))
    if PROVE:
        print(f"\n| {name} | clean: {plant.clean:g} | {alarms} of {draws}", end=" | ")
    assert alarms <= draws / 20


def test_the_learning_curve_holds_what_twice_the_samples_bring():
    draws = 30 if PROVE else 2
    held, told = [], []
    for seed in range(draws):
        gain, curve = _doubled(seed)
        held.append(curve.interval.low <= gain <= curve.interval.high)
        told.append((gain, curve.gain))
    if PROVE:
        true, predictions = np.mean(told, axis=0)
        print(
            f"\n| twice the samples | {np.mean(held):.0%} held | true {true:+.3f}, told {predictions:+.3f}", end=" | "
        )
    assert np.mean(held) >= (0.85 if PROVE else 0.5)


def _doubled(seed: int) -> tuple[float, object]:
    """What twice the samples of train bring on many new ones, and the learning curve that does not know it."""
    size, many = int(np.random.default_rng(seed).choice([150, 300, 600])), 4000
    table = feature_table(2 * size + 300 + many, 20, labels=4, seed=seed)
    whole = trained(2 * size + 300 + many, 20, LEARNER, seed).data
    parts = np.full(len(table.sample_names), 9, dtype=np.int8)  # of no part
    parts[:size], parts[2 * size : 2 * size + 300] = PARTS.index("train"), PARTS.index("val")
    dataset, rows = whole.dataset, np.arange(len(parts))
    features = cheapest_features(dataset.x, dataset.preprocessing)
    few = trained(60, 20, LEARNER, seed)
    data = replace(whole, split=replace(whole.split, parts=parts))
    train = partial(fit_all, x_ND=features.x_ND, recipe=LEARNER)
    known = replace(few, data=data, features=features, train=train)
    new, stop = rows[2 * size + 300 :], rows[2 * size : 2 * size + 300]
    fittings = [
        Fitting(dataset.labels_NL, rows[: count * size], new, repeat, stop=stop)
        for count in (1, 2)
        for repeat in range(4)
    ]
    scores = [score_one("micro_f1", dataset.labels_NL[new], p_NL) for p_NL in train(fittings)]
    return float(np.mean(scores[4:]) - np.mean(scores[:4])), learning_curve(known)
