"""Adam as Keras 3 has it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from tagfit.recipes import Training

#: Keras's defaults
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


class KerasAdam:
    """Adam (Kingma & Ba 2015) with decoupled weight decay, epsilon where Keras puts it.

    Keras divides by sqrt(v) + epsilon before the bias correction, torch after it. Torch's fused kernel gives Keras's
    step exactly when its epsilon is Keras's divided by sqrt(1 - beta_2^t), anew at each step t.
    """

    def __init__(self, network: nn.Module, training: Training) -> None:
        kernels = [p for p in network.parameters() if p.ndim > 1]
        others = [p for p in network.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": kernels, "weight_decay": training.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self._adam = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=training.rate, betas=(BETA_1, BETA_2), fused=True
        )
        self._step = 0

    def step(self) -> None:
        """Move the weights by their gradients, which are then cleared."""
        self._step += 1
        for group in self._adam.param_groups:
            group["eps"] = EPSILON / math.sqrt(1 - BETA_2**self._step)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
