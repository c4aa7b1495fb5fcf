"""Early stopping on val loss, with the best weights kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor, nn

Weights = dict[str, Tensor]


def copy_weights(network: nn.Module) -> Weights:
    """Parameters and buffers, cloned."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@dataclass
class EarlyStopping:
    """Keras's rule: stop once `patience` epochs in a row brought no val loss below the best; 0 never stops.

    Attributes:
        best_epoch: the epoch (from 1) with the lowest val loss so far.
        best_weights: its weights, where patience is on.
    """

    patience: int
    best_loss: float = math.inf
    best_epoch: int = 0
    best_weights: Weights = field(default_factory=dict, repr=False)

    def should_stop(self, epoch: int, val_loss: float, network: nn.Module) -> bool:
        """Take note of an epoch; True when it should be the last one."""
        if val_loss < self.best_loss:
            self.best_loss, self.best_epoch = val_loss, epoch
            if self.patience:
                self.best_weights = copy_weights(network)
        return bool(self.patience) and epoch - self.best_epoch >= self.patience
