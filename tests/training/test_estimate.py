import pytest
import torch

from tagfit.models.registry import build_network
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.training import engine as dense_engine
from tagfit.training import estimate
from tagfit.training.batches import LabelledRows
from tagfit.training.job import PreparedJob, TrainingResult

RECIPE = Recipe(name="quick", model=DenseModel(widths=(8,)), training=Training(epochs=10))


def test_a_long_epoch_is_timed_in_part(data, monkeypatch):
    """The first epoch, in which something may be compiled, does not count."""
    rows = [LabelledRows.of(data, part, torch.device("cpu")) for part in ("train", "val")]
    network = build_network(RECIPE, data.dataset.preprocessing.shape, len(data.dataset.label_names))
    given = []

    def train_all(jobs):
        given.extend(jobs)
        rows = ({"seconds": 9.0}, {"seconds": 2.0}, {"seconds": 4.0})
        return [TrainingResult(network, rows, 3, "finished")]

    monkeypatch.setattr(dense_engine, "train_all", train_all)
    monkeypatch.setattr(estimate, "ROWS_OF_AN_EPOCH", len(rows[0]) // 4)
    assert estimate.longest_compiled(PreparedJob(network, RECIPE.training, *rows)) == pytest.approx(
        10 * 3.0 * 4, rel=0.1
    )
    assert len(given[0].train_rows) == len(rows[0]) // 4
    assert given[0].training.patience == 0


def test_a_training_that_diverges_takes_time_as_well(data):
    rows = [LabelledRows.of(data, part, torch.device("cpu")) for part in ("train", "val")]
    network = build_network(RECIPE, data.dataset.preprocessing.shape, len(data.dataset.label_names))
    with torch.no_grad():
        network.layers.dense_0.weight[0, 0] = torch.nan
    assert estimate.longest_compiled(PreparedJob(network, RECIPE.training, *rows)) > 0
