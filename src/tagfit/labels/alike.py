"""The samples that look most like one, and in which labels it differs from them.

Shapes: N samples, L labels, D features, k neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.records.data import UNKNOWN, YES

#: how many are shown, and how many of those have to agree for a difference to be worth a word
SHOWN, AGREEING = 10, 8


class Alike:
    """Samples by the direction of their features.

    Args:
        x_ND: (N, D) standardised features; they are scaled to length 1 in place.
    """

    def __init__(self, x_ND: NDArray[np.float32]) -> None:
        x_ND /= np.maximum(np.linalg.norm(x_ND, axis=1, keepdims=True), 1e-12)
        self._unit_ND = x_ND

    def nearest(self, row: int, count: int = SHOWN) -> NDArray[np.intp]:
        """(k,) the rows most like `row`, the nearest first, without itself."""
        cosine_N = self._unit_ND @ self._unit_ND[row]
        cosine_N[row] = -np.inf
        count = min(count, len(cosine_N) - 1)
        if count < 1:
            return np.empty(0, np.intp)
        best = np.argpartition(-cosine_N, count - 1)[:count]
        found: NDArray[np.intp] = best[np.argsort(-cosine_N[best], kind="stable")]
        return found


def differences(
    labels_L: NDArray[np.int8], neighbours_kL: NDArray[np.int8], label_names: Sequence[str]
) -> tuple[str, ...]:
    """Labels in which a sample differs from nearly all of its neighbours, as sentences."""
    found = []
    for label, name in enumerate(label_names):
        known = neighbours_kL[:, label][neighbours_kL[:, label] != UNKNOWN]
        yes = int((known == YES).sum())
        has = labels_L[label] == YES
        if yes >= AGREEING and not has:
            found.append(f"{yes} of {len(known)} that look alike have {name}, this one does not.")
        elif len(known) - yes >= AGREEING and has:
            found.append(f"{len(known) - yes} of {len(known)} that look alike do not have {name}, this one does.")
    return tuple(found)
