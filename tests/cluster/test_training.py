"""A training that a cluster's ranks share, some of which are lost."""

import time
from dataclasses import replace

import numpy as np
import pytest

import tagfit
from making import PROVE, image_table, locked, tiny_backbone
from tagfit.cluster import training
from tagfit.errors import InputError, RecipeError, TagfitError
from tagfit.recipes import CnnModel, Recipe, Training, find_recipe
from tagfit.training import checkpoint
from tagfit.training.events import EpochEnded

#: Ray warns of what it does itself
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

#: nothing is drawn at random
RECIPE = Recipe(
    name="shared",
    model=CnnModel(width=4, depth=0, dropout=0.0),
    training=Training(epochs=30, patience=1, batch_size=9, rate=0.01, averaging=0.9),
)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    """Here too, as on a rank: threads normalise over a share of the batch."""
    monkeypatch.setattr("tagfit.training.thread_pool.MOST", 1)


def curve(result):
    return [[row["train_loss"], row["val_loss"]] for row in result.record["after"]["history"]]


def assert_alike(result, other):
    np.testing.assert_allclose(curve(result), curve(other), rtol=1e-4)
    for part, scores in other.record["after"]["scores"].items():
        assert result.record["after"]["scores"][part] == pytest.approx(scores, rel=1e-3)


class Loses:
    """A listener to a training that waits until a checkpoint is due, and kills a node two epochs later."""

    def __init__(self, cluster, replaced=False):
        self.epochs, self._cluster, self._replaced = [], cluster, replaced

    def __call__(self, event):
        if isinstance(event, EpochEnded):
            self.epochs.append(event.row["epoch"])
            if self.epochs[-1] == 2:
                time.sleep(checkpoint.EVERY)
            if self.epochs[-1] == 4:
                self._lose()

    def _lose(self):
        """A node that the command is not at; a rank is on each."""
        import ray

        here = ray.get_runtime_context().get_node_id()
        node = next(node for node in self._cluster.workers if node.node_id != here)
        self._cluster.remove_node(node, allow_graceful=False)
        until = time.monotonic() + 30
        while any(one["Alive"] and one["NodeID"] == node.node_id for one in ray.nodes()):
            assert time.monotonic() < until
            time.sleep(0.1)
        if self._replaced:
            self._cluster.add_node(num_cpus=1)


def test_a_training_that_loses_a_node_ends_as_on_one_machine(doomed_cluster, tmp_path):
    data, loses = locked(image_table()), Loses(doomed_cluster)
    result = tagfit.fit(data, recipe=RECIPE, on="ray", output=tmp_path / "run", on_event=loses)
    assert loses.epochs == [row["epoch"] for row in result.record["after"]["history"]]  # each is told once
    assert 4 < len(loses.epochs) < RECIPE.training.epochs
    assert_alike(result, tagfit.fit(data, recipe=RECIPE))


@pytest.mark.skipif(not PROVE, reason="the long form: make prove")
def test_a_lost_node_that_is_replaced_changes_nothing(doomed_cluster):
    """To the bit, with all that draws at random."""
    model = replace(RECIPE.model, dropout=0.5, depth=1, stochastic_depth=0.3)
    recipe = replace(RECIPE, model=model, training=replace(RECIPE.training, augmentation=("mirror",), patience=0))
    data = locked(image_table())
    straight, lossy = (
        tagfit.fit(data, recipe=recipe, allow=["augmentation"], on="ray", on_event=listener)
        for listener in (lambda event: None, Loses(doomed_cluster, replaced=True))
    )
    assert curve(lossy) == curve(straight)


@pytest.mark.skipif(not PROVE, reason="the long form: make prove")
def test_ranks_fine_tune_and_stop_when_asked(cluster, tmp_path, monkeypatch):
    table = image_table(side=32)
    data = tagfit.load({"x": table.x, "y": table.labels_NL}, backbone=tiny_backbone(tmp_path / "backbone"))
    recipe = find_recipe("fine-tuned")
    recipe = replace(
        recipe,
        model=replace(recipe.model, dropout=0.0),
        training=replace(recipe.training, epochs=3, patience=0, batch_size=9),
    )
    one, two = (tagfit.fit(data, recipe=recipe, fine_tune=True, on=on) for on in (None, "ray"))
    assert_alike(two, one)
    stopped = tagfit.fit(data, recipe=recipe, fine_tune=True, on="ray", on_event=lambda e: isinstance(e, EpochEnded))
    assert (stopped.record["state"], curve(stopped)) == ("stopped", curve(two)[:1])
    exploding = replace(recipe, training=replace(recipe.training, rate=1e30))
    with pytest.raises(tagfit.TagfitError, match="diverged at step"):
        tagfit.fit(data, recipe=exploding, fine_tune=True, on="ray")
    monkeypatch.setattr(training, "version", lambda: ("0.0.1", "3.14"))
    with pytest.raises(TagfitError, match=r"0\.0\.1"):
        tagfit.fit(data, recipe=recipe, fine_tune=True, on="ray")


def test_a_dense_recipe_is_refused_before_anything_is_done():
    with pytest.raises(RecipeError, match=r"(?s)dense.*Remove --on"):
        tagfit.fit(locked(image_table()), recipe="dense-baseline", on="ray")
    with pytest.raises(InputError, match="expected ray"):
        tagfit.fit(locked(image_table()), recipe=RECIPE, on="spark")
