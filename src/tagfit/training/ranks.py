"""Processes that train one network together, each on its share of every step: what a crew does with threads.

Plainly by all-reduce, not by DistributedDataParallel: that averages gradients over ranks, where here each share counts
for its cells of the whole batch; it wants a forward pass through a wrapper of its own; and it leaves BatchNorm to each
rank. What is added up here is one buffer a step: the loss and all gradients.

`torch.distributed` must have been started by whoever starts the processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """This process among `size` that do the same; it is alone unless there are others, and nothing is sent then.

    Every method is called by all of them, in the same order.

    Attributes:
        number: of this one, from 0; number 0 judges, listens and keeps checkpoints.
    """

    number: int = 0
    size: int = 1

    @classmethod
    def started(cls) -> Ranks:
        """Those that `torch.distributed` was started with."""
        return cls(distributed.get_rank(), distributed.get_world_size())

    def share(self, rows: Tensor) -> Tensor:
        """Of rows (B,) those of this rank, in order; shares differ by one row at most, and some may be empty."""
        return torch.tensor_split(rows, self.size)[self.number]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Sum each tensor over all ranks, in place; all get the same sums, to the bit."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, summed in zip(tensors, parts, strict=True):
            tensor.copy_(summed.view(tensor.shape))

    def joined(self, share: Tensor, like: Tensor) -> Tensor:
        """The shares (b, L) of all ranks as one, with as many rows as `like` has."""
        if self.size == 1:
            return share
        whole = torch.zeros(len(like), share.shape[1], dtype=share.dtype, device=share.device)
        self.share(whole).copy_(share)
        self.add_up([whole])
        return whole

    def gathered(self, tensor: Tensor) -> list[Tensor]:
        """That tensor of every rank, in order."""
        if self.size == 1:
            return [tensor]
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        distributed.all_gather(found, tensor)
        return found

    def agreed(self, value: Value) -> Value:
        """What rank 0 has."""
        if self.size == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held, src=0)
        return held[0]

    def agreed_flags(self, *flags: bool) -> list[bool]:
        """The same of some flags, in a tenth of the time: this is asked at every step."""
        if self.size == 1:
            return list(flags)
        held = torch.tensor(flags, dtype=torch.uint8)
        distributed.broadcast(held, src=0)
        return [bool(flag) for flag in held]


#: one process, as on one machine
ALONE = Ranks()
