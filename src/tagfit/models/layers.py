"""Layers whose defaults are those of Keras 3, so that a Keras script and a recipe train alike.

Layers that draw at random have a `generator`: None is torch's global one; a training hands in its own.

Shapes: B batch, C channels or units, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tagfit.models.outline import outlined


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with Glorot uniform weights (Glorot & Bengio 2010) and zero biases, as `keras.layers.Dense`."""
    layer = nn.Linear(inputs, outputs, device="meta")
    if outlined():
        return layer
    _give_room(layer)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def convolution(inputs: int, outputs: int, generator: torch.Generator, *, side: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution over (B, C, H, W), padding 1, no bias: BatchNorm has one.

    Weights are uniform within 1 / sqrt(inputs of a unit), as `torch.nn.Conv2d` starts: before BatchNorm only their
    direction counts, and it turns the faster the smaller they are, here thrice as fast as from Glorot's.
    """
    layer = nn.Conv2d(inputs, outputs, side, stride, 1, bias=False, device="meta")
    if outlined():
        return layer
    _give_room(layer)
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    return layer


def _give_room(layer: nn.Module) -> None:
    """Memory for what lies on the meta device; `to_empty` would import SymPy for that, which takes a second."""
    for name, weight in list(layer.named_parameters()):
        setattr(layer, name, nn.Parameter(torch.empty(weight.shape)))


class BatchNorm(nn.Module):
    """BatchNorm (Ioffe & Szegedy 2015) as `keras.layers.BatchNormalization`, over axis 1 of (B, C) or (B, C, H, W).

    It differs from `torch.nn.BatchNorm1d` where Keras does: momentum 0.99, epsilon 1e-3, the running variance is the
    *biased* one, and a batch of one sample is allowed in training (its variance is 0).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.99, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.epsilon
            )
        # the functional form refuses a batch of one and hides the batch's moments; this is the kernel below it
        out, mean_C, inverse_std_C = torch.native_batch_norm(
            x, self.weight, self.bias, None, None, True, 0.0, self.epsilon
        )
        with torch.no_grad():
            variance_C = inverse_std_C.pow(-2).sub_(self.epsilon).clamp_(min=0.0)
            self.running_mean.lerp_(mean_C, 1 - self.momentum)
            self.running_var.lerp_(variance_C, 1 - self.momentum)
        return out


class Drawing(nn.Module):
    """A layer that draws at random in training, from `generator`."""

    def __init__(self) -> None:
        super().__init__()
        self.generator: torch.Generator | None = None


class Noise(Drawing):
    """In training, adds Gaussian noise to every value."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.deviation == 0:
            return x
        return x + torch.empty_like(x).normal_(0, self.deviation, generator=self.generator)


class Dropout(Drawing):
    """In training, sets a share of the values to 0 and scales the others up by as much (Srivastava et al. 2014)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return x
        kept = torch.empty(self._drawn(x), dtype=x.dtype, device=x.device)
        return x * kept.bernoulli_(1 - self.share, generator=self.generator).div_(1 - self.share)

    def _drawn(self, x: Tensor) -> tuple[int, ...]:
        """The shape of what is drawn for `x`: here every value alone."""
        return tuple(x.shape)


class StochasticDepth(Dropout):
    """In training, leaves a residual branch out for a share of the samples (Huang et al. 2016)."""

    def _drawn(self, x: Tensor) -> tuple[int, ...]:
        return (len(x),) + (1,) * (x.ndim - 1)


class Standardise(nn.Module):
    """Brings each feature, or each colour of (B, H, W, 3) images, to mean 0 and deviation 1 on train.

    Both are buffers, set once by `fit` before training. A feature that never changes is only shifted.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Take mean and deviation from `batches` of inputs, each (B, ..., C)."""
        count = 0
        total, squares = (torch.zeros(len(self.mean), dtype=torch.float64) for _ in range(2))
        for batch in batches:
            values = batch.reshape(-1, batch.shape[-1]).cpu().double()
            count += len(values)
            total += values.sum(0)
            squares += values.square().sum(0)
        mean = total / count
        deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(deviation > 1e-6 * mean.abs().clamp(min=1e-6), deviation, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation
