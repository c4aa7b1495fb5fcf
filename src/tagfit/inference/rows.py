"""Predictions as rows, one a sample."""

from __future__ import annotations

import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from tagfit.data.feature_names import feature_order
from tagfit.data.sources.arrays import names_in
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.npz import read_npz
from tagfit.errors import DataError, OutputError
from tagfit.images.store import OnRead
from tagfit.inference.paths import STDIN, demand_images, images_at, lines_of
from tagfit.inference.tagger import PATHS_AT_ONCE, Prediction, Tagger
from tagfit.records.data import Array


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
    known: Iterable[PredictedRow] = (),
    on_row: OnRead = lambda done, total: None,
) -> Iterator[PredictedRow]:
    """A row for every sample at `given`, in order, with scores or calibrated probabilities.

    Samples that are `known` have no row again. The batches stay what they were, so that the other rows come out as if
    none had been known; the last row that is known is predicted once more, and has to be what it was.

    Args:
        given: files, folders, and STDIN for the paths in `lines`.
        known: rows of the first samples, from an earlier time; all are taken before the first row is handed out.
        on_row: called with how many rows there are so far, and how many there will be; 0 if that is not known.

    Raises:
        DataError: folders without images, all of them named; features that do not fit.
        OutputError: rows are known of other samples, or from another model.
    """
    total = 0
    if tagger.takes_images and not all_arrays(given):
        total = demand_images(given) or 0
        first, last, names = _begun(known, images_at(given, lines))
        samples = _image_rows(tagger, names)
    else:
        files = [file for place in given for file in (map(Path, lines_of(lines)) if place == STDIN else (place,))]
        first, last = 0, list(known)
        samples = _feature_rows(tagger, files)
    rows = (_row(sample, prediction, row, calibrated) for sample, prediction, row in samples)
    return _told(_after(last, rows), first + len(last), lambda done: on_row(done, total))


def image_rows(tagger: Tagger, names: Iterator[str], calibrated: bool = False) -> Iterator[PredictedRow]:
    """A row for every image file, in order."""
    return (_row(sample, prediction, row, calibrated) for sample, prediction, row in _image_rows(tagger, names))


def _begun(known: Iterable[PredictedRow], names: Iterator[str]) -> tuple[int, list[PredictedRow], Iterator[str]]:
    """How many rows fill batches, those of the last batch that was begun, and the samples from that batch on."""
    number, begun, again = 0, list[PredictedRow](), list[str]()
    for number, row in enumerate(known):
        name = next(names, None)
        _demand(row, name, number)
        if number % PATHS_AT_ONCE == 0:
            begun, again = [], []
        begun.append(row)
        again.append(str(name))  # as it lies on disk, which a row may not be able to say
    return (number + 1 - len(begun) if begun else 0), begun, chain(again, names)


def _after(known: Sequence[PredictedRow], rows: Iterator[PredictedRow]) -> Iterator[PredictedRow]:
    """The rows that come after those known, which they begin with."""
    for number, row in enumerate(known):
        again = next(rows, None)
        _demand(row, None if again is None else again.sample, number)
        if row is known[-1] and again is not None and not _alike(row, again):
            raise OutputError(
                f"{row.sample}: its row differs from what this model gives",
                "Continue with the same bundle and options, or choose another file with -o.",
            )
    yield from rows


def _demand(row: PredictedRow, sample: str | None, number: int) -> None:
    if sample is None or readable(row.sample) != readable(sample):
        raise OutputError(
            f"row {number + 1} is of {row.sample}; expected {sample or 'no such row'}",
            "Continue with the same paths, or choose another file with -o; nothing was written.",
        )


def _alike(row: PredictedRow, again: PredictedRow) -> bool:
    one, other = list(row.scores.values()), list(again.scores.values())
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0, atol=1e-4))


def readable(text: str) -> str:
    """What UTF-8 can hold; what a file's name holds beside that as \\udc80."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _told(rows: Iterable[PredictedRow], known: int, on_row: Callable[[int], object]) -> Iterator[PredictedRow]:
    for number, row in enumerate(rows, known + 1):
        on_row(number)
        yield row


@dataclass
class RowCounts:
    """How many samples were read so far, and how many could not be."""

    read: int = 0
    unreadable: int = 0

    @property
    def total(self) -> int:
        return self.read + self.unreadable

    def counted(self, rows: Iterable[PredictedRow]) -> Iterator[PredictedRow]:
        """The same rows, each of them counted."""
        for row in rows:
            if row.error:
                self.unreadable += 1
            else:
                self.read += 1
            yield row


def all_arrays(paths: Sequence[Path]) -> bool:
    """Whether samples are given as NumPy's files: features, or images."""
    return bool(paths) and all(path.suffix in (".npy", ".npz") for path in paths)


def _image_rows(tagger: Tagger, files: Iterator[str]) -> Iterator[tuple[str, Prediction, int]]:
    names: deque[str] = deque()  # of the images at work

    def noted() -> Iterator[str]:
        for file in files:
            names.append(file)
            yield file

    for prediction in tagger.predict_stream(noted()):
        for row in range(len(prediction)):
            yield names.popleft(), prediction, row


def _feature_rows(tagger: Tagger, paths: Sequence[Path]) -> Iterator[tuple[str, Prediction, int]]:
    for path, (names, x, columns) in [(path, _features_at(path)) for path in paths]:
        try:
            order = feature_order(columns, tagger.preprocessing.feature_names)
            prediction = tagger.predict_array(x if order is None else x[:, order])
        except DataError as error:
            raise DataError([f"{path}: {fault}" for fault in error.faults], error.todo) from None
        for row, name in enumerate(names):
            yield f"{path}:{name}", prediction, row


def _features_at(path: Path) -> tuple[Sequence[str], Array, tuple[str, ...]]:
    """Names of the samples, what goes in, and names of its columns if they have any."""
    found = _array_at(path)
    if found is not None:
        x, columns = found
        if x.ndim == 0:
            raise DataError(f"{path}: expected an array of samples; got a single {x.dtype}")
        if len(x) and not x.nbytes:  # any number of rows, in a file of a hundred bytes
            raise DataError(f"{path}: expected an array of numbers; got nothing, of shape {x.shape} and {x.dtype}")
        return [f"row {number}" for number in range(1, len(x) + 1)], x, columns
    from tagfit.data.sources.read import read  # images do without every reader of labels

    todo = "Expected arrays (.npy, or an .npz with X) or, for a bundle of features, a label file with features."
    try:
        table = read(path)
    except DataError as error:
        raise DataError(error.faults, todo) from None
    if table.x is None:
        raise DataError(f"{path}: expected feature rows; got names of images", todo)
    return table.sample_names, table.x, table.feature_names


def _array_at(path: Path) -> tuple[Array, tuple[str, ...]] | None:
    """The array of an .npy, or X and `feature_names` of an .npz; None of another file."""
    if path.suffix in (".npy", ".npz") and path.exists() and not path.is_file():
        raise DataError(f"{path}: expected a file with an array; it is a folder, a pipe or a device")
    if path.suffix == ".npy":
        try:
            with np.errstate(over="ignore"):  # of a shape that lies
                return np.load(path, mmap_mode="r", allow_pickle=False), ()
        except Exception as error:  # NumPy parses headers as Python
            raise DataError(f"{path}: expected an array of numbers; {error}") from error
    if path.suffix != ".npz" or not zipfile.is_zipfile(path):
        return None
    faults = Faults()
    arrays, _ = read_npz(path, faults)
    faults.check()
    x = next((arrays[name] for name in ("X", "x") if name in arrays), None)
    names = names_in(arrays.get("feature_names"), path.name, faults, "feature_names") or ()
    faults.check()
    return None if x is None else (x, names)


def _row(sample: str, prediction: Prediction, row: int, calibrated: bool) -> PredictedRow:
    if row in prediction.errors:
        return PredictedRow(sample, (), {}, prediction.errors[row])
    values = prediction.probabilities if calibrated else prediction.scores
    scores = dict(zip(prediction.label_names, map(float, values[row]), strict=True))
    return PredictedRow(sample, prediction.labels(row), scores)
