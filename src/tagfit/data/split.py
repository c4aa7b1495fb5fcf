"""Which part each sample belongs to.

A person's own split is respected to the row. Otherwise rows are dealt by iterative stratification for several labels
(Sechidis, Tsoumakas & Vlahavas, "On the Stratification of Multi-label Data", ECML PKDD 2011), in an order that
depends on the samples' content and the split seed alone, so that neither file order, folder nor training seed move it.
What is in one group, as byte-identical samples always are, comes into one part.

Shapes: N samples, L labels, P parts, G groups, most of them of one sample.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.data.groups import AUTO, Groups, group, leaks, likeness
from tagfit.errors import DataError
from tagfit.records import PARTS, UNKNOWN, YES, Dataset, Likeness, Part, Split

#: shares of train, val, calibrate and test unless given
DEFAULT_SHARES: Mapping[str, float] = {"train": 0.70, "val": 0.15, "test": 0.15}

#: the share of train that becomes val where a person's split has none
VAL_FROM_TRAIN = 0.15
_CARVED: Mapping[str, float] = {"train": 1 - VAL_FROM_TRAIN, "val": VAL_FROM_TRAIN}

#: how far, as a fraction of all samples, a part may be from its share without a note
TOLERANCE = 0.02


def split(
    dataset: Dataset, *, shares: Mapping[str, float] | None = None, seed: int = 0, groups: str | None = None
) -> Split:
    """Deal every sample of `dataset` to a part.

    Args:
        dataset: N samples; its `given_split`, where there is one, is kept to the row.
        shares: fraction a part, adding up to 1; train and val must be among them. Not with a person's own split.
        seed: the split seed.
        groups: `auto`, `blocks`, `none` or a metadata column, as in `data.groups`; not with a person's own split,
            but where it has no val part.

    Raises:
        DataError: shares or groups that make no sense, or a split that leaves a part empty.
    """
    own = dataset.given_split
    if own is not None:
        _check_own(own, shares, groups)
    shares = DEFAULT_SHARES if shares is None else shares
    _check_shares(shares)
    if own is not None and _has(own, "val"):
        return _checked(dataset, _completed(dataset, own, likeness(dataset), ()))
    by = AUTO if groups is None else groups
    group(dataset, by, Likeness())  # what cannot be is said before pictures are compared
    known = likeness(dataset)
    grouped = group(dataset, by, known)
    if own is not None:
        rows, part_shares = np.flatnonzero(own == PARTS.index("train")), _CARVED
    else:
        rows, part_shares = np.arange(len(dataset)), shares
    parts = np.zeros(len(dataset), dtype=np.int8) if own is None else own.copy()
    count = len(np.unique(grouped.of[rows]))
    if count < min(len(part_shares), len(rows)):
        raise DataError(
            f"the samples are {count} {'groups' if count > 1 else 'group'}, which cannot fill the "
            f"{len(part_shares)} parts {', '.join(part_shares)}",
            "Give a split of fewer parts (--split), or other groups (--groups).",
        )
    parts[rows] = _dealt(dataset, rows, grouped, part_shares, seed)
    notes = (*grouped.notes, *_off_share(parts[rows], part_shares))
    if own is not None:
        return _checked(dataset, _completed(dataset, parts, known, (_carved_note(parts), *notes)))
    told = _neighbour_note(parts, known)
    return _checked(dataset, Split(parts, (*notes, *leaks(dataset, parts, known), *told), known))


def parse_shares(text: str) -> dict[str, float]:
    """Shares from `70/15/15` (train/val/test) or `80/20` (train/val).

    Raises:
        DataError: anything else.
    """
    try:
        numbers = [float(piece) for piece in text.split("/")]
    except ValueError:
        numbers = []
    if len(numbers) not in {2, 3} or not math.isclose(sum(numbers), 100, abs_tol=1e-6):
        raise DataError(f"a split must be percentages like 70/15/15 or 80/20 that add up to 100; got {text!r}")
    return {part: number / 100 for part, number in zip(("train", "val", "test"), numbers, strict=False)}


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


def _dealt(
    dataset: Dataset, rows: NDArray[np.intp], groups: Groups, shares: Mapping[str, float], seed: int
) -> NDArray[np.int8]:
    """(len(rows),) int8 index into PARTS; what is in one group comes into one part."""
    # a group lies in the order of content where its smallest hash does
    by_hash = np.lexsort(dataset.hashes[rows].T[::-1])
    _, first, group_of = np.unique(groups.of[rows][by_hash], return_index=True, return_inverse=True)
    place_G = np.argsort(content_order(dataset.hashes[rows][by_hash][first], seed), kind="stable")
    number = np.empty(len(rows), dtype=np.intp)
    number[by_hash] = place_G[group_of.ravel()]
    codes = np.array([PARTS.index(part) for part in shares], dtype=np.int8)
    return codes[iterative_stratification(dataset.labels_NL[rows], list(shares.values()), number)]


def _completed(dataset: Dataset, parts: NDArray[np.int8], known: Likeness, notes: tuple[str, ...]) -> Split:
    """A person's split, whose val part is there by now; a missing test part stays missing."""
    said = ["The split is the data's own.", *notes]
    if not _has(parts, "test"):
        said.append("It has no test part and none was invented: test scores are empty, and val flatters.")
    return Split(parts, (*said, *leaks(dataset, parts, known)), known)


def _carved_note(parts: NDArray[np.int8]) -> str:
    count = int((parts == PARTS.index("val")).sum())
    return f"It has no val part: {VAL_FROM_TRAIN:.0%} of train, {count} samples, became val."


def _off_share(parts: NDArray[np.int8], shares: Mapping[str, float]) -> tuple[str, ...]:
    """What to say where groups are too large for the shares to be met."""
    came = {part: float((parts == PARTS.index(part)).mean()) for part in shares}
    if all(abs(came[part] - share) * len(parts) <= max(2, TOLERANCE * len(parts)) for part, share in shares.items()):
        return ()
    asked = "/".join(f"{share:.0%}" for share in shares.values())
    return (f"{'/'.join(shares)} came to {'/'.join(f'{share:.0%}' for share in came.values())} rather than {asked}.",)


def _neighbour_note(parts: NDArray[np.int8], known: Likeness) -> tuple[str, ...]:
    neighbours = known.neighbours
    if neighbours is None or not neighbours.telling:
        return ()
    parted, count = len(neighbours.across(parts)), len(neighbours.pairs)
    if parted * 4 < count:
        return ()
    return (
        f"Pictures with neighbouring {neighbours.by} are more alike than chance ({neighbours.alike:.0%} of them, by "
        f"chance 50%), and {parted} of {count} such pairs are parted: val and test flatter. "
        "--groups blocks keeps them together.",
    )


def _has(parts: NDArray[np.int8], part: Part) -> bool:
    return bool((parts == PARTS.index(part)).any())


def _check_own(own: NDArray[np.int8], shares: Mapping[str, float] | None, groups: str | None) -> None:
    faults, options = [], []
    if shares is not None:
        faults.append("the data brings its own split, so no shares can be given")
        options.append("--split")
    if groups is not None and _has(own, "val"):
        faults.append("the data brings its own split, so nothing is left to keep together in groups")
        options.append("--groups")
    if faults:
        raise DataError(faults, f"Leave {' and '.join(options)} away, or take the split column out of the label file.")


def _checked(dataset: Dataset, split: Split) -> Split:
    parts: tuple[Part, ...] = ("train", "val")
    faults = [
        f"the {part} part is empty: expected at least one sample in it" for part in parts if not split.counts[part]
    ]
    faults += [
        f"the {part} part has no known label in its {split.counts[part]} samples: expected at least one"
        for part in parts
        if split.counts[part] and (dataset.labels_NL[split.rows(part)] == UNKNOWN).all()
    ]
    if faults:
        raise DataError(faults, "Add labelled samples, or give a split with larger parts (--split).")
    return split


def _check_shares(shares: Mapping[str, float]) -> None:
    faults = [f"a split has no part {part!r}: expected {', '.join(PARTS)}" for part in shares if part not in PARTS]
    faults += [f"the share of {part} must be above 0; got {share!r}" for part, share in shares.items() if not share > 0]
    faults += [f"a split needs a {part} part" for part in ("train", "val") if part not in shares]
    if not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6):
        faults.append(f"the shares of a split must add up to 1; got {sum(shares.values()):g}")
    if faults:
        raise DataError(faults)
