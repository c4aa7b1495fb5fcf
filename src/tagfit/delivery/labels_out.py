"""Predictions as files that people can use."""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.lib.npyio import NpzFile

from tagfit.data.sources.read import read
from tagfit.delivery.predictor import Prediction, Tagger
from tagfit.errors import DataError, OutputError

#: what counts as a picture in a folder; a file that is named itself is always tried
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


@dataclass(frozen=True)
class PredictedRow:
    """One sample's prediction: its labels and scores, or the reason why there are none."""

    sample: str
    labels: tuple[str, ...]
    scores: dict[str, float]
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "sample": self.sample,
            "labels": list(self.labels),
            "scores": self.scores or None,
            "error": self.error or None,
        }


def predicted_rows(tagger: Tagger, paths: Sequence[Path], calibrated: bool = False) -> Iterator[PredictedRow]:
    """A row for every sample at `paths`, in order, with scores or calibrated probabilities.

    Raises:
        DataError: paths that do not exist and folders without pictures, all of them named; features that do not fit.
    """
    faults = [f"{path}: no such file or folder" for path in paths if not path.exists()]
    rows = _picture_rows if tagger.takes_pictures and not _all_arrays(tagger, paths) else _feature_rows
    if rows is _picture_rows:
        empty = [path for path in paths if path.is_dir() and not any(_pictures_at(path))]
        faults += [f"{path}: no picture in it or below it" for path in empty]
    if faults:
        raise DataError(faults)
    return (_row(sample, prediction, row, calibrated) for sample, prediction, row in rows(tagger, paths))


def counted(rows: Iterable[PredictedRow], counts: dict[str, int]) -> Iterator[PredictedRow]:
    """The same rows; `counts` is kept up to date with how many were `read` and how many `unreadable`."""
    for row in rows:
        counts["unreadable" if row.error else "read"] += 1
        yield row


def write_csv(stream: TextIO, label_names: Sequence[str], rows: Iterable[PredictedRow]) -> None:
    """Columns: sample, labels (with `;` between), error, and the score of each label."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["sample", "labels", "error", *label_names])
    for row in rows:
        scores = [f"{row.scores[name]:.7g}" if row.scores else "" for name in label_names]
        writer.writerow([row.sample, ";".join(row.labels), row.error, *scores])


def save_csv(path: Path, label_names: Sequence[str], rows: Iterable[PredictedRow]) -> None:
    """Write a CSV file that appears when it is whole.

    Raises:
        OutputError: the place cannot be written to.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            write_csv(stream, label_names, rows)
        os.link(beside, path)  # fails where a file has come into being meanwhile, which replacing would not
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def _all_arrays(tagger: Tagger, paths: Sequence[Path]) -> bool:
    """Whether what a backbone made of pictures is given in their place."""
    return tagger.preprocessing.kind == "features" and all(path.suffix in (".npy", ".npz") for path in paths)


def _picture_rows(tagger: Tagger, paths: Sequence[Path]) -> Iterator[tuple[str, Prediction, int]]:
    files = [file for path in paths for file in _pictures_at(path)]
    names = iter(files)
    for prediction in tagger.predict_stream(files):
        for row in range(len(prediction)):
            yield str(next(names)), prediction, row


def _feature_rows(tagger: Tagger, paths: Sequence[Path]) -> Iterator[tuple[str, Prediction, int]]:
    for path, (names, x) in [(path, _features_at(path)) for path in paths]:
        try:
            prediction = tagger.predict_array(x)
        except DataError as error:
            raise DataError([f"{path}: {fault}" for fault in error.faults], error.todo) from None
        for row, name in enumerate(names):
            yield f"{path}:{name}", prediction, row


def _features_at(path: Path) -> tuple[Sequence[str], np.ndarray[Any, Any]]:
    if path.suffix == ".npy" or _has_x_alone(path):
        return _rows_of_npy(path)
    table = read(path)
    if table.x is None:
        raise DataError(f"{path}: this bundle takes feature rows; the file names pictures")
    return table.sample_names, table.x


def _rows_of_npy(path: Path) -> tuple[Sequence[str], np.ndarray[Any, Any]]:
    try:
        held = np.load(path, allow_pickle=False)
        x = held["X"] if isinstance(held, NpzFile) else held
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path}: expected an array of numbers; {error}") from error
    if not isinstance(x, np.ndarray) or x.ndim == 0:
        raise DataError(f"{path}: expected an array of feature rows; got {getattr(x, 'shape', 'several arrays')}")
    return [f"row {number}" for number in range(1, len(x) + 1)], x


def _has_x_alone(path: Path) -> bool:
    """Whether it is an .npz of feature rows without labels."""
    if path.suffix != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return archive.namelist() == ["X.npy"]


def _pictures_at(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(files) if Path(name).suffix.lower() in PICTURE_SUFFIXES)


def _row(sample: str, prediction: Prediction, row: int, calibrated: bool) -> PredictedRow:
    if row in prediction.errors:
        return PredictedRow(sample, (), {}, prediction.errors[row])
    values = prediction.probabilities if calibrated else prediction.scores
    scores = dict(zip(prediction.label_names, map(float, values[row]), strict=True))
    return PredictedRow(sample, prediction.labels(row), scores)
