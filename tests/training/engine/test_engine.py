"""Whole trainings, beside those of the torch loop on the same rows."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import pytest
import torch

from making import feature_table, image_table, locked
from tagfit.errors import TrainingDivergedError
from tagfit.models.losses import bce
from tagfit.models.registry import build_network
from tagfit.recipes import RECIPES, DenseModel, Recipe, Training
from tagfit.records.data import UNKNOWN
from tagfit.training import loop
from tagfit.training.batches import LabelledRows
from tagfit.training.engine import train_all, usable
from tagfit.training.events import EpochEnded
from tagfit.training.inference import logits_of
from tagfit.training.job import PreparedJob
from tagfit.training.judge import Judge
from tagfit.training.thread_pool import ThreadPool

CPU = torch.device("cpu")
PLAIN = Recipe(name="plain", model=DenseModel(widths=(16,)), training=Training(epochs=6, patience=0, rate=0.01))
DRAWING = replace(
    PLAIN, model=DenseModel(widths=(16, 12), batch_norm=True, dropout=(0.3,), input_dropout=0.1, input_noise=0.1)
)


@pytest.fixture(scope="module")
def data():
    return locked(feature_table(samples=300))


def micro_f1(data):
    """A judge whose scores depend on the probabilities, as a metric's do."""

    def score(part, p_NL):
        yes, predictions = data.labels(part) == 1, p_NL > 0.5
        return float(2 * (yes & predictions).sum() / max(1, yes.sum() + predictions.sum()))

    return Judge("micro_f1", score)


def parts(data):
    return [LabelledRows.of(data, part, CPU) for part in ("train", "val")]


def job(data, recipe=PLAIN, seed=0, **fields):
    network = build_network(recipe, data.dataset.preprocessing.shape, len(data.dataset.label_names), seed=seed)
    return PreparedJob(network, recipe.training, *parts(data), seed, **fields)


def by_loop(job):
    return loop.train(job)


def weights(network):
    return torch.cat([tensor.flatten().double() for tensor in network.state_dict().values()])


def unknown_here_and_there(data):
    table = feature_table(samples=300)
    labels_NL = np.where(np.random.default_rng(1).random(table.labels_NL.shape) < 0.3, UNKNOWN, table.labels_NL)
    return locked(replace(table, labels_NL=labels_NL.astype(np.int8)))


@pytest.mark.parametrize(
    ("model", "training"),
    [
        ({}, {}),
        ({"batch_norm": True, "standardise": True, "widths": (16, 12)}, {"weight_decay": 0.3, "label_smoothing": 0.1}),
        ({"widths": ()}, {"schedule": "cosine", "clip": 0.1, "batch_size": 1000}),
        ({"batch_norm": True}, {"schedule": "one-cycle", "averaging": 0.9, "batch_size": 7}),
        ({}, {"epochs": 60, "patience": 2, "rate": 0.05}),
        ({}, {"epochs": 60, "train_ceiling": 0.9}),
        ({}, {"loss": "distribution-balanced"}),
        ({}, {"loss": "weak-negative"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["features", "images", "unknown"])
def test_without_draws_it_goes_as_the_torch_loop_does(model, training, kind, data):
    data = {"features": lambda: data, "images": lambda: locked(image_table(90, side=6)),
            "unknown": lambda: unknown_here_and_there(data)}[kind]()  # fmt: skip
    recipe = PLAIN.changed(model=model, training=training)
    mine, theirs = (job(data, recipe, judge=micro_f1(data)) for _ in range(2))
    (trained,), expected = train_all([mine]), by_loop(theirs)
    assert (trained.state, trained.delivered_epoch) == (expected.state, expected.delivered_epoch)
    assert len(trained.history) == len(expected.history)
    for row, like in zip(trained.history, expected.history, strict=True):
        assert list(row) == list(like)
        assert row["train_loss"] == pytest.approx(like["train_loss"], rel=2e-3, abs=1e-5)
        assert row["val_loss"] == pytest.approx(like["val_loss"], rel=2e-3, abs=1e-5)
    torch.testing.assert_close(weights(mine.network), weights(theirs.network), rtol=0.02, atol=0.01)


def test_with_draws_it_is_as_good_as_the_torch_loop(data):
    recipe = replace(DRAWING, training=Training(epochs=30, patience=4, rate=0.01))
    seeds = range(8)
    trained = train_all([job(data, recipe, seed, judge=micro_f1(data)) for seed in seeds])
    expected = [by_loop(job(data, recipe, seed, judge=micro_f1(data))) for seed in seeds]
    for column in ("val_loss", "val_micro_f1"):
        mine, theirs = ([one.history[one.delivered_epoch - 1][column] for one in side] for side in (trained, expected))
        noise = math.hypot(stdev(mine), stdev(theirs)) / math.sqrt(len(seeds))
        assert abs(mean(mine) - mean(theirs)) < 4 * noise
    mine, theirs = ([len(one.history) for one in side] for side in (trained, expected))
    assert abs(mean(mine) - mean(theirs)) < 4 * math.hypot(stdev(mine), stdev(theirs)) / math.sqrt(len(seeds))


def test_the_network_holds_what_was_judged(data):
    recipe = replace(DRAWING, training=replace(PLAIN.training, averaging=0.9))
    one = job(data, recipe, judge=micro_f1(data))
    (trained,) = train_all([one])
    assert not one.network.training
    logits = logits_of(one.network, one.val_rows, ThreadPool(1))
    loss = float(bce(logits, one.val_rows.targets_NL, one.val_rows.known_NL))
    assert trained.history[-1]["val_loss"] == pytest.approx(loss, rel=1e-5)
    assert trained.history[-1]["val_micro_f1"] == pytest.approx(
        one.judge.score("val", torch.sigmoid(logits).numpy()), abs=0.02
    )


def test_weights_depend_on_the_seed_alone(data):
    alone = job(data, DRAWING, seed=1)
    train_all([alone], threads=1)
    many = [job(data, DRAWING, seed=seed) for seed in (0, 1, 2, 1)]
    train_all(many, threads=3)
    assert torch.equal(weights(many[1].network), weights(alone.network))
    assert torch.equal(weights(many[3].network), weights(alone.network))
    assert not torch.equal(weights(many[0].network), weights(alone.network))


@pytest.mark.parametrize("widths", [(16, 12), (300, 700)])
def test_kernels_that_move_at_once_move_as_all_together(widths, data):
    """A clip that never applies makes the engine wait for all gradients."""
    training = replace(PLAIN.training, weight_decay=0.1, epochs=2)
    wide = replace(DRAWING, training=training).changed(model={"widths": widths})
    one, other = (job(data, wide.changed(training={"clip": clip})) for clip in (0.0, 1e9))
    train_all([one, other])
    assert torch.equal(weights(one.network), weights(other.network))


def test_nothing_of_the_process_changes(data):
    torch.manual_seed(5)
    threads, expected = torch.get_num_threads(), torch.rand(3)
    torch.manual_seed(5)
    train_all([job(data, DRAWING)])
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_one_that_diverges_does_not_stop_the_others(data):
    wild = replace(PLAIN, training=Training(epochs=30, patience=0, rate=1e6))
    good, bad = train_all([job(data), job(data, wild)])
    assert good.state == "finished"
    looped = by_loop(job(data, wild))
    assert [bad.state, looped.state] == ["diverged", "diverged"]
    assert isinstance(bad.error, TrainingDivergedError)
    assert (bad.error.step, bad.error.epoch) == (looped.error.step, looped.error.epoch)
    assert bad.error.loss == pytest.approx(looped.error.loss, rel=1e-3)


def test_nan_in_the_weights_is_seen(data):
    spoilt = job(data)
    with torch.no_grad():
        spoilt.network.layers.dense_0.weight[0, 0] = math.nan
    (result,) = train_all([spoilt])
    assert (result.state, result.error.step, result.error.epoch) == ("diverged", 1, 1)


def test_a_listener_is_told_of_epochs_and_may_stop_its_job(data):
    seen = []

    def until_second(event):
        seen.append(event)
        return event.row["epoch"] == 2

    first, second = train_all([job(data, on_event=until_second), job(data)], threads=1)
    assert [event.row["epoch"] for event in seen] == [1, 2]
    assert all(isinstance(event, EpochEnded) for event in seen)
    assert (first.state, len(first.history), first.delivered_epoch) == ("stopped", 2, 2)
    assert (second.state, len(second.history)) == ("finished", 6)


def test_ctrl_c_ends_all_jobs_and_leaves_what_they_reached(data):
    def interrupt(event):
        raise KeyboardInterrupt

    untouched = job(data, seed=1)
    before = weights(untouched.network).clone()
    first, second = train_all([job(data, on_event=interrupt), untouched], threads=1)
    assert (first.state, len(first.history)) == ("stopped", 1)
    assert (second.state, second.history) == ("stopped", ())
    assert torch.equal(weights(untouched.network), before)


def test_what_it_cannot_train_is_left_to_the_torch_loop():
    assert usable(RECIPES["dense-regularised"])
    assert not usable(RECIPES["cnn"])
    assert not usable(replace(PLAIN, training=Training(autocast=True)))
    assert not usable(replace(PLAIN, training=Training(augmentation=("mirror",))))
    assert not usable(PLAIN, device="cuda")


def test_without_numbas_compiler_torch_trains():
    """NUMBA_DISABLE_JIT=1, as people set it to debug code of their own."""
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from making import feature_table, locked\n"
        "from tagfit.api import fit\n"
        "from tagfit.recipes import Recipe, Training\n"
        "from tagfit.records.runs import Fitting\n"
        "from tagfit.training.quick import fit_all\n"
        "data, recipe = locked(feature_table()), Recipe(name='short', training=Training(epochs=2))\n"
        "fit(data, recipe=recipe)\n"
        "rows = data.split.rows('train')\n"
        "print(fit_all([Fitting(data.dataset.labels_NL, rows, rows[:5], 0)], data.dataset.x, recipe)[0].shape)\n"
    )
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("(5, ")
