"""Quick trainings: asked once, each by itself."""

import numpy as np
import pytest
import torch

from making import feature_table
from tagfit.errors import TrainingDivergedError
from tagfit.metrics.scores import score_one
from tagfit.models.registry import build_network
from tagfit.recipes import CnnModel, DenseModel, Recipe, Training
from tagfit.records.runs import Fitting, Units
from tagfit.training.inference import dead_units
from tagfit.training.inputs import NetworkInputs
from tagfit.training.quick import fit_all

RECIPE = Recipe(name="mine", model=DenseModel(widths=(16,)), training=Training(epochs=30, rate=0.01, patience=0))
TABLE = feature_table(samples=300)
ROWS, ASK = np.arange(200), np.arange(200, 300)


def test_each_fitting_learns_what_it_is_told_and_is_asked_for_its_rows():
    other_NL = 1 - TABLE.labels_NL[:, :1]
    both = fit_all([Fitting(TABLE.labels_NL, ROWS, ASK), Fitting(other_NL, ROWS, ASK[:40])], TABLE.x, RECIPE)
    assert [p_NL.shape for p_NL in both] == [(100, 3), (40, 1)]
    assert score_one("micro_f1", TABLE.labels_NL[ASK], both[0]) > 0.8
    assert score_one("micro_f1", other_NL[ASK[:40]], both[1]) > 0.8
    (alone,) = fit_all([Fitting(TABLE.labels_NL, ROWS, ASK)], TABLE.x, RECIPE)
    np.testing.assert_array_equal(alone, both[0])


def test_a_fitting_may_bring_its_own_features_recipe_and_rows_to_stop_by():
    told = Recipe(name="told", model=DenseModel(widths=()), training=Training(epochs=40, rate=0.05, patience=3))
    x_ND = TABLE.labels_NL.astype(np.float32)
    fitting = Fitting(TABLE.labels_NL, ROWS, ASK, x_ND=x_ND, recipe=told, stop=ASK[:20])
    assert score_one("micro_f1", TABLE.labels_NL[ASK], fit_all([fitting], TABLE.x, RECIPE)[0]) > 0.95


def test_a_fitting_that_diverges_is_an_error():
    wild = Recipe(name="wild", training=Training(epochs=2, rate=1e30, patience=0))
    with pytest.raises(TrainingDivergedError):
        fit_all([Fitting(TABLE.labels_NL, ROWS, ASK)], TABLE.x, wild)


@pytest.mark.parametrize(("model", "shape"), [(DenseModel(widths=(8, 4)), (6,)), (CnnModel(width=4), (16, 16, 3))])
def test_units_that_never_answer_are_dead(model, shape):
    network = build_network(Recipe(name="mine", model=model), shape, 2)
    x = np.random.default_rng(0).integers(0, 256, size=(20, *shape)).astype(np.uint8)
    scale, kind = (1 / 255, "images") if len(shape) == 3 else (1.0, "features")
    x = x if kind == "images" else x.astype(np.float32) - 128
    inputs = NetworkInputs(x, scale, torch.device("cpu"))
    before = dead_units(network, inputs, np.arange(20))
    first = next(layer for layer in network.modules() if getattr(layer, "bias", None) is not None)
    with torch.no_grad():
        first.bias[:2] = -1e6
    after = dead_units(network, inputs, np.arange(20))
    assert [one.layer for one in before] == [one.layer for one in after]
    assert after[0].dead >= 2 > before[0].dead
    assert after[0] == Units(after[0].layer, after[0].dead, before[0].count)
