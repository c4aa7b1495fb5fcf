"""What each fold's network is trained and scored on.

Shapes: N samples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tagfit.data.split import CARVED
from tagfit.data.stratification import deal
from tagfit.errors import DataError
from tagfit.records.data import PARTS, UNKNOWN, LockedData, Split

#: a sample that a fold's network has nothing to do with
ASIDE = -1


def trainings(data: LockedData) -> tuple[LockedData, ...]:
    """What is to be trained on: `data` itself or, where there are folds, for each fold the others.

    Of these, 15% are dealt to val, for early stopping; the fold itself is test. So no sample is scored by a network
    that has seen it, not even to know when to stop. The lock is that of `data`: it says who is in which fold.

    Raises:
        DataError: a fold leaves nothing, or no known label, to train on or to stop by.
    """
    of_fold = data.split.folds
    if of_fold is None:
        return (data,)
    return tuple(_without(data, fold) for fold in range(int(of_fold.max()) + 1))


def _without(data: LockedData, fold: int) -> LockedData:
    dataset, of_fold, groups = data.dataset, data.split.folds, data.split.groups
    assert of_fold is not None
    parts = np.full(len(dataset), ASIDE, dtype=np.int8)
    parts[of_fold == fold] = PARTS.index("test")
    others = np.flatnonzero((of_fold >= 0) & (of_fold != fold))
    together = np.arange(len(dataset)) if groups is None else groups
    codes = np.array([PARTS.index("train"), PARTS.index("val")], dtype=np.int8)
    # each fold by a draw of its own: no sample is kept from all networks
    parts[others] = codes[deal(dataset, others, together, [1 - CARVED, CARVED], fold)]
    split = Split(parts)
    faults = [
        f"fold {fold + 1} has no known label in the {split.counts[part]} samples of its {part} part"
        for part in ("train", "val")
        if (dataset.labels_NL[parts == PARTS.index(part)] == UNKNOWN).all()
    ]
    if faults:
        raise DataError(faults, "Add labelled samples, ask for fewer folds (--folds), or for a split instead.")
    return replace(data, split=split)
