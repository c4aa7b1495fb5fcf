"""Adam as Keras 3 has it, the schedules of its learning rate, and the average of the weights that it makes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tagfit.models.fine_tuned import FineTunedNetwork, Pace
from tagfit.recipes import Training

#: Keras's defaults
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7

#: the share of a one-cycle training in which the rate rises, and what it rises from
RISE, FLOOR = 0.25, 0.04


def cosine(progress: float) -> float:
    """Half a cosine from 1 down to 0 (Loshchilov & Hutter 2017, without restarts)."""
    return 0.5 + 0.5 * math.cos(math.pi * progress)


def one_cycle(progress: float) -> float:
    """Up along a cosine, then down along one (Smith & Topin 2019)."""
    if progress < RISE:
        return FLOOR + (1 - FLOOR) * (1 - cosine(progress / RISE))
    return cosine((progress - RISE) / (1 - RISE))


#: share of the highest rate by progress from 0 to 1, by the name that a recipe writes
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "cosine": cosine,
    "one-cycle": one_cycle,
}


class KerasAdam:
    """Adam (Kingma & Ba 2015) with decoupled weight decay of the kernels, epsilon where Keras puts it.

    Keras divides by sqrt(v) + epsilon before the bias correction, torch after it. Torch's fused kernel gives Keras's
    step exactly when its epsilon is Keras's divided by sqrt(1 - beta_2^t), anew at each step t.

    Args:
        steps: of the whole training, over which the rate follows its schedule.
    """

    def __init__(self, network: nn.Module, training: Training, steps: int) -> None:
        paces = network.paces() if isinstance(network, FineTunedNetwork) else {}
        groups: dict[tuple[bool, Pace], list[nn.Parameter]] = {}
        for parameter in network.parameters():
            if parameter.requires_grad:
                groups.setdefault((parameter.ndim <= 1, paces.get(parameter, Pace())), []).append(parameter)
        ordered = sorted(groups.items(), key=lambda group: group[0][0])  # kernels first
        self._adam = AdamW(
            [
                {"params": parameters, "weight_decay": 0.0 if flat else training.weight_decay}
                for (flat, _), parameters in ordered
            ],
            lr=training.rate,
            betas=(BETA_1, BETA_2),
            fused=True,
        )
        self._paces = [pace for (_, pace), _ in ordered]
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
        for group, pace in zip(self._adam.param_groups, self._paces, strict=True):
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
        for key, tensor in moments.items():
            number, _, name = key.partition(".")
            parameter = self._parameters[int(number)]
            # the moments lie in memory as the parameter does, whose format the fused kernel relies on
            like = tensor if name == "step" else parameter
            self._adam.state[parameter][name] = like.detach().clone().copy_(tensor)


class AveragedNetwork:
    """Exponential moving average of a network's weights and BatchNorm moments over the steps (Polyak & Juditsky 1992).

    The first averages are short, (1 + step) / (10 + step), so that the random first weights are soon forgotten:
    torch's `AveragedModel` has one share for all steps, and takes the weights of the first step whole.
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        self.share = share
        self.network = copy.deepcopy(network).eval()
        self._averages, self._sources = _floating(self.network), _floating(network)

    def update(self, step: int) -> None:
        """Take the weights in after step number `step` (from 1)."""
        follow = get_ema_multi_avg_fn(share_at(step, self.share))  # type: ignore[no-untyped-call]
        follow(self._averages, self._sources, step)


def share_at(step: int, share: float) -> float:
    """What the average keeps of itself at step number `step` (from 1)."""
    return min(share, (1 + step) / (10 + step))


def _floating(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in network.state_dict().values() if tensor.dtype.is_floating_point]
