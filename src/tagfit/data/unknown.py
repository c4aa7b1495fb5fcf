"""Unknown label cells: how many there are, where, and what it means that only yes is known.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tagfit.errors import DataError
from tagfit.records.data import NO, PARTS, UNKNOWN, YES, Dataset, LockedData, Part, only_yes


def cell_counts(dataset: Dataset, parts: NDArray[np.int8], value: int) -> dict[str, list[int]]:
    """By part, how many cells of each label (L) are YES, NO or UNKNOWN; no part that is empty."""
    alike_NL = dataset.labels_NL == value
    return {
        part: alike_NL[parts == code].sum(axis=0).tolist() for code, part in enumerate(PARTS) if (parts == code).any()
    }


def unknown_notes(dataset: Dataset, parts: NDArray[np.int8]) -> Iterator[str]:
    """How many cells are unknown in each part, which labels are unknown altogether, and whether only yes is known."""
    names = np.array(dataset.label_names)
    for part, counts in cell_counts(dataset, parts, UNKNOWN).items():
        unknown_L, samples = np.array(counts), int((parts == PARTS.index(part)).sum())
        if not unknown_L.any():
            continue
        least, most = int(unknown_L.argmin()), int(unknown_L.argmax())
        yield (
            f"Of {part}, {unknown_L.sum():,} of {samples * len(names):,} label cells are unknown "
            f"({unknown_L.mean() / samples:.0%}), from {counts[least]:,} ({names[least]}) to {counts[most]:,} "
            f"({names[most]}) of {samples:,} a label: they are left out of every score"
            f"{'.' if only_yes(dataset.labels_NL[parts == PARTS.index(part)]) else ', and of losses.'}"
        )
        if never := names[unknown_L == samples].tolist():
            yield f"Labels that are unknown in all of {part}: {', '.join(never)}. No score on {part} covers them."
    train_NL = dataset.labels_NL[parts == PARTS.index("train")]
    if only_yes(train_NL):
        yes = (train_NL == YES).sum(axis=1)
        yield (
            f"In train only yes is known ({yes.mean():.1f} labels a sample), never no, so train is not scored. "
            "Networks are trained with losses that treat unknown labels as a weak no, or leave them open."
        )


def check_single_positive(data: LockedData) -> None:
    """Whether what else there is can tell yes from no, where train cannot.

    Raises:
        DataError: with every fault.
    """
    if not data.single_positive:
        return
    faults = []
    chosen: tuple[Part, ...] = ("val", "calibrate", "test")
    if data.split.folds is not None:
        faults.append(
            "in train only yes is known, never no, so its folds cannot be scored: expected a val part instead"
        )
        chosen = ("calibrate", "test")
    for part in chosen:
        labels_NL = data.labels(part)
        unknown = int((labels_NL == UNKNOWN).sum())
        if part == "val" and unknown:
            faults.append(
                "in train only yes is known, never no, so val must be labelled fully; "
                f"{unknown:,} of its {labels_NL.size:,} cells are unknown"
            )
        elif len(labels_NL) and not (labels_NL == NO).any():
            faults.append(
                f"in train only yes is known, never no, and {part} has no known no either: nothing can be scored there"
            )
    if faults:
        raise DataError(
            faults,
            "Label some samples fully, yes and no, and say that they are val: with a split column, or X_val and y_val.",
        )
