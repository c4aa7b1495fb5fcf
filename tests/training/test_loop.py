from dataclasses import replace

import numpy as np
import pytest
import torch

from making import feature_table, image_table, locked
from tagfit.errors import TrainingDivergedError
from tagfit.models.losses import LOSSES, bce
from tagfit.models.registry import build_network
from tagfit.recipes import RECIPES, DenseModel, Recipe, Training
from tagfit.records.data import UNKNOWN
from tagfit.training import loop
from tagfit.training.batches import LabelledRows
from tagfit.training.events import EpochEnded, StepEnded
from tagfit.training.job import PreparedJob
from tagfit.training.progress import EarlyStopping

CPU = torch.device("cpu")
SMALL = Recipe(name="small", model=DenseModel(widths=(16,), dropout=(0.2,)), training=Training(epochs=4, patience=0))


def run(data, recipe=SMALL, seed=0, **arguments):
    network = build_network(recipe, data.dataset.preprocessing.shape, len(data.dataset.label_names), seed=seed)
    parts = [LabelledRows.of(data, part, CPU) for part in ("train", "val")]
    return network, loop.train(PreparedJob(network, recipe.training, *parts, seed, **arguments))


def weights(network):
    return torch.cat([tensor.flatten().double() for tensor in network.state_dict().values()])


def test_the_loss_falls(data):
    _, trained = run(data, replace(SMALL, training=Training(epochs=40, patience=0, rate=0.01)))
    losses = [row["train_loss"] for row in trained.history]
    assert losses[-1] < 0.7 * losses[0]
    assert [row["epoch"] for row in trained.history] == list(range(1, 41))


def test_the_same_seed_gives_the_same_weights_and_another_does_not(data):
    first, again, other = run(data)[0], run(data)[0], run(data, seed=1)[0]
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_the_global_random_state_is_left_alone(data):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(data)
    assert torch.equal(torch.rand(3), expected)


def test_early_stopping_restores_the_best_weights(data):
    kept = {}

    def keep(event):
        if isinstance(event, EpochEnded):
            kept[event.row["epoch"]] = weights(network).clone()

    recipe = replace(SMALL, training=Training(epochs=200, patience=3, rate=0.03))
    network = build_network(recipe, (8,), 3)
    parts = [LabelledRows.of(data, part, CPU) for part in ("train", "val")]
    trained = loop.train(PreparedJob(network, recipe.training, *parts, on_event=keep))
    val_losses = [row["val_loss"] for row in trained.history]
    best = int(np.argmin(val_losses)) + 1
    assert len(trained.history) == best + 3 < 200
    assert trained.delivered_epoch == best
    assert torch.equal(weights(network), kept[best])
    assert not torch.equal(weights(network), kept[best + 3])


def test_without_patience_the_last_weights_are_delivered(data):
    assert run(data)[1].delivered_epoch == 4


@pytest.mark.parametrize(
    ("val_losses", "stops_after"),
    [([3, 2, 1, 1, 1], 5), ([1, 2, 2], 3), ([3, 4, 2, 3, 1], None), ([float("nan")] * 2, 2)],
)
def test_the_rule_of_early_stopping(val_losses, stops_after):
    stopping = EarlyStopping(patience=2)
    network = torch.nn.Linear(1, 1)
    stops = []
    for epoch, loss in enumerate(val_losses, start=1):
        stopping.note(epoch, loss, None, network)
        stops.append(stopping.over)
    assert stops == [epoch == stops_after for epoch in range(1, len(val_losses) + 1)]


def test_a_listener_stops_training_after_the_step(data):
    seen = []

    def stop_at_three(event):
        seen.append(event)
        return event == StepEnded(3)

    _, trained = run(data, on_event=stop_at_three)
    assert trained.state == "stopped"
    assert seen[-1] == StepEnded(3)


def test_stopped_training_delivers_the_best_so_far(data):
    recipe = replace(SMALL, training=Training(epochs=50, patience=20))
    network, trained = run(
        data, recipe, on_event=lambda event: isinstance(event, EpochEnded) and event.row["epoch"] == 6
    )
    assert (trained.state, len(trained.history)) == ("stopped", 6)
    assert trained.delivered_epoch == 1 + int(np.argmin([row["val_loss"] for row in trained.history]))
    assert not network.training


def test_ctrl_c_stops_it_cleanly(data):
    def interrupt(event):
        if isinstance(event, EpochEnded) and event.row["epoch"] == 2:
            raise KeyboardInterrupt

    assert run(data, on_event=interrupt)[1].state == "stopped"


def test_a_loss_that_is_not_finite_names_its_step(data, monkeypatch):
    losses = iter([0.7, 0.6, float("nan"), 0.5])
    monkeypatch.setitem(LOSSES, "bce", lambda counts: lambda *cells: bce(*cells) * 0 + next(losses, 0.5))
    error = run(data)[1].error
    assert isinstance(error, TrainingDivergedError)
    assert "step 3 (epoch 1)" in str(error)
    assert error.step == 3


def test_a_rate_that_explodes_is_an_error(data):
    result = run(data, replace(SMALL, training=Training(epochs=30, rate=1e4, patience=0)))[1]
    assert (result.state, "Lower the learning rate" in str(result.error)) == ("diverged", True)


def test_unknown_cells_leave_no_trace_in_the_gradient():
    table = feature_table(samples=60)
    labels_NL = table.labels_NL.copy()
    labels_NL[:, 2] = UNKNOWN
    network, _ = run(locked(replace(table, labels_NL=labels_NL)))
    start = build_network(SMALL, (8,), 3)
    output, first = network.layers.output, start.layers.output
    assert torch.equal(output.bias[2], first.bias[2])
    assert not torch.equal(output.bias[:2], first.bias[:2])


def test_weight_decay_pulls_kernels_only(data):
    decayed = replace(SMALL, training=Training(epochs=20, weight_decay=5.0, patience=0))
    with_decay, without = (
        run(data, decayed)[0].layers,
        run(data, replace(SMALL, training=Training(epochs=20, patience=0)))[0].layers,
    )
    assert with_decay.dense_0.weight.norm() < 0.9 * without.dense_0.weight.norm()
    assert with_decay.output.bias.norm() > 0


def test_label_smoothing_keeps_probabilities_from_the_edge(data):
    def spread(smoothing):
        training = Training(epochs=150, label_smoothing=smoothing, patience=0, rate=0.01)
        network, _ = run(data, replace(SMALL, training=training))
        x = LabelledRows.of(data, "train", CPU).take(torch.arange(40))[0]
        return torch.sigmoid(network(x)).sub(0.5).abs().mean()

    assert spread(0.3) < 0.9 * spread(0.0)


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "fine-tuned"])
def test_a_last_batch_of_one_is_no_trouble(name):
    table = image_table(samples=44) if name == "cnn" else feature_table(samples=44)
    data = locked(replace(table, given_split=np.array([0] * 33 + [1] * 11, dtype=np.int8)))
    recipe = replace(RECIPES[name], training=replace(RECIPES[name].training, epochs=2))
    assert np.isfinite(run(data, recipe)[1].history[-1]["val_loss"])
