"""The averaged network: what is scored and delivered where a recipe asks for averaging."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AveragedNetwork:
    """Exponential moving average of a network's weights and BatchNorm moments over the steps (Polyak & Juditsky 1992).

    The first averages are short, (1 + step) / (10 + step), so that the random first weights are soon forgotten:
    torch's `AveragedModel` has one share for all steps, and takes the weights of the first step whole.
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        self.share = share
        self.network = copy.deepcopy(network).eval()
        self._averages = _floating(self.network)
        self._sources = _floating(network)

    def update(self, step: int) -> None:
        """Take the weights in after step number `step` (from 1)."""
        follow = get_ema_multi_avg_fn(share_at(step, self.share))  # type: ignore[no-untyped-call]
        follow(self._averages, self._sources, step)


def share_at(step: int, share: float) -> float:
    """What the average keeps of itself at step number `step` (from 1)."""
    return min(share, (1 + step) / (10 + step))


def _floating(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in network.state_dict().values() if tensor.dtype.is_floating_point]
