"""The split of an earlier run, kept for the samples that it had, with new samples dealt beside them.

What the run was trained on stays in train, so that no score flatters the model that comes after it, or the run's own.

Shapes: N samples now, M samples then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.data.groups import AUTO, GIVEN, group, leaks, likeness
from tagfit.data.split import demand_filled
from tagfit.data.stratification import deal
from tagfit.data.unknown import unknown_notes
from tagfit.errors import DataError
from tagfit.records.data import PARTS, Dataset, LockedSamples, Part, Split, hash_keys

#: (n,) the part in which an earlier run had samples, for n of their rows; -1 of those that it did not have
Again = Callable[[NDArray[np.intp]], NDArray[np.int8]]

_NEW = -1
_TRAIN = PARTS.index("train")


def keep_split(
    dataset: Dataset,
    earlier: LockedSamples,
    *,
    shares: Mapping[str, float] | None = None,
    seed: int = 0,
    groups: str | Sequence[str] = AUTO,
    again: Again | None = None,
) -> Split:
    """Deal every sample of `dataset` to the part, and the fold, that the earlier run had it in.

    A new sample that belongs to one of the run's, as a near-copy does, joins its part; train, if it belongs to several.
    The others are dealt by `shares`, or are where the data's own split has them.

    Args:
        dataset: N samples.
        earlier: M samples.
        shares: fraction a part; the run's own, unless given. Not with a person's own split.
        seed: the split seed.
        groups: as in `split`.
        again: of the samples whose content the run did not have, finds those that it knows all the same, as an image
            that was saved anew.

    Raises:
        DataError: none of the samples was in the run; shares for a run in folds; the data's own split moves
            samples between train and the other parts, or a part stays empty.
    """
    at = place_in(earlier, dataset.hashes)
    known = likeness(dataset)
    grouped = group(dataset, groups, known)
    parts = _of_earlier(earlier.parts, at)
    new = np.flatnonzero(parts == _NEW)
    if again is not None and len(new):
        parts[new] = again(new)
    if (parts == _NEW).all():
        raise DataError("none of these samples was in the earlier run", "Name the run that was trained on this data.")
    if shares is not None and earlier.folds is not None:
        raise DataError(
            "the earlier run has folds in place of train and val, so you cannot give shares", "Remove --split."
        )
    own = dataset.given_split
    if own is not None:
        _check_own(dataset, own, parts, folded=earlier.folds is not None)
        if shares is not None:
            raise DataError("the data has its own split, so you cannot give shares", "Remove --split.")
    joined = _joined(parts, grouped.of)
    left = np.flatnonzero(joined == _NEW)
    if own is not None:
        folded = (earlier.folds is not None) & (own[left] == PARTS.index("val"))
        joined[left] = np.where(folded, _TRAIN, own[left])
    elif len(left):
        wanted = _shares_of(earlier) if shares is None else shares
        codes = np.array([PARTS.index(part) for part in wanted], dtype=np.int8)
        joined[left] = codes[deal(dataset, left, grouped.of, list(wanted.values()), seed)]
    folds = None if earlier.folds is None else _folds(dataset, earlier.folds, at, joined, grouped.of, seed)
    alone = len(np.unique(grouped.of)) == len(dataset)
    by = groups if isinstance(groups, str) else GIVEN
    notes = [_note(joined, at, len(earlier.parts)), *grouped.notes]
    notes += [*unknown_notes(dataset, joined), *leaks(dataset, joined, known)]
    return demand_filled(dataset, Split(joined, tuple(notes), known, folds, None if alone else grouped.of, by))


def place_in(earlier: LockedSamples, hashes: NDArray[np.uint8]) -> NDArray[np.intp]:
    """(N,) the row of each sample among those of the earlier run, by content; -1 for a new one.

    Of byte-identical samples, the first is the earlier run's first, and so on.
    """
    rows, met = defaultdict[bytes, list[int]](list), Counter[bytes]()
    for row, key in enumerate(hash_keys(earlier.hashes).tolist()):
        rows[key].append(row)
    at = np.full(len(hashes), _NEW, dtype=np.intp)
    for number, key in enumerate(hash_keys(hashes).tolist()):
        if key in rows:
            at[number] = rows[key][min(met[key], len(rows[key]) - 1)]
            met[key] += 1
    return at


def gone_from(then: int, at: NDArray[np.intp]) -> int:
    """How many of the earlier run's `then` samples are no longer there, by what `place_in` found."""
    return then - len(np.unique(at[at != _NEW]))


def _of_earlier(values: NDArray[np.int8], at: NDArray[np.intp]) -> NDArray[np.int8]:
    return np.where(at == _NEW, np.int8(_NEW), values[at])


def _joined(codes: NDArray[np.int8], groups: NDArray[np.intp]) -> NDArray[np.int8]:
    """(N,) `codes`, with the lowest of its group for each new row; train is the lowest of all parts."""
    lowest = np.full(int(groups.max(initial=-1)) + 1, np.iinfo(np.int8).max, dtype=np.int8)
    old = codes != _NEW
    np.minimum.at(lowest, groups[old], codes[old])
    of_group = lowest[groups]
    return np.where(old, codes, np.where(of_group == np.iinfo(np.int8).max, np.int8(_NEW), of_group))


def _folds(
    dataset: Dataset,
    folds: NDArray[np.int8],
    at: NDArray[np.intp],
    parts: NDArray[np.int8],
    groups: NDArray[np.intp],
    seed: int,
) -> NDArray[np.int8]:
    """(N,) the fold of each sample of train."""
    train = parts == _TRAIN
    kept = np.where(train, _joined(_of_earlier(folds, at), groups), np.int8(_NEW))
    left = np.flatnonzero(train & (kept == _NEW))
    count = int(folds.max()) + 1
    if len(left):
        kept[left] = deal(dataset, left, groups, [1 / count] * count, seed)
    return kept


def _shares_of(earlier: LockedSamples) -> dict[Part, float]:
    counts = {part: float((earlier.parts == code).sum()) for code, part in enumerate(PARTS)}
    return {part: count / len(earlier.parts) for part, count in counts.items() if count}


def _check_own(dataset: Dataset, own: NDArray[np.int8], parts: NDArray[np.int8], *, folded: bool) -> None:
    """Of a split that the data brings, val and calibrate may have been taken out of train."""
    may_train = [_TRAIN, PARTS.index("val")] if folded else [_TRAIN]
    moved = ((parts == _TRAIN) & ~np.isin(own, may_train)) | (
        (parts == PARTS.index("test")) & (own != PARTS.index("test"))
    )
    if moved.any():
        name = dataset.sample_names[int(moved.argmax())]
        raise DataError(
            f"the data's own split moves {moved.sum()} samples between train and other parts of the earlier run, "
            f"e.g. {name}: a model would be scored on samples that the other was trained on",
            "Restore the split that the run had, or train without --from.",
        )


def _note(parts: NDArray[np.int8], at: NDArray[np.intp], then: int) -> str:
    new, gone = at == _NEW, gone_from(then, at)
    text = f"{(~new).sum():,} samples keep the part that they had in the earlier run"
    if new.any():
        counts = {part: int((parts[new] == code).sum()) for code, part in enumerate(PARTS)}
        shown = ", ".join(f"{count:,} to {part}" for part, count in counts.items() if count)
        text += f"; {new.sum():,} new ones are added: {shown}"
    return text + (f"; {gone:,} are no longer there." if gone > 0 else ".")
