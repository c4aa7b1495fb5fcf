"""Predicted rows as files that people can use: CSV and JSON lines, which grow, and Parquet, which is whole or absent.

A file that grows holds whole rows but for its last line, whatever ended the process; what is torn is taken away when
the file is gone on with.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from tagfit.errors import OutputError, demand_extra
from tagfit.inference.rows import PredictedRow, readable
from tagfit.io.files import whole_file, writable

#: rows that a Parquet file holds together
_GROUP = 4096

#: the columns before the scores
_COLUMNS = ("sample", "labels", "error")

#: what a spreadsheet takes for the beginning of a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

#: of a CSV cell, what takes quotes around it
_QUOTED = re.compile('[",\r\n]|^ | $')

_OTHER = "Continue the file that the same command began, or choose another with -o; nothing was written."


class Lines(Protocol):
    """How rows are written as text.

    Attributes:
        header: what stands before the first row.
        beginning: what every file begins with.
    """

    header: bytes
    beginning: bytes

    def is_whole(self, line: bytes) -> bool: ...

    def line(self, row: PredictedRow) -> bytes: ...

    def row(self, line: str) -> PredictedRow:
        """What `line` was written for.

        Raises:
            ValueError: nothing of this kind.
        """
        ...


class CsvLines:
    """Columns: sample, labels (with `;` between), error, and the score of each label.

    A cell that a spreadsheet would run as a formula has a `'` before it.
    """

    def __init__(self, label_names: Sequence[str]) -> None:
        self._names = label_names
        self.header = _csv_line([*_COLUMNS, *score_columns(label_names)])
        self.beginning = self.header

    def is_whole(self, line: bytes) -> bool:
        return line.endswith(b"\n") and line.count(b'"') % 2 == 0  # a line may end within quotes

    def line(self, row: PredictedRow) -> bytes:
        scores = [f"{row.scores[name]:.7g}" if row.scores else "" for name in self._names]
        return _csv_line([row.sample, ";".join(row.labels), row.error, *scores])

    def row(self, line: str) -> PredictedRow:
        try:
            ((sample, labels, error, *scores),) = csv.reader([line], strict=True)
            sample, labels, error = map(_cell_content, (sample, labels, error))
        except csv.Error as fault:
            raise ValueError(str(fault)) from fault
        numbers = {} if error else dict(zip(self._names, map(float, scores), strict=True))
        return PredictedRow(sample, tuple(filter(None, labels.split(";"))), numbers, error)


class JsonLines:
    """An object a line, with the keys of `PredictedRow.to_dict`."""

    header = b""
    beginning = b'{"sample": '

    def is_whole(self, line: bytes) -> bool:
        return line.endswith(b"\n")

    def line(self, row: PredictedRow) -> bytes:
        return _bytes(json.dumps(row.to_dict(), ensure_ascii=False, allow_nan=False) + "\n")

    def row(self, line: str) -> PredictedRow:
        try:
            held = json.loads(line)
            return PredictedRow(held["sample"], tuple(held["labels"]), held["scores"] or {}, held["error"] or "")
        except (TypeError, KeyError) as fault:
            raise ValueError(f"no predicted row: {fault}") from fault


def write_rows(stream: BinaryIO, lines: Lines, rows: Iterable[PredictedRow]) -> None:
    """Write them from the first on, each as soon as it is there."""
    stream.write(lines.header)
    for row in rows:
        stream.write(lines.line(row))
        stream.flush()


def save_rows(path: Path, label_names: Sequence[str], rows: Iterable[PredictedRow]) -> None:
    """Write a new CSV file, JSON lines or a Parquet file, as the suffix of `path` says.

    Raises:
        OutputError: another suffix, a file that exists, or a place that cannot be written to.
        MissingExtraError: Parquet takes pyarrow, which is not installed.
    """
    demand_form(path)
    coming = iter(rows)
    first = list(islice(coming, 1))  # where input is refused, no file is begun
    with writable(path), whole_file(path, new=True) if path.suffix == ".parquet" else path.open("xb") as stream:
        write_form(stream, path.suffix, label_names, chain(first, coming))


def write_form(stream: BinaryIO, suffix: str, label_names: Sequence[str], rows: Iterable[PredictedRow]) -> None:
    """Write `rows` as files with this suffix have them."""
    if suffix == ".parquet":
        _write_parquet(stream, label_names, rows)
    else:
        write_rows(stream, _lines(suffix, label_names), rows)


def resume_rows(
    path: Path, label_names: Sequence[str], going_on: Callable[[Iterator[PredictedRow]], Iterable[PredictedRow]]
) -> None:
    """Go on with a CSV file or JSON lines, or begin it; a last line that is torn is taken away.

    Args:
        going_on: given the rows that are there, of which it takes all, makes those that are missing.

    Raises:
        OutputError: a file that was not written here, or a place that cannot be written to.
    """
    lines = _lines(path.suffix, label_names)
    with writable(path), path.open("r+b" if path.exists() else "x+b") as stream:
        for row in going_on(_whole_rows(path, stream, lines)):
            stream.write(lines.line(row))
            stream.flush()


def _whole_rows(path: Path, stream: BinaryIO, lines: Lines) -> Iterator[PredictedRow]:
    """The rows that are there; then the file ends after the last of them."""
    kept, line = 0, b""
    for piece in stream:
        line += piece
        if not kept and not line.startswith(lines.beginning[: len(line)]):
            break
        if lines.is_whole(line):
            if kept or not lines.header:
                yield _row_of(path, line, lines)
            kept += len(line)
            line = b""
    if not kept and not line.startswith(lines.beginning[: len(line)]):
        raise OutputError(f"{path}: its beginning is not that of rows with these labels", _OTHER)
    stream.seek(kept)
    stream.truncate()
    stream.write(b"" if kept else lines.header)


def _row_of(path: Path, line: bytes, lines: Lines) -> PredictedRow:
    try:
        return lines.row(line.decode("utf-8"))
    except ValueError as error:
        raise OutputError(f"{path}: a line that was not written by predict: {error}", _OTHER) from error


def demand_form(path: Path, resume: bool = False) -> None:
    """See whether rows can be written to a file of this name.

    Raises:
        OutputError: another suffix than those known, or one that cannot be gone on with.
        MissingExtraError: Parquet takes pyarrow, which is not installed.
    """
    if path.suffix not in (".csv", ".jsonl", ".parquet"):
        raise OutputError(f"{path}: expected a name that ends in .csv, .jsonl or .parquet; got {path.suffix!r}")
    if path.suffix == ".parquet" and resume:
        raise OutputError(
            f"{path}: a Parquet file cannot be continued, because its index is written last",
            "If you want to continue after an interruption, write .csv or .jsonl.",
        )
    if path.suffix == ".parquet":
        demand_extra("a Parquet file", "parquet")


def _lines(suffix: str, label_names: Sequence[str]) -> Lines:
    return CsvLines(label_names) if suffix == ".csv" else JsonLines()


def _write_parquet(stream: BinaryIO, label_names: Sequence[str], rows: Iterable[PredictedRow]) -> None:
    """Columns: sample, labels (a list), error, and the score of each label; both null if there is none."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = [("sample", pa.string()), ("labels", pa.list_(pa.string())), ("error", pa.string())]
    schema = pa.schema([*columns, *((name, pa.float32()) for name in score_columns(label_names))])
    coming = iter(rows)
    with parquet.ParquetWriter(stream, schema) as writer:
        for group in iter(lambda: list(islice(coming, _GROUP)), []):
            writer.write_table(pa.Table.from_arrays(_columns(group, label_names), schema=schema))


def _columns(rows: Sequence[PredictedRow], label_names: Sequence[str]) -> list[Any]:
    import pyarrow as pa

    texts = [[readable(row.sample) for row in rows], [row.labels for row in rows], [row.error or None for row in rows]]
    scores = ([row.scores.get(name) for row in rows] for name in label_names)
    kinds = (pa.string(), pa.list_(pa.string()), pa.string())
    return [
        *(pa.array(values, kind) for values, kind in zip(texts, kinds, strict=True)),
        *(pa.array(values, pa.float32()) for values in scores),
    ]


def score_columns(label_names: Sequence[str]) -> list[str]:
    """What the columns of scores are called: as their labels are, but for those that are called like another column."""
    return [f"score of {name}" if name in _COLUMNS else name for name in label_names]


def _csv_line(cells: Sequence[str]) -> bytes:
    return _bytes(",".join(map(_csv_cell, cells)) + "\n")


def _csv_cell(content: str) -> str:
    safe = f"'{content}" if content.lstrip("'").startswith(_FORMULA) else content
    return '"' + safe.replace('"', '""') + '"' if _QUOTED.search(safe) else safe


def _cell_content(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def _bytes(text: str) -> bytes:
    return readable(text).encode("utf-8")
