"""Arrays of images in files, mapped into memory: written once, whole when they appear, never changed."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.images.index import Entry
from tagfit.io.files import is_gone, whole_file, writer
from tagfit.io.memory_maps import release

#: bytes of pixels that are held before they are written
_BYTES = 16 << 20

#: parts that no run needs any more are deleted when they are as old as this
_OLD_SECONDS = 24 * 3600
#: by which process, and chance
_PART = re.compile(r"tagfit-([0-9a-f]{16})[0-9a-f]{8}\.part")


class GoneError(Exception):
    """An array is not there, not all of it, or not what was written; its name is the message."""


def pixel_digest(pixels: memoryview | bytes) -> bytes:
    """What tells that the pixels of an image are those that were written."""
    return hashlib.blake2b(pixels, digest_size=16).digest()


class Arrays:
    """`tagfit-KEY.pixels`, the images of one data set in its order, and `tagfit-KEY.part`, others on their way there.

    Attributes:
        row_bytes: of one image, (size, size, 3) uint8.
        at_a_time: images that are worth a write.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._shape = folder, (size, size, 3)
        self.row_bytes = size * size * 3
        self.at_a_time = max(1, _BYTES // self.row_bytes)
        self._own_parts: set[Path] = set()

    def mapped(self, name: str) -> NDArray[np.uint8]:
        """(n, size, size, 3), read-only.

        Raises:
            GoneError: it is not there.
        """
        rows = self.rows(name)
        if not rows:
            raise GoneError(name)
        return np.memmap(self._folder / name, np.uint8, "r", shape=(rows, *self._shape))

    def checked(self, name: str, entries: Sequence[Entry]) -> NDArray[np.uint8]:
        """As `mapped`, if the array holds `entries`, in order, as they were written.

        Raises:
            GoneError: it does not; then it is not there any more either.
        """
        x = self.mapped(name)
        for start in range(0, len(entries), self.at_a_time):
            self._check(name, x[start : start + self.at_a_time], entries[start : start + self.at_a_time])
            release(x)
        return x

    def _check(self, name: str, rows: NDArray[np.uint8], entries: Sequence[Entry]) -> None:
        if any(pixel_digest(row.data) != entry.pixels for row, entry in zip(rows, entries, strict=True)):
            with suppress(OSError):  # mapped where that forbids it
                (self._folder / name).unlink()
            raise GoneError(name)

    def rows(self, name: str) -> int:
        """How many images it holds: none if it is not there."""
        try:
            return (self._folder / name).stat().st_size // self.row_bytes
        except OSError:
            return 0

    def write(self, name: str, chunks: Iterable[bytes | memoryview]) -> None:
        """Write an array that appears when it is whole, and on disk."""
        with whole_file(self._folder / name, beside=self.new_part()) as file:
            for chunk in chunks:
                file.write(chunk)

    def gathered(self, entries: Sequence[Entry]) -> Iterator[memoryview]:
        """The pixels of `entries`, some at a time, whichever arrays they are in.

        Raises:
            GoneError: one of these is not there, or not as it was written.
        """
        arrays: dict[str, NDArray[np.uint8]] = {}
        for start in range(0, len(entries), self.at_a_time):
            some = entries[start : start + self.at_a_time]
            rows = np.empty((len(some), *self._shape), np.uint8)
            names = np.array([entry.array for entry in some])
            slots = np.array([entry.slot for entry in some])
            for name in set(names.tolist()):
                if name not in arrays:
                    arrays[name] = self.mapped(name)
                mine = names == name
                if slots[mine].max() >= len(arrays[name]):
                    raise GoneError(name)
                rows[mine] = arrays[name][slots[mine]]
                self._check(name, rows[mine], [entry for entry in some if entry.array == name])
                release(arrays[name])
            yield rows.data

    def new_part(self) -> Path:
        part = self._folder / f"tagfit-{writer()}{uuid.uuid4().hex[:8]}.part"
        self._own_parts.add(part)
        return part

    def tidy(self, needed: Callable[[str], bool]) -> None:
        """Delete the parts that are not needed, but for those that others may be writing."""
        for part in self._folder.glob("tagfit-*.part"):
            if not (found := _PART.fullmatch(part.name)) or needed(part.name):
                continue
            with suppress(OSError):  # gone already, or mapped where that forbids it
                mine = part in self._own_parts or is_gone(found[1])
                if mine or time.time() - part.stat().st_mtime > _OLD_SECONDS:
                    part.unlink()
