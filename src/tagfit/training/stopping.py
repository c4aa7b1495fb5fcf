"""When training ends, and whose weights are delivered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

Weights = dict[str, Tensor]


def copy_weights(network: nn.Module) -> Weights:
    """Parameters and buffers, cloned."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@dataclass
class EarlyStopping:
    """Two rules.

    Keras's: stop once `patience` epochs in a row brought no val loss below the best, and deliver the best; 0 never
    stops and delivers the last. The ceiling: stop at the first epoch whose score on train reaches it, and do not
    deliver that one, unless it is the first of all; 1 never stops.

    Attributes:
        best_epoch: the epoch (from 1) to deliver so far.
        best_weights: its weights, where one of the rules is on.
        over: whether training should end.
    """

    patience: int
    train_ceiling: float = 1.0
    best_loss: float = math.inf
    best_epoch: int = 0
    best_weights: Weights = field(default_factory=dict, repr=False)
    over: bool = False

    def note(self, epoch: int, val_loss: float, on_train: float | None, network: nn.Module) -> None:
        """Take note of an epoch.

        Args:
            on_train: its score on train; not needed where there is no ceiling.
        """
        if self.train_ceiling < 1 and on_train is not None and on_train >= self.train_ceiling and epoch > 1:
            self.over = True
            return
        if val_loss < self.best_loss or not self.patience:
            self.best_loss, self.best_epoch = val_loss, epoch
            if self.patience or self.train_ceiling < 1:
                self.best_weights = copy_weights(network)
        self.over = bool(self.patience) and epoch - self.best_epoch >= self.patience

    def facts(self) -> dict[str, Any]:
        """What `restore` needs beside the weights."""
        return {"best_loss": self.best_loss, "best_epoch": self.best_epoch, "over": self.over}

    def restore(self, facts: Mapping[str, Any], best_weights: Weights) -> None:
        self.best_loss, self.best_epoch, self.over = facts["best_loss"], facts["best_epoch"], facts["over"]
        self.best_weights = best_weights
