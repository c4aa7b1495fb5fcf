"""Predictions as rows, one a sample."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile

from tagfit.data.sources.read import read
from tagfit.delivery.paths_in import STDIN, demand_pictures, lines_of, pictures_at
from tagfit.delivery.predictor import Prediction, Tagger
from tagfit.errors import DataError
from tagfit.pictures.store import OnRead


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


def predicted_rows(
    tagger: Tagger,
    given: Sequence[Path],
    calibrated: bool = False,
    *,
    lines: Iterable[bytes] = (),
    on_row: OnRead = lambda done, total: None,
) -> Iterator[PredictedRow]:
    """A row for every sample at `given`, in order, with scores or calibrated probabilities.

    Args:
        given: files, folders, and STDIN for the paths in `lines`.
        on_row: told how many rows there are so far, and how many there will be; 0 where that is not known.

    Raises:
        DataError: folders without pictures, all of them named; features that do not fit.
    """
    total = 0
    if tagger.takes_pictures and not _all_arrays(tagger, given):
        total = demand_pictures(given) or 0
        samples = _picture_rows(tagger, pictures_at(given, lines))
    else:
        files = [file for place in given for file in (map(Path, lines_of(lines)) if place == STDIN else (place,))]
        samples = _feature_rows(tagger, files)
    rows = (_row(sample, prediction, row, calibrated) for sample, prediction, row in samples)
    return _told(rows, lambda done: on_row(done, total))


def _told(rows: Iterable[PredictedRow], on_row: Callable[[int], object]) -> Iterator[PredictedRow]:
    for number, row in enumerate(rows, 1):
        on_row(number)
        yield row


def counted(rows: Iterable[PredictedRow], counts: dict[str, int]) -> Iterator[PredictedRow]:
    """The same rows; `counts` is kept up to date with how many were `read` and how many `unreadable`."""
    for row in rows:
        counts["unreadable" if row.error else "read"] += 1
        yield row


def _all_arrays(tagger: Tagger, paths: Sequence[Path]) -> bool:
    """Whether what a backbone made of pictures is given in their place."""
    return tagger.preprocessing.kind == "features" and all(path.suffix in (".npy", ".npz") for path in paths)


def _picture_rows(tagger: Tagger, files: Iterator[str]) -> Iterator[tuple[str, Prediction, int]]:
    files, names = tee(files)  # which hold what is between them: the pictures at work
    for prediction in tagger.predict_stream(files):
        for row in range(len(prediction)):
            yield next(names), prediction, row


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


def _row(sample: str, prediction: Prediction, row: int, calibrated: bool) -> PredictedRow:
    if row in prediction.errors:
        return PredictedRow(sample, (), {}, prediction.errors[row])
    values = prediction.probabilities if calibrated else prediction.scores
    scores = dict(zip(prediction.label_names, map(float, values[row]), strict=True))
    return PredictedRow(sample, prediction.labels(row), scores)
