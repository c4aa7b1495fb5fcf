"""Labels of any source, written in the plainest form that reads back to the same: a CSV, JSON lines, or arrays.

Shapes: N samples, L labels.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tagfit.data.sources.read import read
from tagfit.errors import DataError, OutputError
from tagfit.io.files import write_new
from tagfit.records.data import PARTS, UNKNOWN, YES, Dataset, LabelTable

SUFFIXES = (".csv", ".jsonl", ".npz")
_CELLS = {1: "1", 0: "0", -1: ""}


@dataclass(frozen=True)
class WrittenLabels:
    """What was written.

    Attributes:
        images: the folder that the paths in the file start in; None where it is the file's own, or there are none.
        left_out: further columns that could not be written so that they are read as such.
    """

    file: Path
    samples: int
    labels: int
    images: Path | None
    left_out: tuple[str, ...] = ()


def write_labels(path: Path, dataset: Dataset) -> WrittenLabels:
    """Write the labels of `dataset`, its own split and its further columns; read back, they give the same lock.

    Images: `.csv`, with a column that lists each image's labels if all are known, else a column of 1, 0 and nothing a
    label; or `.jsonl`. Feature rows: `.npz`.

    Raises:
        OutputError: another suffix, a file that exists, or labels that no such file can hold.
    """
    suffixes = SUFFIXES[2:] if dataset.files is None else SUFFIXES[:2]
    if path.suffix not in suffixes:
        what = "feature rows and arrays" if dataset.files is None else "images"
        raise OutputError(f"{path}: labels of {what} are written as {' or '.join(suffixes)}; got {path.suffix!r}")
    if dataset.files is None:
        write_new(path, _arrays(dataset))
        return WrittenLabels(path, len(dataset), len(dataset.label_names), None)
    root, names = _placed(path, dataset)
    faults = []
    for table, content in _contents(replace(dataset, sample_names=names), path.suffix):
        if fault := _difference(table, content, path.name, root):
            faults.append(fault)
            continue
        write_new(path, content)
        outside = None if root == _plain(path).parent else root
        left_out = tuple(name for name in dataset.metadata if name not in table.metadata)
        return WrittenLabels(path, len(dataset), len(dataset.label_names), outside, left_out)
    other = {".csv": ".jsonl", ".jsonl": ".csv"}[path.suffix]
    raise OutputError([f"{path}: does not read back to the same: {fault}" for fault in faults], f"Try a {other} file.")


def _placed(path: Path, dataset: Dataset) -> tuple[Path, tuple[str, ...]]:
    """The folder that paths start in, and each image's path from there."""
    files = _files(dataset)
    if len(files) < len(dataset):
        raise OutputError(f"{dataset.name}: its images lie in memory, so that no file can name them")
    root = _plain(path).parent
    if not all(file.is_relative_to(root) for file in files):
        root = Path(os.path.commonpath([file.parent for file in files]))
    return root, tuple(file.relative_to(root).as_posix() for file in files)


def _files(dataset: Dataset) -> list[Path]:
    return [_plain(file) for file in dataset.files or () if isinstance(file, Path)]


def _plain(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - without `..`, and links as they are


# ----------------------------------------------------------------------------------------------- as text


def _contents(dataset: Dataset, suffix: str) -> Iterator[tuple[Dataset, bytes]]:
    """What may be written, the plainest form first, and what of the data is in it."""
    bare = replace(dataset, metadata={})
    forms = (_listed, _in_columns) if suffix == ".csv" else (_as_json,)
    for data in (dataset, bare) if dataset.metadata else (dataset,):
        for form in forms:
            if form is not _listed or not (data.labels_NL == UNKNOWN).any():
                yield data, form(data)


def _listed(dataset: Dataset) -> bytes:
    return _csv(dataset, ["labels"], ([";".join(_names(dataset, row))] for row in range(len(dataset))))


def _in_columns(dataset: Dataset) -> bytes:
    return _csv(dataset, dataset.label_names, ([_CELLS[cell] for cell in row] for row in dataset.labels_NL.tolist()))


def _names(dataset: Dataset, row: int) -> list[str]:
    return [name for name, cell in zip(dataset.label_names, dataset.labels_NL[row], strict=True) if cell == YES]


def _csv(dataset: Dataset, heads: Sequence[str], cells: Iterator[list[str]]) -> bytes:
    text, further = io.StringIO(newline=""), _further(dataset)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *heads, *further])
    for row, (name, own) in enumerate(zip(dataset.sample_names, cells, strict=True)):
        writer.writerow([name, *own, *(column[row] for column in further.values())])
    return text.getvalue().encode("utf-8", "surrogateescape")


def _as_json(dataset: Dataset) -> bytes:
    lines, further, values = [], _further(dataset), {1: 1, 0: 0, -1: None}
    for row, (name, cells) in enumerate(zip(dataset.sample_names, dataset.labels_NL.tolist(), strict=True)):
        labels = {label: values[cell] for label, cell in zip(dataset.label_names, cells, strict=True)}
        columns = {head: column[row] for head, column in further.items()}
        lines.append(json.dumps({"image": name, "labels": labels, **columns}, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _further(dataset: Dataset) -> Mapping[str, Sequence[str]]:
    """The split and the metadata."""
    split = {} if dataset.given_split is None else {"split": [PARTS[code] for code in dataset.given_split]}
    return {**split, **dataset.metadata}


def _difference(dataset: Dataset, content: bytes, name: str, root: Path) -> str:
    """What is read otherwise; nothing where all is the same."""
    with TemporaryDirectory() as folder:
        file = Path(folder, name)
        file.write_bytes(content)
        try:
            table = read(file, images=root)
        except DataError as error:
            return error.faults[0]
    return next((what for what, same in _same(dataset, table) if not same), "")


def _same(dataset: Dataset, table: LabelTable) -> Iterator[tuple[str, bool]]:
    yield "its samples differ", table.files == tuple(_files(dataset))
    yield "its label names differ", table.label_names == dataset.label_names
    yield "its labels differ", np.array_equal(table.labels_NL, dataset.labels_NL)
    own, there = dataset.given_split, table.given_split
    yield "its split differs", there is own or (own is not None and there is not None and np.array_equal(own, there))
    yield "its further columns differ", dict(table.metadata) == dict(dataset.metadata)


# --------------------------------------------------------------------------------------------- as arrays


def _arrays(dataset: Dataset) -> bytes:
    """X, y and label_names; of a split that the data brings, each part's."""
    arrays: dict[str, Any] = {"label_names": np.array(dataset.label_names)}
    if dataset.preprocessing.feature_names:
        arrays["feature_names"] = np.array(dataset.preprocessing.feature_names)
    y_NL = np.where(dataset.labels_NL == UNKNOWN, np.nan, dataset.labels_NL).astype(np.float32)
    if dataset.given_split is None:
        arrays |= {"X": dataset.x, "y": y_NL}
    else:
        for code, part in enumerate(PARTS):
            if (rows := np.flatnonzero(dataset.given_split == code)).size:
                arrays |= {f"X_{part}": dataset.x[rows], f"y_{part}": y_NL[rows]}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
