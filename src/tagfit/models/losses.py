"""The loss registry. Every loss takes logits, so that no probability has to be clipped, and leaves unknown cells out.

Shapes: B batch, L labels.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

#: (logits_BL, targets_BL in [0, 1], known_BL of 1.0 and 0.0 or None where all are known) -> scalar
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def bce(logits_BL: Tensor, targets_BL: Tensor, known_BL: Tensor | None) -> Tensor:
    """Mean binary cross-entropy over the known cells, in nats; 0 where none is known.

    Equal to `keras.losses.BinaryCrossentropy` on sigmoid outputs, but for Keras's clipping of p to [1e-7, 1 - 1e-7].
    """
    if known_BL is None:
        return binary_cross_entropy_with_logits(logits_BL, targets_BL)
    total = binary_cross_entropy_with_logits(logits_BL, targets_BL, weight=known_BL, reduction="sum")
    return total / known_BL.sum().clamp(min=1.0)


#: by the name that a recipe writes
LOSSES: dict[str, Loss] = {"bce": bce}
