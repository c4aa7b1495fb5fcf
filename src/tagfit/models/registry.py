"""From a recipe to a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from tagfit.errors import RecipeError
from tagfit.io.free_memory import memory_fault
from tagfit.models.backbones import Pretrained, pretrained_of
from tagfit.models.cnn import STAGES, CnnNetwork
from tagfit.models.dense import DenseNetwork
from tagfit.models.fine_tuned import FineTunedNetwork
from tagfit.models.outline import outline, outlined
from tagfit.recipes import CnnModel, DenseModel, FineTunedModel, Model, Recipe
from tagfit.records.data import Dataset

#: what training holds for each weight: itself, its gradient, two moments, and the best so far
_COPIES = 5

#: builders by architecture name: (model, sample shape, number of labels, random source of the first weights)
BUILDERS: dict[str, Callable[[Any, tuple[int, ...], int, torch.Generator], nn.Module]] = {
    "dense": DenseNetwork,
    "cnn": CnnNetwork,
}


@torch.no_grad()
def recalibrate_output(network: nn.Module, slope: float, shift: float) -> None:
    """Make every logit slope * logit + shift, in the weights of the last linear layer."""
    output = _output(network)
    output.weight.mul_(slope)
    output.bias.mul_(slope).add_(shift)


@torch.no_grad()
def fix_output(network: nn.Module, logits: Mapping[int, float]) -> None:
    """Make the logits of some labels, by index, the same for every sample."""
    output = _output(network)
    for label, logit in logits.items():
        output.weight[label] = 0.0
        output.bias[label] = logit


def _output(network: nn.Module) -> nn.Linear:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]


def build_network(
    recipe: Recipe, shape: tuple[int, ...], labels: int, *, seed: int = 0, pretrained: Pretrained | None = None
) -> nn.Module:
    """A network with freshly drawn weights on the CPU; the same seed gives the same weights.

    Args:
        recipe: whose `model` is built.
        shape: of one sample, without the batch axis: (D,) or (H, W, 3).
        labels: L; the network returns (B, L) logits.
        pretrained: the backbone that a fine-tuned network starts from.

    Raises:
        RecipeError: the recipe does not fit the samples, or its network memory; that is asked before it takes any.
    """
    if not outlined():
        _demand_memory(recipe, shape, labels)
    generator = torch.Generator().manual_seed(seed)
    if isinstance(recipe.model, FineTunedModel):
        if pretrained is None:
            raise RecipeError(
                f"recipe {recipe.name!r} trains a pretrained backbone further; these samples come without one",
                "Give one with --backbone (load(..., backbone=...)).",
            )
        return FineTunedNetwork(recipe.model, pretrained.network, labels, generator)
    return BUILDERS[recipe.model.architecture](recipe.model, shape, labels, generator)


def _demand_memory(recipe: Recipe, shape: tuple[int, ...], labels: int) -> None:
    size = 4 * _least_weights(recipe.model, shape, labels)
    if fault := memory_fault(_COPIES * size, f"training a network of {size // 4:,} weights"):
        raise RecipeError(
            f"recipe {recipe.name!r}: {fault}", "Make it narrower: model.widths, model.width or model.depth."
        )


def _least_weights(model: Model, shape: tuple[int, ...], labels: int) -> int:
    """Those of the kernels, which are nearly all."""
    if isinstance(model, DenseModel):
        return sum(one * other for one, other in pairwise((math.prod(shape), *model.widths, labels)))
    if isinstance(model, CnnModel):
        channels = [model.width << stage for stage in range(STAGES)]
        between = sum(one * other for one, other in pairwise(channels))
        return 9 * (between + 2 * model.depth * sum(one**2 for one in channels))
    return 0  # a backbone is in memory already


def count_weights(recipe: Recipe, dataset: Dataset) -> int:
    """How many weights and moments the network of a recipe would have for such samples; none of them takes memory.

    Raises:
        RecipeError: as `build_network`.
    """
    shape, labels = dataset.preprocessing.shape, len(dataset.label_names)
    _demand_memory(recipe, shape, labels)

    def build() -> nn.Module:
        return build_network(recipe, shape, labels, pretrained=pretrained_of(dataset))

    if isinstance(recipe.model, FineTunedModel):  # a copy of what is in memory already
        return sum(tensor.numel() for tensor in build().state_dict().values())
    return sum(tensor.numel() for tensor in outline(build).values())
