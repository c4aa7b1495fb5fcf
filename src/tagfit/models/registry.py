"""From a recipe to a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tagfit.models.cnn import CnnNetwork
from tagfit.models.dense import DenseNetwork
from tagfit.recipes import Recipe

#: builders by architecture name: (model, sample shape, number of labels, random source of the first weights)
BUILDERS: dict[str, Callable[[Any, tuple[int, ...], int, torch.Generator], nn.Module]] = {
    "dense": DenseNetwork,
    "cnn": CnnNetwork,
}


def build_network(recipe: Recipe, shape: tuple[int, ...], labels: int, *, seed: int = 0) -> nn.Module:
    """A network with freshly drawn weights on the CPU; the same seed gives the same weights.

    Args:
        recipe: whose `model` is built.
        shape: of one sample, without the batch axis: (D,) or (H, W, 3).
        labels: L; the network returns (B, L) logits.
    """
    generator = torch.Generator().manual_seed(seed)
    return BUILDERS[recipe.model.architecture](recipe.model, shape, labels, generator)
