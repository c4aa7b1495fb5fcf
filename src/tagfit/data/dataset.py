"""From a label table to samples that a network can take."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfit.data.lock import hash_rows
from tagfit.errors import DataError
from tagfit.pictures.decode import UnreadablePictureError, decode
from tagfit.records import PARTS, UNKNOWN, Dataset, LabelTable, Part, Preprocessing

DEFAULT_SIZE = 64

#: called with (done, total) while pictures are read
OnRead = Callable[[int, int], object]


def build(table: LabelTable, *, size: int = DEFAULT_SIZE, on_read: OnRead | None = None) -> Dataset:
    """Open, hash and decode what `table` names.

    Args:
        table: N rows of labels.
        size: picture files become `size` x `size`; arrays keep the shape they have.
        on_read: told of progress.

    Raises:
        DataError: no readable sample, or nothing to learn.
    """
    if not (isinstance(size, int) and 1 <= size <= 4096):
        raise DataError(f"the picture size must be a whole number from 1 to 4096; got {size!r}")
    if table.x is None:
        return _from_pictures(table, size, on_read)
    scale = 1 / 255 if table.kind == "pictures" else 1.0
    preprocessing = Preprocessing(table.kind, tuple(table.x.shape[1:]), scale)
    x = np.ascontiguousarray(table.x)  # once here, rather than at every use
    return _dataset(table, x, hash_rows(x), preprocessing)


def read_pictures(
    files: Sequence[Path | bytes], size: int, on_read: OnRead | None = None
) -> Iterator[tuple[NDArray[np.uint8] | str, bytes]]:
    """For each file, or bytes of a file, in order: its pixels (size, size, 3) or why there are none; its SHA-256."""

    def read(file: Path | bytes) -> tuple[NDArray[np.uint8] | str, bytes]:
        try:
            encoded = file if isinstance(file, bytes) else file.read_bytes()
        except OSError as error:
            return f"cannot be read: {error.strerror or error}", b""
        digest = hashlib.sha256(encoded).digest()
        try:
            return decode(encoded, size), digest
        except UnreadablePictureError as reason:
            return str(reason), digest

    with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=cpu_count()) as pool:
        # Pillow warns of odd metadata, in the workers; pixels or a reason are all that counts
        warnings.simplefilter("ignore")
        for done, outcome in enumerate(pool.map(read, files), start=1):
            if on_read is not None:
                on_read(done, len(files))
            yield outcome


def align_labels(dataset: Dataset, label_names: tuple[str, ...]) -> tuple[Dataset, tuple[str, ...], tuple[str, ...]]:
    """`dataset` with exactly the columns `label_names`; its labels that are not among them; those that it lacks.

    A label that the data does not mention is no where each sample lists all its labels, unknown otherwise.

    Raises:
        DataError: not one label in common.
    """
    if not set(label_names) & set(dataset.label_names):
        raise DataError(
            f"no label in common: the model knows {', '.join(label_names[:8])}; "
            f"{dataset.name} has {', '.join(dataset.label_names[:8])}",
            "Name the labels alike (label_names in an .npz).",
        )
    known = {name: column for column, name in enumerate(dataset.label_names)}
    labels_NL = np.full((len(dataset), len(label_names)), dataset.absent_label, dtype=np.int8)
    for column, name in enumerate(label_names):
        if name in known:
            labels_NL[:, column] = dataset.labels_NL[:, known[name]]
    surplus = tuple(name for name in dataset.label_names if name not in set(label_names))
    missing = tuple(name for name in label_names if name not in known)
    return replace(dataset, labels_NL=labels_NL, label_names=label_names), surplus, missing


def rows_of_part(dataset: Dataset, part: Part) -> Dataset:
    """The samples of one part of the data's own split.

    Raises:
        DataError: the data brings no split, or none of its samples is in that part.
    """
    if dataset.given_split is None:
        raise DataError(f"{dataset.name} brings no split of its own, so it has no {part} part to take")
    rows = np.flatnonzero(dataset.given_split == PARTS.index(part))
    if not len(rows):
        raise DataError(f"{dataset.name} has no sample in its {part} part")
    return rows_of(dataset, rows)


def rows_of(dataset: Dataset, rows: NDArray[np.intp]) -> Dataset:
    """Some samples of `dataset`, in the order of `rows`."""
    return replace(
        dataset,
        x=dataset.x[rows],
        labels_NL=dataset.labels_NL[rows],
        hashes=dataset.hashes[rows],
        given_split=None if dataset.given_split is None else dataset.given_split[rows],
        sample_names=tuple(dataset.sample_names[row] for row in rows),
        metadata={name: tuple(values[row] for row in rows) for name, values in dataset.metadata.items()},
    )


def _from_pictures(table: LabelTable, size: int, on_read: OnRead | None) -> Dataset:
    pictures: Sequence[Path | bytes] = table.files or table.encoded or ()
    pixels = np.empty((len(table), size, size, 3), dtype=np.uint8)
    hashes = np.zeros((len(table), 32), dtype=np.uint8)
    set_aside: dict[int, str] = {}
    kept: list[int] = []
    for row, (outcome, digest) in enumerate(read_pictures(pictures, size, on_read)):
        if isinstance(outcome, str):
            set_aside[row] = outcome
            continue
        pixels[len(kept)], hashes[len(kept)] = outcome, np.frombuffer(digest, dtype=np.uint8)
        kept.append(row)
    if len(set_aside) == len(table):
        raise DataError(
            [f"{table.sample_names[row]}: {reason}" for row, reason in set_aside.items()],
            "No picture could be read, so there is nothing to learn from.",
        )
    preprocessing = Preprocessing("pictures", (size, size, 3), 1 / 255)
    reasons = tuple((table.sample_names[row], reason) for row, reason in set_aside.items())
    if set_aside:
        table = _rows(table, np.array(kept, dtype=np.intp))
    return _dataset(table, pixels[: len(kept)], hashes[: len(kept)], preprocessing, reasons)


def _rows(table: LabelTable, rows: NDArray[np.intp]) -> LabelTable:
    return replace(
        table,
        labels_NL=table.labels_NL[rows],
        sample_names=tuple(table.sample_names[row] for row in rows),
        files=None,  # they are read already
        encoded=None,
        given_split=None if table.given_split is None else table.given_split[rows],
        metadata={name: tuple(values[row] for row in rows) for name, values in table.metadata.items()},
    )


def _dataset(
    table: LabelTable,
    x: NDArray[Any],
    hashes: NDArray[np.uint8],
    preprocessing: Preprocessing,
    set_aside: tuple[tuple[str, str], ...] = (),
) -> Dataset:
    if not len(table.label_names):
        raise DataError(f"{table.name}: there is no label to learn")
    if (table.labels_NL == UNKNOWN).all():
        raise DataError(f"{table.name}: every label cell is unknown, so there is nothing to learn from")
    return Dataset(
        name=table.name,
        label_names=table.label_names,
        labels_NL=table.labels_NL,
        sample_names=table.sample_names,
        x=x,
        hashes=hashes,
        preprocessing=preprocessing,
        given_split=table.given_split,
        metadata=table.metadata,
        absent_label=table.absent_label,
        notes=table.notes,
        set_aside=(*table.set_aside, *set_aside),
    )
