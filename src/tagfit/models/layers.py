"""Layers whose defaults are those of Keras 3, so that a Keras script and a recipe train alike.

Shapes: B batch, C channels or units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with Glorot uniform weights (Glorot & Bengio 2010) and zero biases, as `keras.layers.Dense`."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


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
