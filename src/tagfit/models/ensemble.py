"""Several networks that answer as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


def members_of(network: nn.Module) -> list[nn.Module]:
    """The networks of an ensemble, or the one that there is."""
    return list(network.members) if isinstance(network, Ensemble) else [network]


class Ensemble(nn.Module):
    """The mean of its members' probabilities, as (B, L) logits, so that it is used as any network.

    The logit is taken from the logarithms of both means, so that it is finite where float32 probabilities are not
    told apart from 0 or 1.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        return self.joined(torch.stack([cast(Tensor, member(x)) for member in self.members]))

    @staticmethod
    def joined(logits_KBL: Tensor) -> Tensor:
        """(B, L) of what K members say."""
        yes, no = functional.logsigmoid(logits_KBL), functional.logsigmoid(-logits_KBL)
        return torch.logsumexp(yes, 0) - torch.logsumexp(no, 0)
