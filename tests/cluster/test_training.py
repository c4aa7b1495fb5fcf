"""A training that the ranks of a cluster share: it is stopped, and ranks are lost."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import distributed
from torch.utils.data import DistributedSampler

import tagfit
from making import PROVE, image_table, locked, tiny_backbone
from tagfit.cluster import training
from tagfit.errors import InputError, RecipeError, TagfitError
from tagfit.models.registry import build_network
from tagfit.recipes import CnnModel, Recipe, Training, find_recipe
from tagfit.records.data import UNKNOWN
from tagfit.training import checkpoint, loop
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.events import EpochEnded, StepEnded
from tagfit.training.job import PreparedJob
from tagfit.training.steps import Steps

#: Ray warns of what it does itself
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

long_form = pytest.mark.skipif(not PROVE, reason="the long form: make prove")

#: nothing but the order of samples is drawn at random
RECIPE = Recipe(
    name="shared",
    model=CnnModel(width=4, depth=0, dropout=0.0),
    training=Training(epochs=20, patience=0, batch_size=9, rate=0.01, averaging=0.9),
)


def curve(result):
    return [[row["train_loss"], row["val_loss"]] for row in result.record.after.history]


def assert_alike(result, other):
    """Of as many epochs, with losses that fell as far."""
    assert len(curve(result)) == len(curve(other))
    np.testing.assert_allclose(curve(result)[-1], curve(other)[-1], atol=0.15)
    assert result.record.after.score("val", "micro_f1") > 0.9


class Listener:
    """Notes epochs and steps, and stops after so many epochs."""

    def __init__(self, last=None):
        self.epochs, self.steps, self._last = [], [], last

    def __call__(self, event):
        if isinstance(event, StepEnded):
            self.steps.append(event.step)
        if isinstance(event, EpochEnded):
            self.epochs.append(event.row["epoch"])
        return self._last is not None and len(self.epochs) >= self._last


def test_ranks_train_as_one_machine_and_stop_when_asked(cluster, tmp_path):
    data, listener = locked(image_table()), Listener(last=15)
    stopped = tagfit.fit(data, recipe=RECIPE, on="ray", output=tmp_path / "run", on_event=listener)
    assert stopped.record.state == "stopped"
    assert 15 <= len(curve(stopped)) < 20
    assert listener.steps == list(range(1, len(listener.steps) + 1))
    shorter = replace(RECIPE, training=replace(RECIPE.training, epochs=len(curve(stopped))))
    assert_alike(stopped, tagfit.fit(data, recipe=shorter))


class Loses(Listener):
    """Waits at its second epoch until a checkpoint is due, and takes a node when Ray Train has it."""

    def __init__(self, run, lose_node):
        super().__init__()
        self._run, self._lose_node = run, lose_node

    def __call__(self, event):
        super().__call__(event)
        if isinstance(event, EpochEnded) and event.row["epoch"] == 2:
            time.sleep(checkpoint.EVERY)
        if list(self._run.glob("checkpoints/*/checkpoint_manager_snapshot.json")):
            self._lose_node()


@long_form
def test_a_training_that_loses_a_node_goes_on_from_its_checkpoint(lose_node, tmp_path):
    data, loses = locked(image_table()), Loses(tmp_path / "run", lose_node)
    result = tagfit.fit(data, recipe=RECIPE, on="ray", output=tmp_path / "run", on_event=loses)
    assert loses.epochs == list(range(1, 21))  # each is reported once
    back = [after for before, after in zip(loses.steps, loses.steps[1:], strict=False) if after <= before]
    assert len(back) == 1
    assert back[0] > 1
    assert_alike(result, tagfit.fit(data, recipe=RECIPE))
    assert not (tmp_path / "run" / "checkpoints").exists()


@long_form
def test_a_stopped_training_goes_on_where_it_was(cluster, tmp_path):
    data, again = locked(image_table()), Listener()
    stopped = tagfit.fit(data, recipe=RECIPE, on="ray", output=tmp_path / "run", on_event=Listener(last=10))
    result = tagfit.fit(data, recipe=RECIPE, on="ray", output=tmp_path / "run", on_event=again)
    before = curve(stopped)
    assert 10 <= len(before) < 20
    assert again.epochs == list(range(len(before) + 1, 21))
    assert curve(result)[: len(before)] == before
    assert_alike(result, tagfit.fit(data, recipe=RECIPE))


@long_form
def test_ranks_fine_tune_stop_early_diverge_and_are_of_one_version(cluster, tmp_path, monkeypatch):
    table = image_table(side=32)
    data = tagfit.load({"x": table.x, "y": table.labels_NL}, backbone=tiny_backbone(tmp_path / "backbone"))
    recipe = find_recipe("fine-tuned")
    recipe = replace(
        recipe,
        model=replace(recipe.model, dropout=0.0),
        training=replace(recipe.training, epochs=3, patience=0, batch_size=9),
    )
    one, two = (tagfit.fit(data, recipe=recipe, fine_tune=True, on=on) for on in (None, "ray"))
    np.testing.assert_allclose(curve(two), curve(one), rtol=0.2)
    hasty = replace(RECIPE, training=replace(RECIPE.training, epochs=30, patience=1, rate=0.1))
    early = tagfit.fit(locked(table), recipe=hasty, on="ray")  # all ranks stop together
    assert len(curve(early)) < 30
    exploding = replace(recipe, training=replace(recipe.training, rate=1e30))
    with pytest.raises(tagfit.TagfitError, match="diverged at step"):
        tagfit.fit(data, recipe=exploding, fine_tune=True, on="ray", output=tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()  # the folder is free for other options
    monkeypatch.setattr(training, "version", lambda: ("0.0.1", "3.14"))
    with pytest.raises(TagfitError, match=r"0\.0\.1"):
        tagfit.fit(data, recipe=recipe, fine_tune=True, on="ray")


@pytest.fixture
def _one_rank():
    """This process alone, as torch.distributed sees it."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


class InOrderOfRanks(Steps):
    """One machine's, in the order in which a cluster of one rank takes its samples."""

    def batches(self, epoch):
        sampler = DistributedSampler(self.rows, seed=0)
        sampler.set_epoch(epoch)
        return torch.tensor_split(torch.tensor(list(sampler)), self.per_epoch)


@pytest.mark.usefixtures("_one_rank")
def test_one_rank_trains_as_one_machine_in_its_order_to_the_bit(monkeypatch):
    """With all that a recipe has but random draws, and labels that are unknown."""
    monkeypatch.setattr("tagfit.training.thread_pool.MOST", 1)
    table = image_table()
    labels_NL = table.labels_NL.copy()
    labels_NL[::3, 1] = UNKNOWN
    data, cpu = locked(replace(table, labels_NL=labels_NL)), torch.device("cpu")
    recipe = replace(
        RECIPE, training=replace(RECIPE.training, patience=2, clip=0.5, schedule="one-cycle", loss="focal", rate=0.1)
    )
    parts = [LabelledRows.of(data, part, cpu) for part in ("train", "val")]
    sent = [(Samples.of(x, scale, cpu), y) for x, scale, y in map(training._packed, parts)]
    received = [LabelledRows.labelled(samples, np.arange(len(y)), y) for samples, y in sent]
    found = []
    for rows, steps_type in ((parts, InOrderOfRanks), (received, training._RankSteps)):
        network = build_network(recipe, (16, 16, 3), 2)
        trained = loop.train(PreparedJob(network, recipe.training, *rows), steps_type=steps_type)
        found.append(([{**row, "seconds": 0} for row in trained.history], network.state_dict()))
    (history, weights), (other, others) = found
    assert len(history) < recipe.training.epochs
    assert history == other
    assert all(bool((weights[name] == others[name]).all()) for name in weights)


def test_a_node_that_does_not_see_the_run_folder_is_named(tmp_path):
    with pytest.raises(TagfitError, match="absent: choose one with -o that all nodes see"):
        training._rank({"version": training.version(), "kept": tmp_path / "absent"})


def test_a_dense_recipe_is_refused_before_anything_is_done():
    with pytest.raises(RecipeError, match=r"(?s)dense.*Remove --on"):
        tagfit.fit(locked(image_table()), recipe="dense-baseline", on="ray")
    with pytest.raises(InputError, match="expected ray"):
        tagfit.fit(locked(image_table()), recipe=RECIPE, on="spark")
