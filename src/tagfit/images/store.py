"""Images decoded once, into arrays on disk that are mapped into memory.

Keyed by content and preprocessing: the same bytes are never decoded twice to the same pixels, wherever they lie. What
the index speaks of is on disk before it is spoken of, and an array that was served is never written to again, so that
a run that is killed leaves what it had decoded, and two at once do each other no harm.

Images are decoded into a part, in the order in which they come; once all of a data set are known, they are copied
into an array of their own, in its order, and the part goes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray

from tagfit.images.arrays import Arrays, GoneError, pixel_digest
from tagfit.images.decode import MAX_PIXELS, VERSION
from tagfit.images.index import Entry, Index, Stamp
from tagfit.images.worker import stamp
from tagfit.images.workers import Decode, DecodeOutcome, Source, decoded
from tagfit.io.cache import made_folder
from tagfit.io.files import sync
from tagfit.records.form import ImageForm

log = logging.getLogger(__name__)

#: called with (done, total) while images are read
OnRead = Callable[[int, int], object]

#: shown the SHA-256 of an image's bytes, and its (size, size, 3) uint8 pixels
OnPixels = Callable[[bytes, NDArray[np.uint8]], object]

#: a kill loses no more than this
_SECONDS_A_WRITE = 2.0

#: another process may take an array away between a look and a grasp, but hardly so often
_ATTEMPTS = 5


@dataclass(frozen=True, eq=False)
class Images:
    """Images as pixels: n of them, in the order of their sources.

    Attributes:
        x: (n, size, size, 3) uint8, a read-only memory map if there is a cache.
        rows: (n,) the number of each one's source.
        hashes: (n, 32) uint8, SHA-256 of the encoded bytes.
        times: (n,) when each was taken, as ISO text, or nothing.
        set_aside: the reason for each of the other sources, by number.
        notes: messages for the user.
    """

    x: NDArray[np.uint8]
    rows: NDArray[np.intp]
    hashes: NDArray[np.uint8]
    times: tuple[str, ...]
    set_aside: Mapping[int, str]
    notes: tuple[str, ...] = ()


def open_images(
    sources: Sequence[Source],
    form: ImageForm,
    *,
    max_pixels: int = MAX_PIXELS,
    on_read: OnRead | None = None,
    on_pixels: OnPixels | None = None,
    decode: Decode | None = None,
) -> Images:
    """The images at `sources` (files, or the bytes of files), decoded only if they never were before.

    `on_pixels` is shown those that are decoded now, as they come; `decode` decodes them, `decoded` unless given.
    """
    decode = decode or decoded
    try:
        with closing(_Store(made_folder(), form, max_pixels, on_pixels, decode)) as store:
            return store.open(sources, on_read)
    except (OSError, RuntimeError, sqlite3.Error) as error:
        note = f"Decoded images are not kept for the next run, because the cache folder cannot be used: {error}."
        log.warning(note)
        return _in_memory(sources, form, max_pixels, on_read, note, decode)


def _in_memory(
    sources: Sequence[Source], form: ImageForm, max_pixels: int, on_read: OnRead | None, note: str, decode: Decode
) -> Images:
    x = np.empty((len(sources), form.size, form.size, 3), np.uint8)
    outcomes: dict[int, DecodeOutcome] = {}
    for number, outcome in decode(sources, form, max_pixels):
        if outcome.pixels is not None:
            x[number] = outcome.pixels
        outcomes[number] = DecodeOutcome(outcome.digest, time=outcome.time, reason=outcome.reason)
        if on_read is not None:
            on_read(len(outcomes), len(sources))
    rows = [number for number in range(len(sources)) if not outcomes[number].reason]
    return Images(
        x=x if len(rows) == len(x) else x[rows],
        rows=np.array(rows, np.intp),
        hashes=_hashes([outcomes[number].digest for number in rows]),
        times=tuple(outcomes[number].time for number in rows),
        set_aside={number: outcomes[number].reason for number in range(len(sources)) if outcomes[number].reason},
        notes=(note,),
    )


def _hashes(digests: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(bytearray().join(digests), np.uint8).reshape(-1, 32)


@dataclass
class _Known:
    """What is known of N sources.

    Attributes:
        digests: (N,) SHA-256 of each; None if it was not read, or cannot be.
        entries: what became of the content, by digest.
        failed: reasons that are not remembered, by number: the next run tries again.
    """

    digests: list[bytes | None]
    entries: dict[bytes, Entry] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    def entry(self, number: int) -> Entry | None:
        digest = self.digests[number]
        return None if digest is None else self.entries.get(digest)

    def missing(self) -> list[int]:
        numbers = range(len(self.digests))
        return [number for number in numbers if number not in self.failed and self.entry(number) is None]


class _Store:
    """The arrays in one folder, for one preprocessing."""

    def __init__(
        self, folder: Path, form: ImageForm, max_pixels: int, on_pixels: OnPixels | None, decode: Decode
    ) -> None:
        self._folder, self._form, self._max_pixels = folder, form, max_pixels
        self._on_pixels, self._decoded = on_pixels, decode
        self._shape = (form.size, form.size, 3)
        self._preprocessing = f"{form.key} {VERSION} {PIL.__version__} {max_pixels}"
        self._index = Index(folder, self._preprocessing)
        self._arrays = Arrays(folder, form.size)

    def close(self) -> None:
        self._index.close()

    def open(self, sources: Sequence[Source], on_read: OnRead | None) -> Images:
        """Raises OSError or sqlite3.Error if the folder cannot be used."""
        failed: dict[int, str] = {}
        for _ in range(_ATTEMPTS):
            known = _Known(self._digests(sources), failed=failed)
            self._look_up(known)
            if missing := known.missing():
                self._decode(sources, missing, known, on_read)
                self._look_up(known)
            elif on_read is not None:
                on_read(len(sources), len(sources))
            if not known.missing():
                try:
                    return self._images(known)
                except GoneError as gone:
                    self._index.forget(str(gone))
                finally:
                    self._arrays.tidy(self._index.needs)
        raise OSError(f"{self._folder} keeps changing")

    # ------------------------------------------------------------------------------ what is known already

    def _digests(self, sources: Sequence[Source]) -> list[bytes | None]:
        return [hashlib.sha256(s).digest() if isinstance(s, bytes) else self._trusted(s) for s in sources]

    def _trusted(self, file: Path) -> bytes | None:
        """The digest of a file that is what it was when it was read, as git tells it: by size, times and number."""
        try:
            return self._index.digest_of(_path(file), stamp(file.stat()))
        except (OSError, ValueError):  # the decoder says what is wrong with it
            return None

    def _look_up(self, known: _Known) -> None:
        for digest in {digest for digest in known.digests if digest is not None} - known.entries.keys():
            entry = self._index.entry_of(digest)
            if entry is not None:
                known.entries[digest] = entry

    # ------------------------------------------------------------------------------ what is not

    def _decode(self, sources: Sequence[Source], missing: list[int], known: _Known, on_read: OnRead | None) -> None:
        """Read the missing sources, and remember what came of them every few seconds."""
        part = self._arrays.new_part()
        outcomes = self._decoded(
            [sources[number] for number in missing],
            self._form,
            self._max_pixels,
            lambda digest: self._index.entry_of(digest) is None,
        )
        with part.open("wb") as file:
            waiting: list[tuple[int, DecodeOutcome]] = []
            began, done = time.monotonic(), len(sources) - len(missing)
            with closing(outcomes):
                for position, outcome in outcomes:
                    waiting.append((missing[position], outcome))
                    done += 1
                    if self._on_pixels is not None and outcome.pixels is not None:
                        self._on_pixels(outcome.digest, outcome.pixels)
                    if len(waiting) >= self._arrays.at_a_time or time.monotonic() - began >= _SECONDS_A_WRITE:
                        self._remember(sources, waiting, file, known)
                        waiting, began = [], time.monotonic()
                    if on_read is not None:
                        on_read(done, len(sources))
            self._remember(sources, waiting, file, known)

    def _remember(
        self, sources: Sequence[Source], waiting: list[tuple[int, DecodeOutcome]], file: BinaryIO, known: _Known
    ) -> None:
        slot = file.tell() // self._arrays.row_bytes
        entries: list[tuple[bytes, Entry]] = []
        files: list[tuple[bytes, Stamp, bytes]] = []
        rows: list[bytes] = []
        for number, outcome in waiting:
            source = sources[number]
            known.digests[number] = outcome.digest or None
            if not outcome.digest:
                known.failed[number] = outcome.reason
                continue
            if outcome.stamp is not None and isinstance(source, Path):
                files.append((_path(source), outcome.stamp, outcome.digest))
            if outcome.pixels is not None:
                pixels = outcome.pixels.tobytes()
                place = Path(file.name).name, slot + len(rows)
                entries.append((outcome.digest, Entry(*place, outcome.time, pixels=pixel_digest(pixels))))
                rows.append(pixels)
            elif outcome.reason:
                entries.append((outcome.digest, Entry(reason=outcome.reason)))
        file.write(b"".join(rows))
        sync(file)  # the pixels first, then what speaks of them
        self._index.remember_images(entries)
        self._index.remember_files(files)

    # ------------------------------------------------------------------------------ one array for a data set

    def _images(self, known: _Known) -> Images:
        """Raises GoneError if an array was taken away meanwhile."""
        rows, digests, entries, set_aside = [], [], [], dict(known.failed)
        for number, digest in enumerate(known.digests):
            entry = known.entry(number)
            if entry is None or digest is None:
                continue
            if entry.reason:
                set_aside[number] = entry.reason
                continue
            rows.append(number)
            digests.append(digest)
            entries.append(entry)
        return Images(
            x=self._array_of(digests, entries),
            rows=np.array(rows, np.intp),
            hashes=_hashes(digests),
            times=tuple(entry.time for entry in entries),
            set_aside=dict(sorted(set_aside.items())),
        )

    def _array_of(self, digests: list[bytes], entries: list[Entry]) -> NDArray[np.uint8]:
        if not digests:
            return np.empty((0, *self._shape), np.uint8)
        key = hashlib.sha256(f"{self._preprocessing}\n".encode() + b"".join(digests)).hexdigest()
        name = f"tagfit-{key[:24]}.pixels"
        if self._arrays.rows(name) != len(digests):
            self._arrays.write(name, self._arrays.gathered(entries))
            x = self._arrays.mapped(name)
        else:
            x = self._arrays.checked(name, entries)
        slots = {digest: slot for slot, digest in enumerate(digests) if entries[slot].array.endswith(".part")}
        self._index.move(slots.items(), name)
        return x


def _path(file: Path) -> bytes:
    return os.fsencode(file.absolute())
