"""Rows that name the same image."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults
from tagfit.data.sources.labelled import Labelled


def first_rows(
    keys: Sequence[Hashable | None], where: Sequence[str], told: Labelled, faults: Faults
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Row numbers, each image once; rows that repeat an image and say something else of it are faults.

    Args:
        keys: (N,) equal for equal images; None where it is not known which image is meant.

    Returns:
        the ascending numbers of the rows to keep, and a note that counts the others.
    """
    first: dict[Hashable, int] = {}
    for row, key in enumerate(keys):
        earlier = first.setdefault(row if key is None else key, row)
        if earlier != row and (what := _difference(told, earlier, row)):
            faults.add(
                f"{where[row]}: names the image of {where[earlier]} with {what}.",
                "Keep one row an image.",
            )
    kept = np.fromiter(first.values(), np.intp, len(first))
    dropped = len(keys) - len(kept)
    return kept, (f"{dropped} rows that repeat an image with the same labels are left out.",) if dropped else ()


def _difference(told: Labelled, one: int, other: int) -> str:
    if not np.array_equal(told.labels.codes_NL[one], told.labels.codes_NL[other]):
        return "other labels"
    if told.given_split is not None and told.given_split[one] != told.given_split[other]:
        return "another split"
    return ""
