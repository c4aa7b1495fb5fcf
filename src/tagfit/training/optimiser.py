"""Adam as Keras 3 has it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from tagfit.models.fine_tuned import FineTunedNetwork, Pace
from tagfit.recipes import Training
from tagfit.training.schedule import SCHEDULES

#: Keras's defaults
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


class KerasAdam:
    """Adam (Kingma & Ba 2015) with decoupled weight decay, epsilon where Keras puts it.

    Keras divides by sqrt(v) + epsilon before the bias correction, torch after it. Torch's fused kernel gives Keras's
    step exactly when its epsilon is Keras's divided by sqrt(1 - beta_2^t), anew at each step t.

    Args:
        steps: of the whole training, over which the rate takes its course.
    """

    def __init__(self, network: nn.Module, training: Training, steps: int) -> None:
        paces = network.paces() if isinstance(network, FineTunedNetwork) else {}
        groups: dict[tuple[bool, Pace], list[nn.Parameter]] = {}
        for parameter in network.parameters():
            if parameter.requires_grad:
                groups.setdefault((parameter.ndim > 1, paces.get(parameter, Pace())), []).append(parameter)
        # kernels first
        ordered = sorted(groups.items(), key=lambda group: not group[0][0])
        described: list[dict[str, Any]] = [
            {"params": parameters, "weight_decay": training.weight_decay if kernel else 0.0, "pace": pace}
            for (kernel, pace), parameters in ordered
        ]
        self._adam = torch.optim.AdamW(described, lr=training.rate, betas=(BETA_1, BETA_2), fused=True)
        self._parameters = [parameter for _, parameters in ordered for parameter in parameters]
        self._training, self._steps = training, steps
        self.step_number = 0

    def step(self) -> None:
        """Move the weights by their gradients, which are then cleared."""
        if self._training.clip:
            nn.utils.clip_grad_norm_(self._parameters, self._training.clip)
        progress = self.step_number / self._steps
        rate = self._training.rate * SCHEDULES[self._training.schedule](progress)
        self.step_number += 1
        for group in self._adam.param_groups:
            pace: Pace = group["pace"]
            group["lr"] = rate * pace.share if progress >= pace.begins else 0.0
            group["eps"] = EPSILON / math.sqrt(1 - BETA_2**self.step_number)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def moments(self) -> dict[str, Tensor]:
        """Both moments of every parameter, and their count of steps, by names that `restore` knows."""
        return {
            f"{number}.{name}": tensor
            for number, parameter in enumerate(self._parameters)
            for name, tensor in self._adam.state[parameter].items()
        }

    def restore(self, moments: dict[str, Tensor], step_number: int) -> None:
        """Go on where another one was after `step_number` steps."""
        self.step_number = step_number
        for number, parameter in enumerate(self._parameters):
            mine = {name.split(".")[1]: tensor for name, tensor in moments.items() if name.split(".")[0] == str(number)}
            # the moments lie in memory as the parameter does, whose format the fused kernel relies on
            self._adam.state[parameter] = {
                name: tensor.clone() if name == "step" else torch.empty_like(parameter).copy_(tensor).detach()
                for name, tensor in mine.items()
            }
