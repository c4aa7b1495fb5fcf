"""The names of features: a model takes its columns in the order that it was trained on, whatever order they come in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.errors import DataError, did_you_mean

#: names that a message lists
_LISTED = 8


def feature_order(names: Sequence[str], expected: Sequence[str], what: str = "X") -> NDArray[np.intp] | None:
    """Where each of the `expected` columns stands among `names`; None where nothing has to move or has no name.

    Raises:
        DataError: columns that are missing, and columns that are not expected.
    """
    if not names or not expected or tuple(names) == tuple(expected):
        return None
    at = {name: number for number, name in enumerate(names)}
    missing = [name for name in expected if name not in at]
    surplus = [name for name in names if name not in set(expected)]
    faults = []
    if missing:
        hint = did_you_mean(missing[0], surplus)
        faults.append(f"{what} lacks {len(missing)} of the {len(expected)} features: {_listed(missing)}.{hint}")
    if surplus:
        faults.append(f"{what} has {len(surplus)} columns that are not features: {_listed(surplus)}")
    if faults:
        raise DataError(
            faults,
            "Give the columns that the model was trained on, in any order. If only their names differ, give the values "
            "in that order as an array: X.to_numpy().",
        )
    return np.array([at[name] for name in expected], dtype=np.intp)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_LISTED])) + (", ..." if len(names) > _LISTED else "")
