"""Ranks train what one process trains, at the same batches: the same steps within rounding."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import ranking
from making import image_table, locked
from tagfit.recipes import CnnModel, Recipe, Training
from tagfit.records.data import UNKNOWN
from tagfit.training.batches import LabelledRows
from tagfit.training.loop import Judge
from tagfit.training.ranks import Ranks
from tagfit.training.steps import Steps
from tagfit.training.thread_pool import ThreadPool

#: 28 samples of train: the last batch is of 1, so that one of two ranks has nothing of it
TRAINING = Training(epochs=2, patience=0, batch_size=9, rate=0.01)
PLAIN = Recipe(name="plain", model=CnnModel(width=4, depth=0, dropout=0.0), training=TRAINING)
EVERYTHING = {"averaging": 0.9, "clip": 0.5, "schedule": "one-cycle", "loss": "focal", "label_smoothing": 0.1}
#: nothing is drawn at random
RECIPES = {
    "residual": PLAIN.changed(model={"depth": 1}),
    "everything": replace(PLAIN, training=replace(TRAINING, **EVERYTHING)),
    "patient": replace(PLAIN, training=replace(TRAINING, epochs=12, patience=1, rate=0.1)),
    "exploding": replace(PLAIN, training=replace(TRAINING, rate=1e30)),
}
#: much is
DRAWING = Recipe(
    name="drawing",
    model=CnnModel(width=4, depth=0, dropout=0.5),
    training=replace(TRAINING, augmentation=("mirror", "mixup"), averaging=0.9),
)


def data_of(hide=False):
    table = image_table()
    if hide:
        labels_NL = table.labels_NL.copy()
        labels_NL[::3, 1] = UNKNOWN
        table = replace(table, labels_NL=labels_NL)
    return locked(table)


class Kept:
    """A checkpoint in memory; not each rank has the same."""

    def __init__(self, content=None):
        self.content = content

    def load(self):
        return self.content

    def save(self, content):
        self.content = content


def train_on(data, recipe, ranks):
    """In one go; and stopped by the first rank alone in the second epoch, and gone on with from what it kept."""
    straight, kept = ranking.train(data, recipe, ranks), Kept()

    def stop(event):
        return ranks.number == 0 and getattr(event, "step", 0) == 6

    stopped = ranking.train(data, recipe, ranks, checkpoints=kept, on_event=stop)
    again = ranking.train(data, recipe, ranks, checkpoints=Kept(kept.content))
    return straight, stopped, kept.content, again


def train_judged(data, recipe, ranks):
    """Each rank's judge says something else."""
    scores = iter([0.2, 0.3, 0.4, 0.7] if ranks.number == 0 else [0.9] * 4)
    return ranking.train(data, recipe, ranks, judge=Judge("luck", lambda part, predictions: next(scores)))


@pytest.fixture(scope="module")
def works():
    data = data_of()
    ceiling = replace(PLAIN, training=replace(TRAINING, epochs=9, train_ceiling=0.6))
    return {
        **{name: (ranking.train, data, recipe) for name, recipe in RECIPES.items()},
        "unknown": (ranking.train, data_of(hide=True), PLAIN),
        "resumed": (train_on, data, DRAWING),
        "judged": (train_judged, data, ceiling),
    }


@pytest.fixture(scope="module")
def ranks(works):
    """By name of the work, what each of two ranks made of it."""
    found = ranking.by_ranks(2, list(works.values()))
    return {name: [of_rank[number] for of_rank in found] for number, name in enumerate(works)}


def curve(trained):
    return [[row["train_loss"], row["val_loss"]] for row in trained.history]


def assert_same(one, other):
    """To the bit."""
    for (weights, trained), (of_other, others) in zip(one, other, strict=True):
        assert curve(trained) == curve(others)
        for name, weight in weights.items():
            np.testing.assert_array_equal(of_other[name], weight, err_msg=name)


@pytest.mark.parametrize("name", [*(name for name in RECIPES if name != "exploding"), "unknown"])
def test_the_curve_is_that_of_one_process(works, ranks, name):
    action, *given = works[name]
    weights, trained = action(*given)
    found, same = ranks[name][0]
    assert same.delivered_epoch == trained.delivered_epoch
    np.testing.assert_allclose(curve(same), curve(trained), rtol=1e-4)
    for key, weight in weights.items():
        np.testing.assert_allclose(found[key], weight, rtol=1e-3, atol=1e-4, err_msg=key)
    for other in ranks[name][1:]:
        assert_same([ranks[name][0]], [other])


def test_ranks_stop_early_together(ranks):
    assert len(ranks["patient"][0][1].history) < RECIPES["patient"].training.epochs


def test_all_ranks_diverge_at_the_same_step(works, ranks):
    action, *given = works["exploding"]
    message, _ = action(*given)
    assert "diverged at step" in message
    assert [found for found, _ in ranks["exploding"]] == [message] * 2


def test_what_the_first_rank_judges_counts(ranks):
    for _, trained in ranks["judged"]:
        assert [row["train_luck"] for row in trained.history] == [0.3, 0.7]
        assert trained.delivered_epoch == 1


def test_a_stopped_training_goes_on_where_all_ranks_were(ranks):
    straight, stopped, content, again = zip(*ranks["resumed"], strict=True)
    assert [one[1].state for one in stopped] == ["stopped"] * 2
    assert content[1] is None
    assert_same(straight, again)


def test_a_rank_has_one_thread():
    rows = LabelledRows.of(data_of(), "train", torch.device("cpu"))
    with ThreadPool(2) as pool, pytest.raises(ValueError, match="a rank has one thread"):
        Steps(torch.nn.Linear(1, 1), TRAINING, rows, 0, pool, Ranks(0, 2))
