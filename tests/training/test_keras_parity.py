"""In float64, with the same first weights and batch order and no dropout, training is Keras's, step by step.

The golden numbers are made by benchmarks/keras_golden.py, whose formulas are repeated here.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tagfit.models.registry import build_network
from tagfit.recipes import RECIPES
from tagfit.training import loop, steps
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.events import EpochEnded
from tagfit.training.job import PreparedJob
from tagfit.training.progress import Progress

GOLDEN = json.loads((Path(__file__).parent / "keras_golden.json").read_text())
SAMPLES, FEATURES, LABELS, BATCH, EPOCHS = 97, 20, 5, 32, 3


def waves(shape, phase):
    count = math.prod(shape)
    return np.sin(np.arange(1, count + 1, dtype=np.float64) ** 2 * 0.37 + phase).reshape(shape)


def order(epoch):
    return torch.from_numpy(np.argsort(waves((SAMPLES,), 20.0 + epoch), kind="stable"))


@pytest.fixture
def rows():
    x = torch.from_numpy(waves((SAMPLES, FEATURES), 0.0))
    y = torch.from_numpy((waves((SAMPLES, LABELS), 1.0) > 0.3).astype(np.float64))
    samples = Samples(x, 1.0, torch.device("cpu"), torch.float64)
    return LabelledRows(samples, torch.arange(SAMPLES), y, None)


def network_with_golden_weights(recipe):
    network = build_network(recipe, (FEATURES,), LABELS).double()
    kernels = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    with torch.no_grad():
        for number, layer in enumerate(kernels):
            limit = math.sqrt(6 / (layer.in_features + layer.out_features))
            kernel = waves((layer.in_features, layer.out_features), 10.0 + number) * limit
            layer.weight.copy_(torch.from_numpy(kernel.T))
            layer.bias.zero_()
    return network


@pytest.mark.parametrize("name", ["dense-baseline", "dense-regularised"])
def test_every_loss_is_that_of_keras(name, rows, monkeypatch):
    recipe = RECIPES[name].changed(model={"dropout": ()})
    training = replace(recipe.training, epochs=EPOCHS, batch_size=BATCH)
    orders = iter([order(epoch) for epoch in range(1, EPOCHS + 1)])
    monkeypatch.setattr(steps, "epoch_order", lambda count, generator: next(orders))
    step_losses, val_losses = [], []

    def note(progress, losses, done):
        step_losses.extend(losses.tolist())

    def listen(event):
        if isinstance(event, EpochEnded):
            val_losses.append(event.row["val_loss"])

    monkeypatch.setattr(Progress, "check", note)

    loop.train(PreparedJob(network_with_golden_weights(recipe), training, rows, rows, on_event=listen))

    assert SAMPLES % BATCH == 1, "the last batch must hold a single sample"
    np.testing.assert_allclose(step_losses, GOLDEN[name]["step_losses"], rtol=1e-6)
    np.testing.assert_allclose(val_losses, GOLDEN[name]["val_losses"], rtol=1e-6)
