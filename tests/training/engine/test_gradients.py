"""The compiled loops' gradients, held against autograd's in float64."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tagfit.models.layers import Drawing
from tagfit.models.losses import loss_for
from tagfit.models.registry import build_network
from tagfit.recipes import LOSSES, RARE_LOSSES, DenseModel, Recipe, Training
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.engine import kernels
from tagfit.training.engine.epochs import rules_of
from tagfit.training.engine.flat import FlatNetwork
from tagfit.training.loop import prepare
from tagfit.training.optimiser import AveragedNetwork, KerasAdam

ROWS, BATCH = 40, 13
REGULARISED = {"widths": (9, 20), "batch_norm": True, "dropout": (0.4, 0.3)}


def named(flat, values):
    """The network's tensors, each with what of `values` (the state, or slopes) is its own."""
    for begin, tensor in flat._tensors.items():
        if begin + tensor.numel() <= len(values):
            mine = values[begin : begin + tensor.numel()].reshape(tuple(tensor.shape))
            yield (tensor.T, mine.T) if tensor.ndim == 2 else (tensor, mine)


@kernels.compiled
def gradients(net, data, memory, rules, positions):
    """The loss of a batch, with what `draw` has drawn; its gradients are in the slopes."""
    loss = kernels.forward(net, data, memory, positions, rules)
    kernels.backward(net, memory, len(positions), rules, np.int64(-1))
    return loss


class Handed(nn.Module):
    """Adds or multiplies what was drawn for another layer."""

    def __init__(self, drawn, noise):
        super().__init__()
        self.drawn, self.noise = drawn, noise

    def forward(self, x):
        return x + self.drawn if self.noise else x * self.drawn


class Both:
    """One network for autograd and for the compiled loops, in float64, with the same draws."""

    def __init__(self, model, *, shape=(17,), unknown=False, **training):
        rng = np.random.default_rng(3)
        images = len(shape) > 1
        x = rng.integers(0, 256, (ROWS, *shape), dtype=np.uint8) if images else rng.normal(1, 2, (ROWS, *shape))
        samples = Samples(
            torch.from_numpy(x if images else x.astype(np.float32)), 1 / 255 if images else 1.0,
            torch.device("cpu"), torch.float64,
        )  # fmt: skip
        known = torch.from_numpy((rng.random((ROWS, 5)) < 0.7).astype(np.float32)) if unknown else None
        targets = torch.from_numpy(rng.integers(0, 2, (ROWS, 5)).astype(np.float32))
        self.rows = LabelledRows(samples, torch.from_numpy(rng.permutation(ROWS)), targets, known)
        self.recipe = Recipe(name="x", model=DenseModel(**model), training=Training(**training))
        self.loss = loss_for(self.recipe.training.loss, targets, known)
        self.network = build_network(self.recipe, shape, 5, seed=1).double().train()
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)) * 0.1)
        prepare(self.network, self.rows)
        self.flat = FlatNetwork(self.network, BATCH)
        self.memory = self.flat.memory(averaged=False)
        self.data = self.flat.data(self.rows)
        # exactly what torch divides by
        if model.get("standardise"):
            layer = self.network.layers.standardise
            layer.mean.copy_(torch.from_numpy(self.data.mean[: len(layer.mean)]))
            layer.deviation.copy_(1 / torch.from_numpy(self.data.gain[: len(layer.mean)]).double())

    def compiled(self, positions):
        net, memory = self.flat.net, self.memory
        kernels.draw(net, memory.work, len(positions), np.uint64(7), 3)
        loss = gradients(net, self.data, memory, rules_of(self.recipe.training, 1, self.loss), positions)
        return loss, {tensor.data_ptr(): values.copy() for tensor, values in named(self.flat, memory.slopes)}

    def by_torch(self, positions):
        """The loss, the gradients in the order of `parameters`, and the network that has made the step forward."""
        network = copy.deepcopy(self.network)
        for name, layer in list(network.layers.named_children()):
            if isinstance(layer, Drawing):
                setattr(network.layers, name, self.handed(name, len(positions)))
        x, targets, known = self.rows.take(torch.from_numpy(positions))
        smoothing = self.recipe.training.label_smoothing
        known = None if known is None else known.double()
        loss = self.loss(network(x), targets.double() * (1 - smoothing) + smoothing / 2, known)
        loss.backward()
        return loss.item(), network

    def handed(self, name, rows):
        net, work = self.flat.net, self.memory.work
        wide = net.layers[0, kernels.INPUTS]
        if name == "input_noise":
            begin = net.input_mask + net.batch * wide
        elif name == "input_dropout":
            begin = net.input_mask
        else:
            layer = net.layers[int(name.split("_")[1])]
            begin, wide = layer[kernels.MASK], layer[kernels.UNITS]
        drawn = work[begin : begin + rows * wide].reshape(rows, wide).copy()
        assert drawn.std() > 0
        return Handed(torch.from_numpy(drawn), name == "input_noise")


@pytest.mark.parametrize(
    "fields",
    [
        {"model": {"widths": ()}},
        {"model": {"widths": (9,)}},
        {"model": {"widths": (9, 20, 7)}},
        {"model": {"widths": (9, 20), "batch_norm": True}},
        {"model": {"widths": (9, 20), "dropout": (0.4,)}},
        {"model": {"widths": (9, 20), "dropout": (0.0, 0.5)}},
        {"model": {"widths": (9,), "input_dropout": 0.3}},
        {"model": {"widths": (9,), "input_noise": 0.7}},
        {"model": {"widths": (9,), "standardise": True}},
        {"model": {"widths": (9,)}, "unknown": True},
        {"model": {"widths": (9,)}, "label_smoothing": 0.2},
        {"model": {"widths": (9,)}, "shape": (4, 3, 3)},
        {"model": {"widths": (40, 70)}, "shape": (600,)},
        *({"model": {"widths": (9,)}, "loss": loss, "unknown": True, "label_smoothing": 0.1} for loss in LOSSES),
        *({"model": {"widths": (9,)}, "loss": loss} for loss in RARE_LOSSES),
        {"model": REGULARISED},
        {"model": {**REGULARISED, "standardise": True, "input_noise": 0.5, "input_dropout": 0.2}, "unknown": True},
        {"model": {**REGULARISED, "standardise": True}, "shape": (4, 3, 3), "label_smoothing": 0.1, "unknown": True},
    ],
    ids=lambda fields: ", ".join(map(str, [*fields["model"], *list(fields)[1:]])),
)
def test_gradients_are_autograds(fields):
    both = Both(**fields)
    for count in (BATCH, 5, 1):
        positions = np.random.default_rng(count).permutation(ROWS)[:count]
        both.memory.state[:] = both.flat.memory(averaged=False).state
        loss, slopes = both.compiled(positions)
        expected, network = both.by_torch(positions)
        assert loss == pytest.approx(expected, rel=1e-12)
        for mine, theirs in zip(both.network.parameters(), network.parameters(), strict=True):
            apart = np.linalg.norm(slopes[mine.data_ptr()] - theirs.grad.numpy())
            assert apart <= 1e-9 * np.linalg.norm(theirs.grad.numpy()) + 1e-15
        moments = {tensor.data_ptr(): values for tensor, values in named(both.flat, both.memory.state)}
        for mine, theirs in zip(both.network.buffers(), network.buffers(), strict=True):
            if mine.data_ptr() in moments:
                np.testing.assert_allclose(moments[mine.data_ptr()], theirs, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    "training",
    [{}, {"weight_decay": 0.3}, {"clip": 0.05}, {"schedule": "one-cycle", "epochs": 2}, {"averaging": 0.8}],
    ids=str,
)
def test_steps_are_adams(training):
    """Three steps move every weight as `KerasAdam`, and the average as `AveragedNetwork`."""
    both = Both({"widths": (9, 20), "batch_norm": True}, rate=0.01, **training)
    memory, steps = both.flat.memory(averaged="averaging" in training), 8
    rules = rules_of(both.recipe.training, steps, both.loss)
    adam = KerasAdam(both.network, both.recipe.training, steps)
    averaged = AveragedNetwork(both.network, training.get("averaging", 0))
    slopes = {tensor.data_ptr(): values for tensor, values in named(both.flat, memory.slopes)}
    for step in range(3):
        rng = np.random.default_rng(step)
        for parameter in both.network.parameters():
            slopes[parameter.data_ptr()][:] = rng.normal(size=tuple(parameter.shape))
            parameter.grad = torch.from_numpy(slopes[parameter.data_ptr()].copy())
        kernels.move(both.flat.net, memory, rules, step, 0)
        adam.step()
        averaged.update(step + 1)
    for tensor, values in named(both.flat, memory.state):
        np.testing.assert_allclose(values, tensor, rtol=1e-10, atol=1e-13)
    if "averaging" in training:
        both.flat.write_back(memory.average)
        for mine, theirs in zip(both.network.parameters(), averaged.network.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-13)
