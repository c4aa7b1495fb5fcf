"""The Dense family: fully connected layers, relu, optionally BatchNorm and Dropout after each."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from tagfit.models.layers import BatchNorm, Dropout, Noise, Standardise, linear
from tagfit.recipes import DenseModel


class DenseNetwork(nn.Module):
    """Maps a batch of any shape (B, ...) to (B, L) logits; images are flattened row by row, channels last."""

    def __init__(self, model: DenseModel, shape: tuple[int, ...], labels: int, generator: torch.Generator) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if model.standardise:
            layers["standardise"] = Standardise(shape[-1])
        layers["flatten"] = nn.Flatten()
        if model.input_noise > 0:
            layers["input_noise"] = Noise(model.input_noise)
        if model.input_dropout > 0:
            layers["input_dropout"] = Dropout(model.input_dropout)
        inputs = math.prod(shape)
        for number, width in enumerate(model.widths):
            layers[f"dense_{number}"] = linear(inputs, width, generator)
            layers[f"relu_{number}"] = nn.ReLU()
            if model.batch_norm:
                layers[f"norm_{number}"] = BatchNorm(width)
            if model.dropout_of(number) > 0:
                layers[f"dropout_{number}"] = Dropout(model.dropout_of(number))
            inputs = width
        layers["output"] = linear(inputs, labels, generator)
        self.layers = nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits
