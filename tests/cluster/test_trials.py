"""A cure whose trials are trained on a cluster comes to what it comes to here."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ray import cloudpickle

import tagfit
from making import as_json, image_table, locked, scenes
from tagfit.cluster.connection import connected
from tagfit.cluster.trials import RETRIES, ClusterTrainer
from tagfit.recipes import CnnModel, DenseModel, Recipe, Training
from tagfit.runs.folder import read_result
from tagfit.training import trainer
from tagfit.training.device import find_device
from tagfit.training.events import EpochEnded, RunEnded, Waiting
from tagfit.training.inputs import NetworkInputs
from tagfit.training.trainer import Task

SHORT = Recipe(name="short", model=DenseModel(widths=(8,), dropout=(0.2,)), training=Training(epochs=6, patience=0))
BASELINE = replace(SHORT, name="baseline")


def told(record):
    """A result without what depends on the clock."""
    if isinstance(record, dict):
        return {name: told(value) for name, value in record.items() if name not in ("seconds", "overhead", "date")}
    return [told(value) for value in record] if isinstance(record, list) else record


@pytest.fixture
def search(data):
    """A cure with a search, by the ladder's first and a generation; what else is given is `cure`'s."""
    return lambda **options: tagfit.cure(data, baseline=BASELINE, trials=12, **options)


def test_a_search_comes_to_the_same(cluster, search):
    here, there = search(), search(on="ray")
    assert told(as_json(there.record)) == told(as_json(here.record))
    x = np.zeros((3, 8), np.float32)
    np.testing.assert_array_equal(there.tagger.predict(x).scores, here.tagger.predict(x).scores)


@pytest.fixture
def together(data):
    """Trains tasks on a cluster, and says which events there were."""

    def train(tasks):
        events, inputs = [], NetworkInputs.of(tasks[0].data.dataset, find_device("cpu"))
        with connected("ray") as ray:
            return ClusterTrainer(ray, inputs, "micro_f1", events.append).train_together(tasks), events

    return train


def equal(outcome):
    """Whether its weights are those of the same task trained here."""
    inputs = NetworkInputs.of(outcome.task.data.dataset, find_device("cpu"))
    here = trainer.Trainer(inputs, "micro_f1", lambda event: None).train(outcome.task).network.state_dict()
    there = outcome.network.state_dict()
    return list(here) == list(there) and all(bool((here[name] == there[name]).all()) for name in here)


def test_cnns_come_to_the_same(cluster, together):
    data = locked(image_table(samples=60, x=scenes(60)))
    recipes = [Recipe(name="cnn", model=CnnModel(width=4, views=views), training=SHORT.training) for views in (1, 2)]
    outcomes, events = together(
        [Task(recipe, data, 0, f"cnn {number}", number) for number, recipe in enumerate(recipes)]
    )
    assert all(equal(outcome) for outcome in outcomes)
    told = [(event.number, event.row["epoch"]) for event in events if isinstance(event, EpochEnded)]
    assert sorted(told) == [(number, epoch) for number in (0, 1) for epoch in range(1, 7)]


def test_folds_come_to_the_same(cluster, table):
    folded = tagfit.load(table.x, table.labels_NL, folds=3)
    records = [as_json(tagfit.cure(folded, baseline=BASELINE, trials=2, on=on).record) for on in (None, "ray")]
    assert told(records[0]) == told(records[1])


def test_a_node_that_is_lost_costs_time_and_nothing_else(doomed_cluster, search, tmp_path):
    ended = []

    def take_a_node(event):
        if isinstance(event, RunEnded):
            ended.append(event.number)
            if len(ended) == 3:
                doomed_cluster.remove_node(doomed_cluster.workers.pop(), allow_graceful=False)

    there = search(on="ray", on_event=take_a_node, output=tmp_path / "run")
    assert len(ended) == len(set(ended))
    assert told(as_json(there.record)) == told(as_json(search().record))


class Deadly:
    """Kills whoever asks who lags behind, and counts them."""

    def __init__(self, file):
        self.file = file

    def prunes(self, history, epochs):
        with self.file.open("a") as file:
            file.write("x")
        os._exit(1)


@pytest.fixture
def _sent_whole():
    """What is defined here goes to workers as it is: they cannot import tests."""
    here = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(here)
    yield
    cloudpickle.unregister_pickle_by_value(here)


@pytest.mark.usefixtures("_sent_whole")
def test_a_trial_that_kills_its_workers_is_failed_after_two_retries(cluster, data, together, tmp_path):
    good = Task(SHORT, data, 0, "good", 1, 2)
    bad = Task(replace(SHORT, name="bad"), data, 0, "bad", 2, 2, pruner=Deadly(tmp_path / "tries"))
    outcomes, events = together([good, bad])
    assert [one.state for one in outcomes] == ["finished", "failed"]
    assert len((tmp_path / "tries").read_text()) == 1 + RETRIES
    assert equal(outcomes[0])
    assert sorted(event.state for event in events if isinstance(event, RunEnded)) == ["failed", "finished"]


def test_a_failed_trial_is_in_the_record(data, monkeypatch):
    train = trainer.Trainer.train_together

    def failing(self, tasks):
        return [
            replace(one, failed="the node went") if one.task.recipe.name == "dense-narrower" else one
            for one in train(self, tasks)
        ]

    monkeypatch.setattr(trainer.Trainer, "train_together", failing)
    record = as_json(tagfit.cure(data, baseline=BASELINE, trials=3).record)
    states = {one["recipe"]["name"]: one["state"] for one in record["tried"]}
    assert states["dense-narrower"] == "failed"
    assert set(states.values()) == {"finished", "failed"}


def test_stopping_takes_back_what_was_sent(cluster, search, tmp_path):
    ended = []

    def stop(event):
        ended.extend([event.number] if isinstance(event, RunEnded) else [])
        return isinstance(event, Waiting) and len(ended) >= 3

    stopped = search(on="ray", on_event=stop, output=tmp_path / "run")
    assert as_json(stopped.record)["state"] == "stopped"
    whole = search(on="ray", output=tmp_path / "run")
    assert told(as_json(whole.record)) == told(as_json(search().record))


KILLED = """
import sys, tagfit
sys.path.insert(0, sys.argv[1])
from cluster.test_trials import BASELINE
from making import feature_table, locked
tagfit.cure(locked(feature_table()), baseline=BASELINE, trials=12, on="ray", output=sys.argv[2])
"""


def test_a_driver_that_is_killed_is_gone_on_with(cluster, search, tmp_path):
    run = tmp_path / "run"
    driver = subprocess.Popen([sys.executable, "-c", KILLED, str(Path(__file__).parents[1]), str(run)])
    until = time.monotonic() + 60
    while len(list(run.glob("checkpoints/*.safetensors"))) < 4 and time.monotonic() < until:
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert not (run / "result.json").exists()
    kept = len(list(run.glob("checkpoints/*.safetensors")))
    assert kept >= 4
    search(on="ray", output=run)
    assert told(read_result(run)) == told(json.loads(json.dumps(as_json(search().record))))


def test_another_version_on_a_node_is_said(cluster, data, monkeypatch):
    monkeypatch.setattr("tagfit.__version__", "9.9")
    with pytest.raises(tagfit.TagfitError, match=r"expected 9\.9 on Python"):
        tagfit.cure(data, baseline=BASELINE, trials=2, on="ray")
