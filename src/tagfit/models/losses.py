"""The loss registry. Every loss takes logits, so that no probability has to be clipped.

All but bce are one formula with other constants, so that there is one to compile and one to differentiate. Of a cell
with logit z, p = sigmoid(z + v) and q = max(sigmoid(s (z + v)) - m, 0):

    yes       a (1 - p)^g  -log(p)
    no        b q^h  -log(1 - q) / s
    unknown   nothing; or u times what a no would cost; or -e times the entropy of sigmoid(z)

Shapes: B batch, N rows, L labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

#: (logits_BL, targets_BL in [0, 1], known_BL of 1.0 and 0.0 or None where all are known) -> scalar
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]

#: of the distribution-balanced loss: how a row's rebalancing is smoothed (Wu et al. 2020, equation 5), how much of a
#: label's prior is taken from its logits, and how much flatter no cells are
FLOOR, STEEPNESS, MIDDLE = 0.1, 10.0, 0.3
PRIOR_SHARE, SHARPNESS = 0.05, 2.0

#: what the entropy of an unknown cell counts for (Zhou et al. 2022)
ENTROPY = 0.1


@dataclass(frozen=True)
class Counts:
    """Of each label of train (L,): yes cells and known cells, no less than 1."""

    yes_L: Tensor
    known_L: Tensor

    @classmethod
    def of(cls, targets_NL: Tensor, known_NL: Tensor | None) -> Counts:
        """Of 1.0 for yes and 0.0 for all else, and 1.0 for known."""
        known_NL = torch.ones_like(targets_NL) if known_NL is None else known_NL
        return cls(targets_NL.sum(0).double().clamp(min=1), known_NL.sum(0).double().clamp(min=1))


@dataclass(frozen=True, eq=False)
class Formula:
    """A loss by its constants; the mean over the cells that count.

    Attributes:
        yes_L, no_L, shift_L: a, b and v of each label.
        rarity_L: 1 / n of each label with n yes cells, where rows are rebalanced; else None.
        focus_yes, focus_no: g and h.
        margin, sharpness: m and s.
        unknown, entropy: u and e; where neither is above 0, unknown cells are left out.
    """

    yes_L: Tensor
    no_L: Tensor
    shift_L: Tensor
    rarity_L: Tensor | None = None
    focus_yes: float = 0.0
    focus_no: float = 0.0
    margin: float = 0.0
    sharpness: float = 1.0
    unknown: float = 0.0
    entropy: float = 0.0

    @classmethod
    def plain(cls, counts: Counts, **constants: Any) -> Formula:
        """All labels alike."""
        ones = torch.ones_like(counts.yes_L)
        return cls(ones, ones, torch.zeros_like(ones), **constants)

    @property
    def counts_unknown(self) -> bool:
        return self.unknown > 0 or self.entropy > 0

    def __call__(self, logits_BL: Tensor, targets_BL: Tensor, known_BL: Tensor | None) -> Tensor:
        """In nats; 0 where nothing counts."""
        z = logits_BL + self.shift_L.to(logits_BL)
        no = self.no_L.to(logits_BL) * self._no(z)
        cells = targets_BL * self.yes_L.to(logits_BL) * self._yes(z) + (1 - targets_BL) * no
        if self.rarity_L is not None:
            cells = cells * rebalanced(targets_BL, self.rarity_L.to(logits_BL), known_BL)
        if known_BL is None:
            return cells.mean()
        if not self.counts_unknown:
            return (cells * known_BL).sum() / known_BL.sum().clamp(min=1.0)
        hidden = self.unknown * no if self.unknown else -self.entropy * entropy(logits_BL)
        return torch.where(known_BL > 0, cells, hidden).mean()

    def _yes(self, z: Tensor) -> Tensor:
        cost = -logsigmoid(z)
        return cost if not self.focus_yes else cost * torch.exp(self.focus_yes * logsigmoid(-z))

    def _no(self, z: Tensor) -> Tensor:
        z = self.sharpness * z
        if self.margin:
            q = (torch.sigmoid(z) - self.margin).clamp(min=0)
            return -torch.log1p(-q) * q**self.focus_no / self.sharpness
        cost = -logsigmoid(-z) / self.sharpness
        return cost if not self.focus_no else cost * torch.exp(self.focus_no * logsigmoid(z))


def entropy(logits_BL: Tensor) -> Tensor:
    """(B, L) of yes or no, in nats."""
    return -logsigmoid(-logits_BL) - logits_BL * torch.sigmoid(logits_BL)


def rebalanced(targets_BL: Tensor, rarity_L: Tensor, known_BL: Tensor | None) -> Tensor:
    """(B, L) what each cell counts for: how often its label alone would bring its row, over how often the row comes.

    A row without a yes cell is taken to be as rare as can be.
    """
    yes_BL = (targets_BL > 0.5).to(rarity_L)
    if known_BL is not None:
        yes_BL = yes_BL * known_BL
    ratio_BL = rarity_L / (yes_BL @ rarity_L)[:, None]
    return FLOOR + torch.sigmoid(STEEPNESS * (ratio_BL - MIDDLE))


def bce(logits_BL: Tensor, targets_BL: Tensor, known_BL: Tensor | None) -> Tensor:
    """Mean binary cross-entropy over the known cells, in nats; 0 where none is known.

    Equal to `keras.losses.BinaryCrossentropy` on sigmoid outputs, but for Keras's clipping of p to [1e-7, 1 - 1e-7].
    """
    if known_BL is None:
        return binary_cross_entropy_with_logits(logits_BL, targets_BL)
    total = binary_cross_entropy_with_logits(logits_BL, targets_BL, weight=known_BL, reduction="sum")
    return total / known_BL.sum().clamp(min=1.0)


def weighted(counts: Counts) -> Formula:
    """Of each label, yes cells and no cells count the same in sum, and all cells 1 on average (King & Zeng 2001).

    Not what Keras's `class_weight` makes of several labels: that takes one weight a row, of the row's first yes.
    """
    no_L = (counts.known_L - counts.yes_L).clamp(min=1)
    return Formula(counts.known_L / (2 * counts.yes_L), counts.known_L / (2 * no_L), torch.zeros_like(no_L))


def distribution_balanced(counts: Counts) -> Formula:
    """Rebalanced weights and negative-tolerant regularisation, with the constants of its VOC-MLT (Wu et al. 2020)."""
    share_L = (counts.yes_L / counts.known_L).clamp(max=1 - 1e-6)
    ones = torch.ones_like(share_L)
    prior_L = -torch.log(1 / share_L - 1)
    return Formula(ones, ones, PRIOR_SHARE * prior_L, 1 / counts.yes_L, sharpness=SHARPNESS)


def weak_negative(counts: Counts) -> Formula:
    """Unknown cells as no, all of a row's together counting as one (WAN, Cole et al. 2021)."""
    return Formula.plain(counts, unknown=1 / max(1, len(counts.yes_L) - 1))


#: what makes a loss, by the name that a recipe writes
LOSSES: dict[str, Callable[[Counts], Loss]] = {
    "bce": lambda counts: bce,
    "weighted": weighted,
    "focal": lambda counts: Formula.plain(counts, focus_yes=2.0, focus_no=2.0),  # Lin et al. 2017, without alpha
    "asymmetric": lambda counts: Formula.plain(counts, focus_no=4.0, margin=0.05),  # Ridnik et al. 2021
    "distribution-balanced": distribution_balanced,
    "weak-negative": weak_negative,
    "entropy": lambda counts: Formula.plain(counts, entropy=ENTROPY),  # Zhou et al. 2022
    "assume-negative": lambda counts: Formula.plain(counts, unknown=1.0),
}


def loss_for(name: str, targets_NL: Tensor, known_NL: Tensor | None) -> Loss:
    """The loss of that name, for the labels of train (as in `LabelledRows`)."""
    return LOSSES[name](Counts.of(targets_NL, known_NL))
