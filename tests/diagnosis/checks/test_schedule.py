"""Rate and schedule, where the plants of test_power.py do not reach."""

from dataclasses import replace

import pytest

from making import image_table, locked
from tagfit.api import diagnose
from tagfit.diagnosis.checks.schedule import schedule
from tagfit.diagnosis.evidence import Evidence
from tagfit.recipes import CnnModel, DenseModel, Recipe, Training
from tagfit.records.runs import Units
from tagfit.records.scores import Target

FALLING = [{"epoch": n, "train_loss": 1 - n / 20, "val_loss": 1 - n / 20} for n in range(1, 11)]


def seen(history, **training):
    recipe = Recipe(name="mine", training=Training(**{"epochs": len(history), "patience": 0, **training}))
    return [finding.meaning for finding in schedule(Evidence(Target(), recipe, ("a",), history=history))]


def test_a_loss_that_falls_to_the_last_epoch_was_cut_short():
    assert seen(FALLING) == ["Training was cut short."]


@pytest.mark.parametrize("training", [{"schedule": "one-cycle"}, {"epochs": 50, "patience": 5}, {"train_ceiling": 0.9}])
def test_what_was_to_end_there_was_not_cut_short(training):
    assert not seen(FALLING, **training)


def test_most_folds_have_to_show_it():
    flat = [{**row, "train_loss": 0.3, "val_loss": 0.3} for row in FALLING]

    def folds(*courses):
        return [{"fold": fold, **row} for fold, course in enumerate(courses) for row in course]

    recipe = Recipe(name="mine", training=Training(epochs=10, patience=0))
    evidence = Evidence(Target(), recipe, ("a",), history=folds(FALLING, FALLING, flat))
    assert schedule(evidence)
    assert not schedule(replace(evidence, history=folds(FALLING, flat, flat)))


def test_a_network_that_is_dead_as_a_whole_is_as_bad_as_can_be():
    layers = [Units("relu_0", 8, 8), Units("relu_1", 1, 8)]
    recipe = Recipe(name="mine", training=Training(epochs=50))
    (finding,) = schedule(Evidence(Target(), recipe, ("a",), history=FALLING, units=lambda: layers))
    assert finding.strength == 1
    assert finding.names == ("relu_0",)
    assert finding.tries[0] == "dense-lower-rate"


def test_maps_of_a_cnn_count_for_more_samples():
    cnn = Recipe(name="mine", model=CnnModel(), training=Training(batch_size=4, epochs=50))
    dense = replace(cnn, model=DenseModel(batch_norm=True))
    told = [schedule(Evidence(Target(), recipe, ("a",), history=FALLING)) for recipe in (cnn, dense)]
    assert [len(findings) for findings in told] == [0, 1]


def test_a_training_that_diverges_is_a_finding():
    wild = Recipe(name="wild", training=Training(epochs=3, rate=1e30, patience=0))
    worst = diagnose(locked(image_table()), recipe=wild, quick=True).findings[0]
    assert worst.meaning == "Training diverged: there is no model."
    assert "step" in worst.seen
