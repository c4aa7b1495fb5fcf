"""Optimiser steps, each shared among the threads of a pool.

Every thread takes a share of the step's samples through a replica of the network: the same weights in
memory, gradients and BatchNorm moments of its own. Gradients are then added up, in order, and moments averaged.
BatchNorm so normalises over a share of the batch ("ghost batches", Hoffer et al. 2017).

Shapes: B batch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from tagfit.models.cnn import CnnNetwork
from tagfit.models.fine_tuned import FineTunedNetwork
from tagfit.models.layers import Drawing
from tagfit.models.losses import loss_for
from tagfit.recipes import SINGLE_POSITIVE_LOSSES, Training
from tagfit.training import checkpoint
from tagfit.training.augmentation import Augmentation
from tagfit.training.batches import LabelledRows
from tagfit.training.device import multiplies_in_bfloat16
from tagfit.training.optimiser import AveragedNetwork, KerasAdam
from tagfit.training.thread_pool import ThreadPool

Answer = TypeVar("Answer")


class Steps:
    """The optimiser, the random draws and the averages of one training; all of it can be saved and restored.

    Where several processes take the same steps together, each has a subclass that overrides `batches`, `decide` and
    what follows from them (`cluster.training`).

    Attributes:
        done: steps so far.
        judged: the network to score and deliver: the averaged one where the recipe asks for averaging.
    """

    def __init__(self, network: nn.Module, training: Training, rows: LabelledRows, seed: int, pool: ThreadPool) -> None:
        self.training, self.rows, self.pool = training, rows, pool
        self.network = network
        self._averaged = AveragedNetwork(network, training.averaging) if training.averaging else None
        self.judged = network if self._averaged is None else self._averaged.network
        self._replicas = [network, *(_replica(network) for _ in range(pool.size - 1))]
        self.order, device = torch.Generator().manual_seed(seed), rows.targets_NL.device
        self._draws = [torch.Generator(device).manual_seed(mixed(seed, number)) for number in range(pool.size)]
        for replica, generator in zip(self._replicas, self._draws, strict=True):
            for module in replica.modules():
                if isinstance(module, Drawing):
                    module.generator = generator
                if isinstance(module, CnnNetwork):
                    module.one_view_in_training = training.draws_a_view
                if isinstance(module, FineTunedNetwork):
                    module.draws_views = training.draws_a_view
        # of a fine-tuned network, images have run through the lower blocks already: it draws their views itself
        changes = () if isinstance(network, FineTunedNetwork) else training.augmentation
        strength = training.augmentation_strength
        self._augmentations = [Augmentation(changes, generator, strength) for generator in self._draws]
        self._adam = KerasAdam(network, training, training.epochs * self.per_epoch)
        self.loss_of = loss_for(training.loss, rows.targets_NL, rows.known_NL)
        self._autocast = training.autocast and multiplies_in_bfloat16(device)

    @property
    def done(self) -> int:
        return self._adam.step_number

    @property
    def per_epoch(self) -> int:
        return math.ceil(len(self.rows) / self.training.batch_size)

    def batches(self, epoch: int) -> Sequence[Tensor]:
        """The positions (B,) of the rows that each step of an epoch (from 1) takes, in an order drawn anew."""
        return torch.split(epoch_order(len(self.rows), self.order), self.training.batch_size)

    def decide(self, question: Callable[[], Answer]) -> Answer:
        """The answer to a question that is asked once for all who take these steps."""
        return question()

    def step(self, batch: Tensor) -> Tensor:
        """One step on the rows at `batch` (B,); its loss, still on the device."""
        shares = [share for share in torch.tensor_split(batch, self.pool.size) if len(share)]
        weights = self._weights(shares)
        losses = self.pool.map(lambda job: self._backward(*job), zip(range(len(shares)), shares, weights, strict=True))
        self._gather(len(shares))
        self._adam.step()
        if self._averaged is not None:
            self._averaged.update(self.done)
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def tensors(self) -> dict[str, Tensor]:
        """All that `restore` needs to go on to the bit."""
        parts = {
            "network": self.network.state_dict(),
            "averaged": {} if self._averaged is None else self.judged.state_dict(),
            "moments": self._adam.moments(),
            "draws": {str(number): generator.get_state() for number, generator in enumerate(self._draws)},
        }
        return {name: tensor for part in parts for name, tensor in checkpoint.under(part, parts[part]).items()}

    def restore(self, tensors: dict[str, Tensor], done: int) -> None:
        self.network.load_state_dict(checkpoint.of("network", tensors))
        for replica in self._replicas[1:]:
            replica.load_state_dict(self.network.state_dict())
        if self._averaged is not None:
            self.judged.load_state_dict(checkpoint.of("averaged", tensors))
        self._adam.restore(checkpoint.of("moments", tensors), done)
        for number, generator in enumerate(self._draws):
            generator.set_state(tensors[f"draws/{number}"])

    def _weights(self, shares: list[Tensor]) -> list[Tensor | float]:
        """What the mean loss of each share counts for in the mean over the batch's known labels."""
        if len(shares) == 1:
            return [1.0]
        if self.rows.known_NL is None or self.training.loss in SINGLE_POSITIVE_LOSSES:
            count = sum(map(len, shares))
            return [len(share) / count for share in shares]
        known = self.rows.known_NL
        cells = torch.stack([known[share.to(known.device)].sum() for share in shares])
        return list(cells / cells.sum().clamp(min=1.0))

    def _backward(self, number: int, share: Tensor, weight: Tensor | float) -> Tensor:
        """The weighted loss of one share; its gradients are left in the replica."""
        network = self._replicas[number]
        x, targets, known = self._augmentations[number](*self.rows.take(share))
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self._autocast):
            logits = network(x)
        if self._autocast:
            logits = logits.float()
        loss = self.loss_of(logits, _smoothed(targets, self.training.label_smoothing), known) * weight
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _gather(self, count: int) -> None:
        """Gradients and moments of the first `count` replicas into the network, and the moments back to all."""
        for number, replica in enumerate(self._replicas[1:count], start=1):
            torch._foreach_add_(_gradients(self.network), _gradients(replica))
            replica.zero_grad(set_to_none=True)
            if moments := list(_moments(self.network)):
                torch._foreach_lerp_(moments, list(_moments(replica)), 1 / (number + 1))
        for replica in self._replicas[1:]:
            if moments := list(_moments(replica)):
                torch._foreach_copy_(moments, list(_moments(self.network)))


def _replica(network: nn.Module) -> nn.Module:
    """A network of its own that shares the memory of the weights."""
    shared: dict[int, object] = {
        id(weight): nn.Parameter(weight.detach(), weight.requires_grad) for weight in network.parameters()
    }
    return copy.deepcopy(network, shared)


def _gradients(network: nn.Module) -> list[Tensor]:
    return [weight.grad for weight in network.parameters() if weight.grad is not None]


def _moments(network: nn.Module) -> Iterator[Tensor]:
    return (buffer for buffer in network.buffers() if buffer.dtype.is_floating_point)


def epoch_order(count: int, generator: torch.Generator) -> Tensor:
    """(count,) int64: the order in which an epoch takes its samples."""
    return torch.randperm(count, generator=generator)


def mixed(seed: int, number: int) -> int:
    """A seed for each of several sources, far from one another."""
    return (seed * 0x9E3779B97F4A7C15 + (number + 1) * 0xBF58476D1CE4E5B9) % 2**63


def _smoothed(targets_BL: Tensor, smoothing: float) -> Tensor:
    return targets_BL if smoothing == 0 else targets_BL * (1 - smoothing) + smoothing / 2
