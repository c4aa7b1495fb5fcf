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
    by_group = np.argsort(groups, kind="stable")
    starts = np.cumsum(sizes) - sizes
    yes_GL = np.add.reduceat((labels_NL == YES)[by_group], starts, axis=0, dtype=np.int64)
    weights_P = np.asarray(shares, dtype=np.float64)
    dealt_G = _dealt(_Table(yes_GL[order], sizes[order], weights_P, fills=bool(sizes.max(initial=0) > 1)))
    if len(np.unique(dealt_G)) < min(len(shares), len(sizes)):  # few rows whose labels are all rare
        dealt_G = _dealt(_Table(yes_GL[order], sizes[order], weights_P, fills=True))
    dealt = np.empty_like(dealt_G)
    dealt[order] = dealt_G
    return dealt[groups]


def _dealt(table: _Table) -> NDArray[np.int8]:
    while (label := table.rarest()) is not None:
        table.deal(np.flatnonzero((table.yes_GL[:, label] > 0) & (table.dealt_G < 0)), label)
    table.deal(np.flatnonzero(table.dealt_G < 0), None)
    return table.dealt_G


class _Table:
    """What has been dealt, and what each part still lacks.

    Lists of Python's own numbers, as there are a few parts and perhaps a million samples, one after the other.
    """

    def __init__(
        self, yes_GL: NDArray[np.int64], sizes_G: NDArray[np.intp], weights_P: NDArray[np.float64], *, fills: bool
    ) -> None:
        self.yes_GL, self._sizes_G, self._fills = yes_GL, sizes_G, fills
        self.dealt_G = np.full(len(sizes_G), -1, dtype=np.int8)
        self._left, self._undealt = yes_GL.sum(axis=0).tolist(), len(sizes_G)
        wanted_LP, room_P = np.array(self._left)[:, None] * weights_P, weights_P * int(sizes_G.sum())
        self._wishes = np.maximum(wanted_LP, 1e-9), np.maximum(room_P, 1e-9)
        self._wanted, self._room = wanted_LP.tolist(), room_P.tolist()

    def rarest(self) -> int | None:
        """The label of which fewest are left to deal, the first of several; None if none is left."""
        left = [(count, label) for label, count in enumerate(self._left) if count]
        return min(left)[1] if left else None

    def deal(self, groups: NDArray[np.intp], label: int | None) -> None:
        """Deal some groups for the sake of a label, or those without any, one after the other."""
        several = int((self._sizes_G[groups] > 1).sum())  # the large ones come first
        for group in groups[:several].tolist():
            self._take(group, self._part_of_several(group))
        singles = groups[several:]
        rows, columns = np.nonzero(self.yes_GL[singles])
        ends = np.searchsorted(rows, np.arange(1, len(singles) + 1)).tolist()
        labels, start = columns.tolist(), 0
        for group, end in zip(singles.tolist(), ends, strict=True):
            part = self._forced()
            if part is None:
                part = _largest(self._room) if label is None else _neediest(self._wanted[label], self._room)
            self.dealt_G[group] = part
            for one in labels[start:end]:
                self._wanted[one][part] -= 1
                self._left[one] -= 1
            self._room[part] -= 1
            self._undealt -= 1
            start = end

    def _take(self, group: int, part: int) -> None:
        self.dealt_G[group] = part
        for one in np.flatnonzero(self.yes_GL[group]).tolist():
            self._wanted[one][part] -= int(self.yes_GL[group, one])
            self._left[one] -= int(self.yes_GL[group, one])
        self._room[part] -= int(self._sizes_G[group])
        self._undealt -= 1

    def _forced(self) -> int | None:
        """Groups may be few, and no part goes without: the first empty part if as few are left as are empty."""
        if self._undealt > len(self._room) or not self._fills:
            return None
        empty = np.setdiff1d(np.arange(len(self._room)), self.dealt_G)
        return int(empty[0]) if self._undealt <= len(empty) else None

    def _part_of_several(self, group: int) -> int:
        if (forced := self._forced()) is not None:
            return forced
        labels = np.flatnonzero(self.yes_GL[group])
        brings, size = self.yes_GL[group, labels][:, None], self._sizes_G[group]
        wanted_LP = np.array([self._wanted[label] for label in labels.tolist()]).reshape(len(labels), len(self._room))
        better_P = ((2 * wanted_LP - brings) * brings / self._wishes[0][labels]).sum(axis=0)
        return int(np.argmax(better_P + (2 * np.array(self._room) - size) * size / self._wishes[1]))


def _largest(room: Sequence[float]) -> int:
    return max(range(len(room)), key=room.__getitem__)


def _neediest(wanted: Sequence[float], room: Sequence[float]) -> int:
    """The part that lacks the label most; among equals the one with most room."""
    least, best = max(wanted) - 1e-9, -1
    for part, lacks in enumerate(wanted):
        if lacks >= least and (best < 0 or room[part] > room[best]):
            best = part
    return best


def content_order(hashes: NDArray[np.uint8], seed: int) -> NDArray[np.intp]:
    """Rows in the order of their keyed content hashes: shuffled by `seed`, the same wherever the files lie.

    Args:
        hashes: (N, 32) uint8.
    """
    key = f"tagfit split {seed}".encode()
    raw, step = hashes.tobytes(), hashes.shape[1]
    keyed = [hashlib.blake2b(raw[at : at + step], digest_size=16, key=key).digest() for at in range(0, len(raw), step)]
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
