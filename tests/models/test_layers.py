import math

import pytest
import torch

from tagfit.models.layers import BatchNorm, Drawing, linear
from tagfit.models.registry import build_network
from tagfit.recipes import DenseModel, Recipe


def reference(x, weight, bias, epsilon=1e-3):
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [1, -1] + [1] * (x.ndim - 2)
    mean, variance = x.mean(axes), x.var(axes, correction=0)
    scaled = (x - mean.view(shape)) / torch.sqrt(variance.view(shape) + epsilon)
    return scaled * weight.view(shape) + bias.view(shape), mean, variance


@pytest.mark.parametrize("shape", [(16, 5), (1, 5), (4, 5, 3, 2), (1, 5, 1, 1)])
def test_batch_norm_is_its_definition(shape):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 1
    layer = BatchNorm(5).double().train()
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(0.5, 2, 5))
        layer.bias.copy_(torch.linspace(-1, 1, 5))
    expected, mean, variance = reference(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.running_mean, 0.01 * mean)
    torch.testing.assert_close(layer.running_var, 0.99 + 0.01 * variance)


def test_batch_norm_in_inference_uses_the_running_moments():
    layer = BatchNorm(2).eval()
    layer.running_mean.copy_(torch.tensor([1.0, 2.0]))
    layer.running_var.copy_(torch.tensor([4.0, 9.0]))
    x = torch.tensor([[1.0, 5.0]])
    torch.testing.assert_close(layer(x), (x - layer.running_mean) / torch.sqrt(layer.running_var + 1e-3))


def test_batch_norm_differentiates_through_its_moments():
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    layer = BatchNorm(3).double().train()
    assert torch.autograd.gradcheck(layer, (x,))


def test_linear_starts_glorot_uniform():
    layer = linear(300, 200, torch.Generator().manual_seed(0))
    limit = math.sqrt(6 / 500)
    assert layer.weight.abs().max() <= limit
    assert layer.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02)
    assert not layer.bias.any()


class TestTheInputsInTraining:
    def network(self, **fields):
        model = DenseModel(widths=(), standardise=True, **fields)
        network = build_network(Recipe(name="x", model=model), (2000,), 1).train()
        network.layers.standardise.deviation.fill_(2.0)
        for layer in network.modules():
            if isinstance(layer, Drawing):
                layer.generator = torch.Generator().manual_seed(5)
        return network.layers[:-1]

    def test_noise_lies_on_the_standardised_inputs(self):
        layers = self.network(input_noise=0.3)
        noise = layers(torch.full((8, 2000), 3.0)) - 1.5
        assert noise.std().item() == pytest.approx(0.3, rel=0.03)
        assert abs(noise.mean()) < 0.01

    def test_dropout_keeps_the_mean(self):
        dropped = self.network(input_dropout=0.25)(torch.full((8, 2000), 3.0))
        assert set(dropped.unique().tolist()) == {0.0, 2.0}
        assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)

    def test_inference_sees_the_inputs_as_they_are(self):
        layers = self.network(input_noise=0.3, input_dropout=0.25).eval()
        assert torch.equal(layers(torch.full((1, 2000), 3.0)), torch.full((1, 2000), 1.5))
