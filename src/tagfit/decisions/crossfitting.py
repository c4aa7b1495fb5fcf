"""Folds: what is fitted on some rows is judged on others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def folds(
    count: int, groups: NDArray[np.intp] | None = None, *, number: int = FOLDS, seed: int = 0
) -> NDArray[np.intp]:
    """(count,) fold numbers from 0, as equal in size as the groups let them be; a group lies in one fold.

    Args:
        count: how many rows.
        groups: (count,) numbers of what belongs together, or None: each row by itself.
        number: how many folds; fewer come where there are fewer groups.
        seed: shuffles the groups.
    """
    of_row = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    sizes = np.bincount(of_row)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold_of_group, filled = np.empty(len(sizes), dtype=np.intp), np.zeros(number, dtype=np.intp)
    for group in order:
        fold = int(np.argmin(filled))
        fold_of_group[group] = fold
        filled[fold] += sizes[group]
    return fold_of_group[of_row]


def left_out(count: int, groups: NDArray[np.intp] | None = None, *, seed: int = 0) -> Iterator[NDArray[np.bool_]]:
    """For each fold in turn (count,) which rows are in it: what is fitted on the others is judged on these."""
    of_fold = folds(count, groups, seed=seed)
    for fold in np.unique(of_fold):
        yield of_fold == fold
