"""The averaged network: what is scored and delivered where a recipe asks for averaging."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class AveragedNetwork:
    """Exponential moving average of a network's weights and BatchNorm moments over the steps (Polyak & Juditsky 1992).

    The first averages are short, (1 + step) / (10 + step), so that the random first weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        self.share = share
        self.network = copy.deepcopy(network).eval()
        self._averages = _floating(self.network)
        self._sources = _floating(network)

    def update(self, step: int) -> None:
        """Take the weights in after step number `step` (from 1)."""
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._sources, 1 - share_at(step, self.share))


def share_at(step: int, share: float) -> float:
    """What the average keeps of itself at step number `step` (from 1)."""
    return min(share, (1 + step) / (10 + step))


def _floating(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in network.state_dict().values() if tensor.dtype.is_floating_point]
