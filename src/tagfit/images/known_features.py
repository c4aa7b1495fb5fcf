"""Features of images, made once: kept in the cache by the SHA-256 of an image's bytes, a file for each network."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from tagfit.io.cache import made_folder

log = logging.getLogger(__name__)

#: a kill loses no more than this
_SECONDS_A_WRITE = 2.0

_TABLE = "CREATE TABLE IF NOT EXISTS features (digest BLOB PRIMARY KEY, row BLOB) WITHOUT ROWID"

#: bytes that follow each row, by which it is known to be what was written
_CHECK = 16


def _check(row: bytes) -> bytes:
    return hashlib.blake2b(row, digest_size=_CHECK).digest()


class KnownFeatures:
    """Rows of D float32 by digest; may be used from several threads.

    What is written is whole or not there, whatever happens. Where the cache cannot be used, all is held in memory.

    Args:
        key: what the features depend on beside an image's bytes, in hex.
        width: D.
    """

    def __init__(self, key: str, width: int) -> None:
        self._width, self._lock, self._written_at = width, Lock(), time.monotonic()
        self._held: dict[bytes, bytes] = {}
        self._known: set[bytes] = set()
        self._connection: sqlite3.Connection | None = None
        try:
            file = made_folder() / f"tagfit-features-{key[:32]}.sqlite"
            self._connection = sqlite3.connect(file, timeout=60, check_same_thread=False)
            self._connection.execute(_TABLE)
            size = 4 * width + _CHECK
            whole = self._connection.execute("SELECT digest FROM features WHERE length(row) = ?", (size,))
            self._known = {digest for (digest,) in whole}
        except (OSError, RuntimeError, sqlite3.Error) as error:
            log.warning("features are not kept for the next run: %s", error)

    def __contains__(self, digest: bytes) -> bool:
        """Whether the row is known, and is what was written."""
        with self._lock:
            if digest in self._held:
                return True
            if digest in self._known and self._read(digest) is None:
                self._known.remove(digest)
            return digest in self._known

    def put(self, digests: Sequence[bytes], rows: NDArray[np.float32]) -> None:
        """Remember (n, D) `rows`; they are written every few seconds."""
        with self._lock:
            for digest, row in zip(digests, np.ascontiguousarray(rows, "<f4"), strict=True):
                self._held[digest] = row.tobytes()
            if time.monotonic() - self._written_at >= _SECONDS_A_WRITE:
                self._write()

    def rows(self, digests: Iterable[bytes]) -> NDArray[np.float32]:
        """(n, D) of images that are known.

        Raises:
            KeyError: one is not.
        """
        with self._lock:
            found = [np.frombuffer(self._row(digest), "<f4") for digest in digests]
        return np.array(found, dtype=np.float32).reshape(-1, self._width)

    def close(self) -> None:
        """Write what is held yet."""
        with self._lock:
            self._write()
            if self._connection is not None:
                self._connection.close()

    def _row(self, digest: bytes) -> bytes:
        row = self._held.get(digest) or self._read(digest)
        if row is None:
            raise KeyError(digest)
        return row

    def _read(self, digest: bytes) -> bytes | None:
        """None if there is none, or another one than was written."""
        if self._connection is not None:
            for (stored,) in self._connection.execute("SELECT row FROM features WHERE digest = ?", (digest,)):
                row = bytes(stored[:-_CHECK])
                return row if _check(row) == stored[-_CHECK:] else None
        return None

    def _write(self) -> None:
        """What cannot be written stays held."""
        if self._connection is None or not self._held:
            return
        try:
            with self._connection:  # one transaction
                rows = [(digest, row + _check(row)) for digest, row in self._held.items()]
                self._connection.executemany("INSERT OR REPLACE INTO features VALUES (?, ?)", rows)
            self._known.update(self._held)
            self._held = {}
        except sqlite3.Error as error:
            log.warning("%d features are held in memory: %s", len(self._held), error)
        self._written_at = time.monotonic()
