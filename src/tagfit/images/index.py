"""What the store knows, in one SQLite file: which bytes a file holds, and where their pixels lie."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

#: a change of the tables is another file
INDEX = "tagfit-index-2.sqlite"

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INTEGER, changed INTEGER, entered INTEGER, number INTEGER, digest BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pictures (
    preprocessing TEXT, digest BLOB, array TEXT, slot INTEGER, time TEXT, reason TEXT, pixels BLOB,
    PRIMARY KEY (preprocessing, digest)
) WITHOUT ROWID;
"""

#: size, times and number of a file
Stamp = tuple[int, ...]


class Entry(NamedTuple):
    """Where one image's pixels lie, their own digest, and when it was taken; or the reason why it has none."""

    array: str = ""
    slot: int = 0
    time: str = ""
    reason: str = ""
    pixels: bytes = b""


class Index:
    """The index for one preprocessing; what is written is whole or not there, whatever happens.

    Raises (every method): sqlite3.Error, if the file cannot be used.
    """

    def __init__(self, folder: Path, preprocessing: str) -> None:
        self._preprocessing = preprocessing
        self._lock = Lock()
        # waits for other processes; asked from several threads, one at a time
        self._connection = sqlite3.connect(folder / INDEX, timeout=60, check_same_thread=False)
        try:
            self._connection.executescript(_TABLES)
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def digest_of(self, path: bytes, stamp: Stamp) -> bytes | None:
        """The SHA-256 of a file that is still what it was when it was read."""
        row = self._one("SELECT size, changed, entered, number, digest FROM files WHERE path = ?", path)
        return row[4] if row is not None and tuple(row[:4]) == stamp else None

    def entry_of(self, digest: bytes) -> Entry | None:
        where = "WHERE preprocessing = ? AND digest = ?"
        row = self._one(f"SELECT array, slot, time, reason, pixels FROM pictures {where}", self._preprocessing, digest)
        return None if row is None else Entry(*row)

    def remember_files(self, files: Iterable[tuple[bytes, Stamp, bytes]]) -> None:
        """Path, stamp and SHA-256 of each."""
        rows = [(path, *stamp, digest) for path, stamp, digest in files]
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)

    def remember_images(self, entries: Iterable[tuple[bytes, Entry]]) -> None:
        """What is known already stays as it is."""
        rows = [(self._preprocessing, digest, *entry) for digest, entry in entries]
        self._write("INSERT OR IGNORE INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def move(self, digests: Iterable[tuple[bytes, int]], array: str) -> None:
        """From now on these images lie in `array`, at these slots."""
        rows = [(array, slot, self._preprocessing, digest) for digest, slot in digests]
        self._write("UPDATE pictures SET array = ?, slot = ? WHERE preprocessing = ? AND digest = ?", rows)

    def forget(self, array: str) -> None:
        """An array that is gone takes its images with it."""
        self._write("DELETE FROM pictures WHERE array = ?", [(array,)])

    def needs(self, array: str) -> bool:
        """Whether images lie in `array` and nowhere else."""
        return self._one("SELECT 1 FROM pictures WHERE array = ? LIMIT 1", array) is not None

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with self._lock, closing(self._connection.execute(query, values)) as cursor:
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._lock, self._connection:  # one transaction
            self._connection.executemany(statement, rows)
