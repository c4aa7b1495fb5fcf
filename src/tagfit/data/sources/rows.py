"""What every reader hands back: rows, each an image with the labels that a source gives it.

Shapes: N rows, L labels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.names import alike_note, label_names
from tagfit.records.data import NO, UNKNOWN, YES, Part

T = TypeVar("T", bound=str | None)

#: `none_word` of sources that tell a sample without labels from one that nobody has labelled
EMPTY_ANNOTATION = "an annotation without labels"

#: more entries than this in a label matrix are free text read as labels
MAX_CELLS = 1 << 31


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of N rows.

    Attributes:
        names: (L,) label names.
        codes_NL: (N, L) int8 of YES, NO, UNKNOWN.
        absent: what a label that the source does not mention means, NO or UNKNOWN.
        blank_N: (N,) rows for which nothing at all is written, so that they may have none of the labels, or may never
            have been labelled; codes are NO or UNKNOWN there.
        none_word: how the source writes that a row has none of the labels; empty if it has no such word.
        is_declared: whether the source declares its label names, so that the parts of a split have to agree on them.
        notes: messages for the user.
    """

    names: tuple[str, ...]
    codes_NL: NDArray[np.int8]
    absent: int
    blank_N: NDArray[np.bool_]
    none_word: str = ""
    is_declared: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Rows:
    """All that a source holds about N images.

    Attributes:
        source: what messages call it.
        images: (N,) names of the images, as written.
        where: (N,) the place of each row (`labels.csv:17`).
        labels: theirs.
        bases: (N,) the folder that each name starts in, relative to the folder of the data; or one for all.
        split: (N,) the part of each as written; None if the source has no split.
        hints: (N,) the part of the file that each row came from, to find its image by; or one for all.
        metadata: further columns, each (N,).
        encoded: (N,) bytes of the image files if the source holds them.
        x: (N, D) features if the samples are such.
        unlabelled_parts: the parts of the split that nobody labelled, as a file without labels says.
        merges: whether rows of one image are put together, as when each row gives one label.
        set_aside: (name, reason) of images whose labels could not be read; not among the N.
        reading: how the source was read: which column or file gave what, what was left out and why.
        notes: further messages for the user.
    """

    source: str
    images: Sequence[str]
    where: Sequence[str]
    labels: Labels
    bases: Sequence[str] | str = ""
    split: Sequence[object] | None = None
    hints: Sequence[Part | None] | Part | None = None
    metadata: Mapping[str, Sequence[object]] = field(default_factory=dict)
    encoded: tuple[bytes, ...] | None = None
    x: NDArray[Any] | None = None
    unlabelled_parts: tuple[Part, ...] = ()
    merges: bool = False
    set_aside: tuple[tuple[str, str], ...] = ()
    reading: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.where)

    @property
    def names_files(self) -> bool:
        """Whether its samples are image files; otherwise it holds them itself."""
        return self.encoded is None and self.x is None


@dataclass(frozen=True)
class Row:
    """One image as most readers find it; `collect` makes `Rows` of many.

    Attributes:
        image: its name as written.
        where: the place of the row, for messages.
        yes: the labels that it has; None if nobody labelled it.
        no: the labels that it is known not to have, if others are unknown.
        unknown: the labels that are neither, if others are no.
        is_blank: whether nothing is written, which may mean "none" or "never labelled".
        split: its part as written.
        metadata: what else is written about it.
        encoded: the bytes of the image file if the source holds them.
    """

    image: str
    where: str
    yes: Collection[str] | None
    no: Collection[str] = ()
    unknown: Collection[str] = ()
    is_blank: bool = False
    split: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    encoded: bytes | None = None


def collect(
    rows: Sequence[Row], source: str, faults: Faults, *, declared: Sequence[str] | None = None, absent: int = NO
) -> Rows:
    """Rows of images that list their labels by name.

    Args:
        declared: the label names in their order if the source declares them; otherwise those that occur, sorted.
        absent: what a label that a row does not mention means there: NO if rows list all their labels.
    """
    occurring = {name.strip() for row in rows for part in (row.yes or (), row.no, row.unknown) for name in part}
    names = label_names(sorted(occurring) if declared is None else declared, source, faults)
    for name in sorted(occurring - set(names)):
        faults.add(f"{source}: label {name!r} is not among the names that it declares.")
    codes_NL = matrix(len(rows), len(names), absent, source, faults)
    column_of = {name: column for column, name in enumerate(names)}
    for at, row in enumerate(rows):
        if row.yes is None:
            codes_NL[at] = UNKNOWN
        for code, listed in ((NO, row.no), (UNKNOWN, row.unknown), (YES, row.yes or ())):
            codes_NL[at, [column_of[name.strip()] for name in listed if name.strip() in column_of]] = code
    blank_N = np.array([row.is_blank or row.yes is None for row in rows], bool)
    none_word = EMPTY_ANNOTATION if any(row.yes is None for row in rows) else ""
    labels = Labels(names, codes_NL, absent, blank_N, none_word, declared is not None, alike_note(names))
    return Rows(
        source,
        [row.image for row in rows],
        [row.where for row in rows],
        labels,
        split=[row.split for row in rows] if any(row.split for row in rows) else None,
        metadata={key: [row.metadata.get(key) for row in rows] for key in _keys(rows)},
        encoded=tuple(row.encoded or b"" for row in rows) if any(row.encoded for row in rows) else None,
    )


def _keys(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row.metadata))


def matrix(n: int, n_labels: int, fill: int, source: str, faults: Faults) -> NDArray[np.int8]:
    """(N, L) int8 of one code; raises DataError before memory is taken for free text that was read as labels."""
    if n * n_labels > MAX_CELLS:
        faults.add(f"{source}: {n_labels} different labels on {n} samples: is this free text rather than labels?")
        faults.check()
    return np.full((n, n_labels), fill, np.int8)


def join(parts: Sequence[tuple[Rows, Part | None]], faults: Faults) -> Rows:
    """The rows of several files below each other; files that are parts of one split give their rows that part.

    A label that one of them does not know is what its `absent` says there. Metadata is what all of them have.
    """
    if len(parts) == 1:
        return parts[0][0]
    every = [rows for rows, _ in parts]
    _check_parts(every, faults)
    split = [part for rows, part in parts for _ in range(len(rows))]
    encoded = [rows.encoded for rows in every]
    shared = [key for key in every[0].metadata if all(key in rows.metadata for rows in every)]
    return Rows(
        " + ".join(rows.source for rows in every),
        [image for rows in every for image in rows.images],
        [place for rows in every for place in rows.where],
        _joined_labels([rows.labels for rows in every]),
        bases=[base for rows in every for base in each(rows.bases, len(rows))],
        split=None if None in split else split,
        hints=split,
        metadata={key: [cell for rows in every for cell in rows.metadata[key]] for key in shared},
        encoded=None if None in encoded else tuple(one for held in encoded for one in held or ()),
        merges=any(rows.merges for rows in every),
        set_aside=tuple(one for rows in every for one in rows.set_aside),
        reading=tuple(dict.fromkeys(line for rows in every for line in rows.reading)),
        notes=tuple(dict.fromkeys(note for rows in every for note in rows.notes)),
    )


def _check_parts(every: Sequence[Rows], faults: Faults) -> None:
    first, *others = every
    for rows in others:
        different = sorted(set(rows.labels.names) ^ set(first.labels.names))
        if different and rows.labels.is_declared and first.labels.is_declared:
            named = ", ".join(map(shortened, different[:8]))
            faults.add(
                f"{rows.source}: declares other labels than {first.source}: {named}.",
                "Give the parts of a split the same declared labels.",
            )
    for rows in every:
        if rows.split is not None:
            faults.add(
                f"{rows.source}: holds a split, but is one part of a split by its file name.",
                "Give the split once: remove it from the file, or name a single label file.",
            )


def _joined_labels(every: Sequence[Labels]) -> Labels:
    names = tuple(dict.fromkeys(name for labels in every for name in labels.names))
    return Labels(
        names,
        np.concatenate([_widened(labels, names) for labels in every]),
        max(labels.absent for labels in every),
        np.concatenate([labels.blank_N for labels in every]),
        next((labels.none_word for labels in every if labels.none_word), ""),
        all(labels.is_declared for labels in every),
        tuple(dict.fromkeys(note for labels in every for note in labels.notes)),
    )


def _widened(labels: Labels, names: Sequence[str]) -> NDArray[np.int8]:
    codes_NL = np.full((len(labels.codes_NL), len(names)), labels.absent, np.int8)
    codes_NL[:, [names.index(name) for name in labels.names]] = labels.codes_NL
    return codes_NL


def each(value: Sequence[T] | T, n: int) -> Sequence[T]:
    """One value for each of N rows."""
    return [value] * n if value is None or isinstance(value, str) else value
