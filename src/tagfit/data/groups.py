"""Which samples have to come into the same part, because one tells what the other is.

Shapes: N samples, G groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.data.dataset import CAPTURE_TIME
from tagfit.errors import DataError, did_you_mean
from tagfit.images.known_copies import known_near_copies
from tagfit.images.neighbours import BLOCK, Series, runs_of_neighbours
from tagfit.records.data import PARTS, Dataset, Likeness, hash_keys

#: what `--groups` may say beside the name of a column; groups that come as values are recorded as `given`
AUTO, BLOCKS, NONE, GIVEN = "auto", "blocks", "none", "given"

#: values that may say what belongs together: at least so many recur, in at most so many samples on average, and in such
#: a share of all samples
LEAST, MEAN_SIZE, COVERED = 10, 20, 0.5


@dataclass(frozen=True, eq=False)
class Groups:
    """(N,) int group number of each sample, and what the person should be told about them."""

    of: NDArray[np.intp]
    notes: tuple[str, ...] = ()


def likeness(dataset: Dataset, *, neighbours: bool = True) -> Likeness:
    """Near-copies and, unless they do not matter, runs of neighbours among images; of feature rows nothing."""
    images = dataset.images
    if images is None:
        return Likeness()
    runs = runs_of_neighbours(images, dataset.labels_NL, _series(dataset)) if neighbours else None
    return Likeness(known_near_copies(images, dataset.hashes), runs)


def group(dataset: Dataset, by: str | Sequence[str], known: Likeness) -> Groups:
    """Byte-identical samples together, and what `by` names: `auto`, `blocks`, `none` or a metadata column.

    Args:
        by: or (N,) a value for each sample; empty where it stands alone.

    Raises:
        DataError: no such column, values that say nothing or are not N, or no blocks to make.
    """
    copies = np.unique(hash_keys(dataset.hashes), return_inverse=True)[1].ravel()
    if by == NONE:
        return Groups(copies)
    if by in (AUTO, BLOCKS):
        together = _together(len(dataset), known.near_copies)
        count = sum(map(len, known.near_copies))
        note = f"{count} near-copies in {len(known.near_copies)} groups were kept together."
        notes = (note,) if known.near_copies else ()
        if by == AUTO:
            return Groups(joined(copies, together), notes)
        blocks, note = _blocks(dataset)
        return Groups(joined(copies, together, blocks), (*notes, note))
    if isinstance(by, str):
        column, note = _by_value(_column(dataset, by), f"the column {by!r}")
    else:
        column, note = _by_value(_checked_length(dataset, by), "groups")
    return Groups(joined(copies, column), (note,))


def recurring(values: Sequence[str]) -> NDArray[np.intp] | None:
    """(N,) group numbers of values that may say what belongs together; None of others."""
    names, of_row, counts = np.unique(np.array(values), return_inverse=True, return_counts=True)
    several = (counts > 1) & (np.char.strip(names) != "")
    covered = counts[several].sum()
    if several.sum() < LEAST or covered > MEAN_SIZE * several.sum() or covered < COVERED * len(values):
        return None
    of_row = of_row.ravel()
    return np.where(several[of_row], of_row, len(names) + np.arange(len(of_row)))


def questions(dataset: Dataset, sides: NDArray[np.int8]) -> Iterator[str]:
    """Columns whose values recur on several sides of a split, by which nobody has asked to group.

    Args:
        sides: (N,) the part, or the fold, of each sample.
    """
    for name, values in dataset.metadata.items():
        of_row = None if name == CAPTURE_TIME else recurring(values)
        if of_row is None:
            continue
        rows = np.unique(np.stack([of_row, sides]), axis=1)[0]
        shared, several = (int((np.unique(one, return_counts=True)[1] > 1).sum()) for one in (rows, of_row))
        if shared:
            first = "" if dataset.given_split is None else ", once the split column is removed from the label file"
            yield (
                f"{shared:,} of the {several:,} values of {name!r} that recur lie in more than one part. If samples "
                f"with the same one belong together, scores are too high and intervals too narrow: --groups "
                f"{name} keeps them "
                f"together{first}; --groups auto says that they do not."
            )


def leaks(dataset: Dataset, parts: NDArray[np.int8], known: Likeness) -> tuple[str, ...]:
    """What flatters the scores of a split: copies and near-copies of train that lie outside of it."""
    train = parts == PARTS.index("train")
    keys = hash_keys(dataset.hashes)
    identical = ~train & np.isin(keys, keys[train])
    near = np.zeros(len(dataset), dtype=np.bool_)
    for rows in known.near_copies:
        near[rows] = ~train[rows] & train[rows].any()
    near &= ~identical
    note = [(identical, "byte-identical to"), (near, "near-copies of")]
    return tuple(
        f"{int(rows.sum())} samples outside train are {what} one in it, so their scores are too high."
        for rows, what in note
        if rows.any()
    )


def _series(dataset: Dataset) -> Series:
    return Series.of(dataset.sample_names, dataset.metadata.get(CAPTURE_TIME, ()))


def _blocks(dataset: Dataset) -> tuple[NDArray[np.intp], str]:
    if dataset.images is None:
        raise DataError(
            "blocks are made of images that follow each other; these are feature rows",
            "Remove --groups blocks.",
        )
    series = _series(dataset)
    blocks = series.blocks()
    if (blocks < 0).all():
        raise DataError(
            f"no block can be made: none of the {len(dataset)} samples has a file number or a capture time",
            "Remove --groups, or name a column of the label file that says what belongs together.",
        )
    count = len(np.unique(blocks[blocks >= 0]))
    return _alone(blocks), f"{count} blocks of up to {BLOCK} neighbouring {series.by} were kept together."


def _checked_length(dataset: Dataset, values: Sequence[str]) -> Sequence[str]:
    if len(values) == len(dataset):
        return values
    aside = f", and {len(dataset.set_aside)} more are set aside" if dataset.set_aside else ""
    raise DataError(
        f"groups has {len(values)} values for {len(dataset)} samples{aside}",
        "Give one value a sample, or the name of a column that has them.",
    )


def _column(dataset: Dataset, name: str) -> Sequence[str]:
    if name not in dataset.metadata:
        columns = ", ".join(dataset.metadata) or "it has no further column"
        raise DataError(
            f"there is no column {name!r} to group by: expected {AUTO}, {BLOCKS}, {NONE} or a further column of "
            f"{dataset.name} ({columns}).{did_you_mean(name, [*dataset.metadata, AUTO, BLOCKS, NONE])}"
        )
    return dataset.metadata[name]


def _by_value(column: Sequence[str], what: str) -> tuple[NDArray[np.intp], str]:
    cells = [cell.strip() for cell in column]
    values = {value: number for number, value in enumerate(sorted({cell for cell in cells if cell}))}
    if len(values) < 2 and cells.count("") < 2:
        raise DataError(
            f"{what} has the same value for all {len(cells)} samples, so they would all be one group: "
            "expected at least two values"
        )
    if not values:
        raise DataError(f"{what} is empty in all {len(cells)} samples, so it groups nothing")
    groups = np.array([values.get(cell, -1) for cell in cells], dtype=np.intp)
    note = f"The {len(values)} groups {'that you gave' if what == 'groups' else f'of {what}'} were kept together."
    alone = int((groups < 0).sum())
    return _alone(groups), note + (f" {alone} samples without a value there are groups of their own." if alone else "")


def _together(count: int, groups: Sequence[NDArray[np.intp]]) -> NDArray[np.intp]:
    """(count,) group numbers, everybody else alone."""
    numbers = np.full(count, -1, dtype=np.intp)
    for number, rows in enumerate(groups):
        numbers[rows] = number
    return _alone(numbers)


def _alone(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """A group of its own for each sample that is in none (-1)."""
    alone = groups < 0
    numbered = groups.copy()
    numbered[alone] = groups.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    return numbered


def joined(*groupings: NDArray[np.intp]) -> NDArray[np.intp]:
    """(N,) what any of the groupings puts together is together."""
    lowest = np.arange(len(groupings[0]))
    while True:
        before = lowest
        for groups in groupings:
            of_group = np.full(int(groups.max(initial=-1)) + 1, len(lowest), dtype=np.intp)
            np.minimum.at(of_group, groups, lowest)
            lowest = of_group[groups]
        if (lowest == before).all():
            return lowest
