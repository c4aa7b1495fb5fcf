"""Several networks that answer as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class Ensemble(nn.Module):
    """The mean of its members' probabilities, as (B, L) logits, so that it is used as any network.

    The logit is taken from the logarithms of both means, so that it is finite where float32 probabilities are not
    told apart from 0 or 1.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        logits_KBL = torch.stack([cast(Tensor, member(x)) for member in self.members])
        yes, no = functional.logsigmoid(logits_KBL), functional.logsigmoid(-logits_KBL)
        return torch.logsumexp(yes, 0) - torch.logsumexp(no, 0)
