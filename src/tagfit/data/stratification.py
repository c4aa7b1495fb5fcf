"""Dealing samples so that every label is spread: iterative stratification for several labels.

Sechidis, Tsoumakas & Vlahavas, "On the Stratification of Multi-label Data", ECML PKDD 2011.

Shapes: N samples, L labels, P parts, G groups, most of them of one sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.records.data import YES, Dataset


def iterative_stratification(
    labels_NL: NDArray[np.int8], shares: Sequence[float], groups: NDArray[np.intp] | None = None
) -> NDArray[np.int8]:
    """Deal N rows to P parts so that every label is spread by `shares`; ties go to the earlier row and part.

    Several rows that belong together carry several labels, so they go where they lower most the chi-square distance of
    all their labels, and of the part's size, from what is wished for.

    Args:
        labels_NL: (N, L) int8; only YES cells count, so unknown cells do not pull.
        shares: (P,) fractions that add up to 1.
        groups: (N,) group numbers from 0, or None: rows of one group come into one part. Large groups are dealt first,
            equally large ones in the order of their numbers.

    Returns:
        (N,) int8 index into `shares`.
    """
    if groups is None:
        groups = np.arange(len(labels_NL))
    sizes = np.bincount(groups)
    order = np.argsort(-sizes, kind="stable")
    sizes = sizes[order]
    yes_GL = np.zeros((len(sizes), labels_NL.shape[1]), dtype=np.int64)
    np.add.at(yes_GL, groups, labels_NL == YES)
    yes_GL = yes_GL[order]
    weights_P = np.asarray(shares, dtype=np.float64)
    room_P = weights_P * len(labels_NL)
    left_L = yes_GL.sum(axis=0)
    wanted_LP = left_L[:, None] * weights_P
    wishes = np.maximum(wanted_LP, 1e-9), np.maximum(room_P, 1e-9)
    dealt_G = np.full(len(sizes), -1, dtype=np.int8)
    labels_of = [np.flatnonzero(row) for row in yes_GL]

    def part_for(number: int, label: int | None) -> int:
        if sizes[0] > 1 and (left := int((dealt_G < 0).sum())) <= len(
            weights_P
        ):  # large groups may be few, and no part goes without
            empty = np.setdiff1d(np.arange(len(weights_P)), dealt_G)
            if left <= len(empty):
                return int(empty[0])
        if sizes[number] == 1:
            return int(np.argmax(room_P)) if label is None else _neediest(wanted_LP[label], room_P)
        labels = labels_of[number]
        brings = yes_GL[number, labels][:, None]
        better_P = ((2 * wanted_LP[labels] - brings) * brings / wishes[0][labels]).sum(axis=0)
        return int(np.argmax(better_P + (2 * room_P - sizes[number]) * sizes[number] / wishes[1]))

    def deal(number: int, label: int | None) -> None:
        part, labels = part_for(number, label), labels_of[number]
        dealt_G[number] = part
        wanted_LP[labels, part] -= yes_GL[number, labels]
        left_L[labels] -= yes_GL[number, labels]
        room_P[part] -= sizes[number]

    while left_L.any():
        label = int(np.argmin(np.where(left_L > 0, left_L, np.iinfo(left_L.dtype).max)))
        for number in np.flatnonzero((yes_GL[:, label] > 0) & (dealt_G < 0)):
            deal(int(number), label)
    for number in np.flatnonzero(dealt_G < 0):
        deal(int(number), None)
    dealt = np.empty_like(dealt_G)
    dealt[order] = dealt_G
    return dealt[groups]


def _neediest(wanted_P: NDArray[np.float64], room_P: NDArray[np.float64]) -> int:
    """The part that lacks the label most; among equals the one with most room."""
    best = np.flatnonzero(wanted_P >= wanted_P.max() - 1e-9)
    return int(best[np.argmax(room_P[best])])


def content_order(hashes: NDArray[np.uint8], seed: int) -> NDArray[np.intp]:
    """Rows in the order of their keyed content hashes: shuffled by `seed`, the same wherever the files lie.

    Args:
        hashes: (N, 32) uint8.
    """
    key = f"tagfit split {seed}".encode()
    keyed = [hashlib.blake2b(row.tobytes(), digest_size=16, key=key).digest() for row in hashes]
    return np.argsort(np.array(keyed, dtype="S16"), kind="stable")


def deal(
    dataset: Dataset, rows: NDArray[np.intp], groups: NDArray[np.intp], shares: Sequence[float], seed: int
) -> NDArray[np.int8]:
    """Deal some rows of a dataset, in an order that depends on the samples' content and the seed alone.

    Args:
        rows: (n,) which rows.
        groups: (N,) group number of every sample of the dataset; what is in one group comes into one part.
        shares: (P,) fractions that add up to 1.

    Returns:
        (n,) int8 index into `shares`.
    """
    return iterative_stratification(dataset.labels_NL[rows], shares, _in_order(dataset, rows, groups, seed))


def draw(
    dataset: Dataset, rows: NDArray[np.intp], groups: NDArray[np.intp], share: float, seed: int
) -> NDArray[np.bool_]:
    """(n,) which rows of a dataset are drawn, by chance: about so many, whole groups, whatever their labels are.

    New samples come by chance as well. Stratification gives a small part none of the rare labels, so that what is
    measured there would not hold for new samples. Arguments are those of `deal`.
    """
    number = _in_order(dataset, rows, groups, seed)
    sizes = np.bincount(number)
    drawn: NDArray[np.bool_] = (np.cumsum(sizes) - sizes / 2 < share * len(rows))[number]
    return drawn


def _in_order(dataset: Dataset, rows: NDArray[np.intp], groups: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """(n,) the number of each row's group, from 0, in an order that depends on the samples' content and the seed."""
    # a group lies in the order of content where its smallest hash does
    by_hash = np.lexsort(dataset.hashes[rows].T[::-1])
    _, first, group_of = np.unique(groups[rows][by_hash], return_index=True, return_inverse=True)
    place_G = np.argsort(content_order(dataset.hashes[rows][by_hash][first], seed), kind="stable")
    number = np.empty(len(rows), dtype=np.intp)
    number[by_hash] = place_G[group_of.ravel()]
    return number
