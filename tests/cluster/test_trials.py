"""A cure whose trials are trained on a cluster comes to what it comes to here."""

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
from making import PROVE, as_json, feature_table, image_table, locked, scenes
from tagfit.cluster.connection import connected
from tagfit.cluster.trials import RETRIES, ClusterTrainer
from tagfit.data.folds import trainings
from tagfit.recipes import CnnModel, DenseModel, Recipe, Training
from tagfit.runs.record import read_record
from tagfit.training import trainer
from tagfit.training.device import find_device
from tagfit.training.events import EpochEnded, RunEnded, Waiting
from tagfit.training.inputs import NetworkInputs
from tagfit.training.job import TrainingJob

long_form = pytest.mark.skipif(not PROVE, reason="the long form: make prove")

SHORT = Recipe(name="short", model=DenseModel(widths=(8,), dropout=(0.2,)), training=Training(epochs=6, patience=0))
BASELINE = replace(SHORT, name="baseline")


def told(record):
    """A result without what depends on the clock."""
    if isinstance(record, dict):
        return {name: told(value) for name, value in record.items() if name not in ("seconds", "overhead", "date")}
    return [told(value) for value in record] if isinstance(record, list) else record


def search(**options):
    """A cure with a search, by the first candidates and a generation; what else is given is `cure`'s."""
    return tagfit.cure(locked(feature_table()), baseline=BASELINE, trials=12, **options)


@pytest.fixture(scope="module")
def here():
    """What the search comes to on this machine."""
    return search()


@pytest.fixture
def together(data):
    """Trains jobs on a cluster, and says which events there were."""

    def train(jobs):
        events, inputs = [], NetworkInputs.of(jobs[0].data.dataset, find_device("cpu"))
        with connected("ray") as ray:
            return ClusterTrainer(ray, inputs, "micro_f1", events.append).train_together(jobs), events

    return train


def equal(job, result):
    """Whether its weights are those of the same job trained here."""
    inputs = NetworkInputs.of(job.data.dataset, find_device("cpu"))
    here = trainer.Trainer(inputs, "micro_f1", lambda event: None).train(job).network.state_dict()
    there = result.network.state_dict()
    return list(here) == list(there) and all(bool((here[name] == there[name]).all()) for name in here)


@long_form
def test_cnns_come_to_the_same(cluster, together):
    data = locked(image_table(samples=60, x=scenes(60)))
    recipes = [Recipe(name="cnn", model=CnnModel(width=4, views=views), training=SHORT.training) for views in (1, 2)]
    jobs = [TrainingJob(recipe, data, 0, f"cnn {number}", number) for number, recipe in enumerate(recipes)]
    results, events = together(jobs)
    assert all(map(equal, jobs, results))
    told = [(event.number, event.row["epoch"]) for event in events if isinstance(event, EpochEnded)]
    assert sorted(told) == [(number, epoch) for number in (0, 1) for epoch in range(1, 7)]


def test_folds_come_to_the_same(cluster, table, together):
    folded = trainings(tagfit.load(table.x, table.labels_NL, folds=3))
    jobs = [TrainingJob(SHORT, data, 0, f"fold {number}", number) for number, data in enumerate(folded)]
    results, _ = together(jobs)
    assert len(results) == 3
    assert all(map(equal, jobs, results))


@long_form
def test_a_cure_with_folds_comes_to_the_same(cluster, table):
    folded = tagfit.load(table.x, table.labels_NL, folds=3)
    records = [as_json(tagfit.cure(folded, baseline=BASELINE, trials=2, on=on).record) for on in (None, "ray")]
    assert told(records[0]) == told(records[1])


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


@long_form
@pytest.mark.usefixtures("_sent_whole")
def test_a_trial_that_kills_its_workers_is_failed_after_two_retries(cluster, data, together, tmp_path):
    good = TrainingJob(SHORT, data, 0, "good", 1, 2)
    bad = TrainingJob(replace(SHORT, name="bad"), data, 0, "bad", 2, 2, pruner=Deadly(tmp_path / "tries"))
    results, events = together([good, bad])
    assert [one.state for one in results] == ["finished", "failed"]
    assert len((tmp_path / "tries").read_text()) == 1 + RETRIES
    assert equal(good, results[0])
    assert sorted(event.state for event in events if isinstance(event, RunEnded)) == ["failed", "finished"]


def test_a_failed_trial_is_in_the_record(data, monkeypatch):
    train = trainer.Trainer.train_together

    def failing(self, jobs):
        return [
            replace(result, state="failed", error=tagfit.TagfitError("the node went"))
            if job.recipe.name == "dense-narrower"
            else result
            for job, result in zip(jobs, train(self, jobs), strict=True)
        ]

    monkeypatch.setattr(trainer.Trainer, "train_together", failing)
    record = tagfit.cure(data, baseline=BASELINE, trials=3).record
    states = {one.recipe.name: one.state for one in record.tried}
    assert states["dense-narrower"] == "failed"
    assert set(states.values()) == {"finished", "failed"}


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from cluster.test_trials import search
search(on="ray", output=sys.argv[2])
"""


def test_what_was_killed_and_then_stopped_is_gone_on_with(cluster, request, tmp_path):
    run, ended = tmp_path / "run", []
    driver = subprocess.Popen([sys.executable, "-c", KILLED, str(Path(__file__).parents[1]), str(run)])
    here = request.getfixturevalue("here")  # meanwhile
    until = time.monotonic() + 60
    while len(list(run.glob("checkpoints/*.safetensors"))) < 4 and time.monotonic() < until:
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert not (run / "result.json").exists()
    assert len(list(run.glob("checkpoints/*.safetensors"))) >= 4

    def stop(event):
        ended.extend([event.number] if isinstance(event, RunEnded) else [])
        return isinstance(event, Waiting) and len(ended) >= 6

    assert search(on="ray", output=run, on_event=stop).record.state == "stopped"
    search(output=run)  # on one machine
    assert told(as_json(read_record(run))) == told(as_json(here.record))


def test_another_version_on_a_node_is_said(cluster, data, together, monkeypatch):
    monkeypatch.setattr("tagfit.__version__", "9.9")
    with pytest.raises(tagfit.TagfitError, match=r"expected 9\.9 on Python"):
        together([TrainingJob(SHORT, data, 0, "short")])


def test_a_search_that_loses_a_node_comes_to_the_same(lose_node, here, tmp_path):
    ended = []

    def take_a_node(event):
        if isinstance(event, RunEnded):
            ended.append(event.number)
            if len(ended) == 3:
                lose_node()

    there = search(on="ray", on_event=take_a_node, output=tmp_path / "run")
    assert len(ended) == len(set(ended))
    assert told(as_json(there.record)) == told(as_json(here.record))
    x = np.zeros((3, 8), np.float32)
    np.testing.assert_array_equal(there.tagger.predict(x).scores, here.tagger.predict(x).scores)
