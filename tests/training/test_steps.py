"""A step that is shared among threads is the step that one thread would take."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from making import feature_table, image_table, locked
from tagfit.models.registry import build_network
from tagfit.recipes import CnnModel, DenseModel, Recipe, Training
from tagfit.records.data import UNKNOWN
from tagfit.training.batches import LabelledRows
from tagfit.training.optimiser import AveragedNetwork
from tagfit.training.progress import EarlyStopping
from tagfit.training.steps import Steps
from tagfit.training.thread_pool import ThreadPool

PLAIN = Recipe(name="plain", model=DenseModel(widths=(16,)), training=Training(rate=0.01, clip=1.0))


def after_steps(size, table, recipe=PLAIN):
    data = locked(table)
    network = build_network(recipe, (8,), 3)
    rows = LabelledRows.of(data, "train", torch.device("cpu"))
    with ThreadPool(size) as pool:
        steps = Steps(network, recipe.training, rows, 0, pool)
        network.train()
        losses = [float(steps.step(torch.arange(start, start + 21))) for start in (0, 21, 42)]
    return network, losses


@pytest.mark.parametrize("hide", [False, True], ids=["all known", "some unknown"])
def test_a_crew_takes_the_step_that_one_would(hide):
    table = feature_table()
    if hide:
        labels_NL = table.labels_NL.copy()
        labels_NL[::3, 1] = UNKNOWN
        table = replace(table, labels_NL=labels_NL)
    (one, losses), (three, again) = after_steps(1, table), after_steps(3, table)
    assert again == pytest.approx(losses, rel=1e-5)
    for name, weight in one.state_dict().items():
        torch.testing.assert_close(three.state_dict()[name], weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("strength", "views"), [(0.0, 4), (0.5, 1)])
def test_a_view_is_drawn_only_where_augmentation_does_something(strength, views):
    training = Training(augmentation=("mirror",), augmentation_strength=strength)
    recipe = Recipe(name="views", model=CnnModel(width=4, views=4), training=training)
    rows = LabelledRows.of(locked(image_table()), "train", torch.device("cpu"))
    shape, looked = tuple(rows.samples.x.shape[1:]), []
    network = build_network(recipe, shape, rows.targets_NL.shape[1])
    network.trunk.register_forward_pre_hook(lambda module, inputs: looked.append(len(inputs[0])))
    with ThreadPool(1) as pool:
        steps = Steps(network, training, rows, 0, pool)
        network.train()
        steps.step(torch.arange(5))
    assert looked == [5 * views]


def test_moments_are_averaged_over_the_crew():
    recipe = replace(PLAIN, model=DenseModel(widths=(16,), batch_norm=True))
    (one, _), (three, _) = after_steps(1, feature_table(), recipe), after_steps(3, feature_table(), recipe)
    torch.testing.assert_close(three.layers.norm_0.running_mean, one.layers.norm_0.running_mean, rtol=0.1, atol=1e-3)


def test_the_average_follows_the_weights():
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    averaged = AveragedNetwork(network, 0.9)
    for step in range(1, 200):
        nn.init.constant_(network.weight, 1.0)
        averaged.update(step)
        if step == 1:
            assert averaged.network.weight.item() == pytest.approx(1 - 2 / 11)
    assert averaged.network.weight.item() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("on_train", "delivered", "stops_after"),
    [([0.5, 0.8, 0.89, 0.9], 3, 4), ([0.95, 0.97], 1, 2), ([0.1, 0.2, 0.3], 3, None)],
)
def test_training_ends_below_its_ceiling(on_train, delivered, stops_after):
    stopping, network, over = EarlyStopping(patience=0, train_ceiling=0.9), nn.Linear(1, 1), None
    kept = {}
    for epoch, score in enumerate(on_train, start=1):
        nn.init.constant_(network.bias, float(epoch))
        kept[epoch] = network.bias.item()
        stopping.note(epoch, 1.0, score, network)
        over = epoch if stopping.over else over
    assert (stopping.best_epoch, over) == (delivered, stops_after)
    assert float(stopping.best_weights["bias"]) == kept[delivered]
