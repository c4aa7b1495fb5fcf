"""Which part each sample belongs to.

A person's own split is respected to the row. Otherwise rows are dealt by iterative stratification for several labels
(Sechidis, Tsoumakas & Vlahavas, "On the Stratification of Multi-label Data", ECML PKDD 2011), in an order that
depends on the samples' content and the split seed alone, so that neither file order, folder nor training seed move it.

Shapes: N samples, L labels, P parts, G groups of byte-identical samples.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.data.lock import copies_among, hash_keys
from tagfit.errors import DataError
from tagfit.records import PARTS, UNKNOWN, YES, Dataset, Part, Split

#: shares of train, val, calibrate and test unless given
DEFAULT_SHARES: Mapping[str, float] = {"train": 0.70, "val": 0.15, "test": 0.15}

#: the share of train that becomes val where a person's split has none
VAL_FROM_TRAIN = 0.15


def split(dataset: Dataset, *, shares: Mapping[str, float] | None = None, seed: int = 0) -> Split:
    """Deal every sample of `dataset` to a part.

    Args:
        dataset: N samples; its `given_split`, where there is one, is kept to the row.
        shares: fraction a part, adding up to 1; train and val must be among them. Not with a person's own split.
        seed: the split seed.

    Raises:
        DataError: shares that make no sense, or a split that leaves train or val empty.
    """
    if dataset.given_split is not None:
        if shares is not None:
            raise DataError(
                "the data brings its own split, so no shares can be given",
                "Leave --split away, or take the split column out of the label file.",
            )
        return _completed(dataset, dataset.given_split, seed)
    shares = DEFAULT_SHARES if shares is None else shares
    _check_shares(shares)
    everyone = np.arange(len(dataset))
    parts = _dealt(dataset, everyone, [(PARTS.index(part), share) for part, share in shares.items()], seed)
    return _checked(dataset, Split(parts))


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


def iterative_stratification(labels_NL: NDArray[np.int8], shares: Sequence[float]) -> NDArray[np.int8]:
    """Deal N rows to P parts so that every label is spread by `shares`; ties go to the earlier row and part.

    Args:
        labels_NL: (N, L) int8; only YES cells count, so unknown cells do not pull.
        shares: (P,) fractions that add up to 1.

    Returns:
        (N,) int8 index into `shares`.
    """
    positive_NL = labels_NL == YES
    weights_P = np.asarray(shares, dtype=np.float64)
    room_P = weights_P * len(labels_NL)
    wanted_LP = positive_NL.sum(axis=0)[:, None] * weights_P
    dealt_N = np.full(len(labels_NL), -1, dtype=np.int8)
    left_L = positive_NL.sum(axis=0)
    labels_of = [np.flatnonzero(row) for row in positive_NL]

    def deal(row: int, part: int) -> None:
        dealt_N[row] = part
        wanted_LP[labels_of[row], part] -= 1
        left_L[labels_of[row]] -= 1
        room_P[part] -= 1

    while left_L.any():
        label = int(np.argmin(np.where(left_L > 0, left_L, np.iinfo(left_L.dtype).max)))
        for row in np.flatnonzero(positive_NL[:, label] & (dealt_N < 0)):
            deal(int(row), _neediest(wanted_LP[label], room_P))
    for row in np.flatnonzero(dealt_N < 0):
        deal(int(row), int(np.argmax(room_P)))
    return dealt_N


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


def _dealt(dataset: Dataset, rows: NDArray[np.intp], shares: list[tuple[int, float]], seed: int) -> NDArray[np.int8]:
    """(len(rows),) int8 index into PARTS; byte-identical samples always come into the same part."""
    hashes = dataset.hashes[rows]
    _, first, group_of = np.unique(hash_keys(hashes), return_index=True, return_inverse=True)
    order_G = content_order(hashes[first], seed)
    # copies may disagree: taking the highest value makes the group independent of their order
    labels_GL = np.full((len(first), dataset.labels_NL.shape[1]), UNKNOWN, dtype=np.int8)
    np.maximum.at(labels_GL, group_of.ravel(), dataset.labels_NL[rows])
    labels_GL = labels_GL[order_G]
    dealt_G = np.empty(len(first), dtype=np.int8)
    dealt_G[order_G] = iterative_stratification(labels_GL, [share for _, share in shares])
    codes = np.array([code for code, _ in shares], dtype=np.int8)
    return codes[dealt_G[group_of.ravel()]]


def _completed(dataset: Dataset, given: NDArray[np.int8], seed: int) -> Split:
    """The person's split, with val carved out of train where it has none; a missing test part stays missing."""
    parts, notes = given.copy(), ["The split is the data's own."]
    train, val = PARTS.index("train"), PARTS.index("val")
    if not (parts == val).any():
        rows = np.flatnonzero(parts == train)
        parts[rows] = _dealt(dataset, rows, [(train, 1 - VAL_FROM_TRAIN), (val, VAL_FROM_TRAIN)], seed)
        notes.append(
            f"It has no val part: {VAL_FROM_TRAIN:.0%} of train, {int((parts == val).sum())} samples, became val."
        )
    if not (parts == PARTS.index("test")).any():
        notes.append("It has no test part and none was invented: test scores are empty, and val flatters.")
    leaking = copies_among(dataset.hashes[parts != train], dataset.hashes[parts == train])
    if leaking:
        notes.append(f"{leaking} samples outside train are byte-identical to one in it: their scores flatter.")
    return _checked(dataset, Split(parts, tuple(notes)))


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
