"""How many threads a training step is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

#: multiply-adds of a forward step below which handing work to a second thread costs more than it saves
WORTH_SHARING = 100_000_000


@contextmanager
def threads_for(network: nn.Module, batch_size: int) -> Iterator[None]:
    """One thread while a small, fully connected network trains; torch's own number for everything else."""
    before = torch.get_num_threads()
    parameters = list(network.parameters())
    multiply_adds = batch_size * sum(parameter.numel() for parameter in parameters)
    if all(parameter.ndim <= 2 for parameter in parameters) and multiply_adds < WORTH_SHARING:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
