"""What lies in a folder, listed once for all readers, and how each file begins."""

from __future__ import annotations

import codecs
import json
import os
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from tagfit.data.sources.text import OTHER_MARKS
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES

#: files that may be called as an image is and are no sidecars: they hold more than what belongs to one image
_NO_SIDECARS = (
    *(".csv", ".tsv", ".jsonl", ".ndjson", ".xlsx", ".parquet", ".arff", ".npz", ".npy", ".mat", ".h5", ".hdf5"),
    *(".tar", ".zip", ".gz", ".7z", ".rar", ".tfrecord", ".tfrecords", ".rec", ".idx", ".lst", ".pkl", ".ods", ".xls"),
)

#: how much of a file is read to recognise it
HEAD = 1 << 16

#: more files than these are not looked into
_MOST_HEADS = 400

#: names of files that are about a data set as a whole
_ABOUT = re.compile(r"read.?me|licen[cs]e|attribution|copyright|credits|citation|checksums?|md5|sha\d+", re.IGNORECASE)

_KEY = re.compile(r'"([^"\\\n]{1,64})"\s*:')
_MARKS = ((codecs.BOM_UTF8, "utf-8"), *OTHER_MARKS)


@dataclass(frozen=True, eq=False)
class Head:
    """How a file begins.

    Attributes:
        name: its path in the folder of the data, with slashes; what messages call it.
        raw: the first 64 KiB.
        is_whole: whether that is all of it.
    """

    path: Path
    name: str
    raw: bytes
    is_whole: bool

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()

    @cached_property
    def text(self) -> str:
        """As text without its byte order mark; what is not UTF-8 is replaced."""
        mark, encoding = next((pair for pair in _MARKS if self.raw.startswith(pair[0])), (b"", "utf-8"))
        return self.raw.removeprefix(mark).decode(encoding, "replace")

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Stripped lines that are not blank; the last one may be cut."""
        return tuple(filter(None, (line.strip() for line in self.text.splitlines())))

    @cached_property
    def document(self) -> object:
        """The JSON document that the file is; None if it is none, or does not end within the head."""
        if not (self.is_whole and self.text.lstrip()[:1] in ("{", "[")):
            return None
        return _json(self.text)

    @cached_property
    def row(self) -> Mapping[str, object]:
        """The first line as a JSON object; empty if it is none."""
        first = _json(self.lines[0]) if self.lines and self.lines[0].startswith("{") else None
        return first if isinstance(first, dict) else {}

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of JSON objects that occur in the head, at any depth."""
        return frozenset(_KEY.findall(self.text)) if self.text.lstrip()[:1] in ("{", "[") else frozenset()

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The names in a zip archive; none if it is none."""
        if not self.raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return ()
        try:
            with zipfile.ZipFile(self.path) as archive:
                return tuple(archive.namelist())
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
            return ()


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_head(path: Path, name: str = "") -> Head:
    """Raises DataError: the file cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(HEAD + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error
    return Head(path, name or path.name, raw[:HEAD], len(raw) <= HEAD)


@dataclass(frozen=True, eq=False)
class Listing:
    """What lies in a folder, at any depth; names are relative to it, with slashes. Hidden files and folders, and
    links to folders, are passed over.

    Attributes:
        folder: where names start.
        only: the one file that the person named, if any; what lies beside it is listed only when it is asked for.
    """

    folder: Path
    only: str = ""
    _heads: dict[str, Head] = field(default_factory=dict)

    @cached_property
    def inside(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the files in each folder, sorted; the folder itself is ``""``.

        Raises:
            DataError: a folder that cannot be listed.
        """
        return dict(_walk(self.folder))

    @cached_property
    def files(self) -> tuple[str, ...]:
        return tuple(_joined(inner, name) for inner, names in self.inside.items() for name in names)

    @cached_property
    def images(self) -> tuple[str, ...]:
        return tuple(name for name in self.files if name.lower().endswith(IMAGE_SUFFIXES))

    @cached_property
    def by_name(self) -> Mapping[str, Sequence[str]]:
        """Images by `key_of` their file names, with and without extension; by number, if the name is one."""
        index: dict[str, list[str]] = {}
        for inner in self.images:
            file = key_of(inner.rpartition("/")[2])
            stem = file.rpartition(".")[0]
            for key in {file, stem, stem.lstrip("0") or "0" if stem.isdecimal() else stem}:
                index.setdefault(key, []).append(inner)
        return index

    @cached_property
    def sidecars(self) -> tuple[str, ...]:
        """Files that are called as an image is, in its folder or in another: `a.txt`, `labels/a.json`, `a.jpg.xmp`."""
        stems = {PurePosixPath(name).stem for name in self.images} | {name.rpartition("/")[2] for name in self.images}
        known = set(self.images)
        rest = (name for name in self.files if name not in known and not name.lower().endswith(_NO_SIDECARS))
        return tuple(name for name in rest if PurePosixPath(name).stem in stems)

    @cached_property
    def others(self) -> tuple[str, ...]:
        """Files that are neither images nor sidecars nor a licence, those at the top first: what may hold labels."""
        known = {*self.images, *self.sidecars}
        rest = [name for name in self.files if name not in known and not is_about(name)]
        return tuple(sorted(rest, key=lambda name: name.count("/")))[:_MOST_HEADS]

    def head(self, name: str) -> Head:
        """How a file begins, read once.

        Raises:
            DataError: it cannot be read.
        """
        if name not in self._heads:
            self._heads[name] = read_head(self.folder / name, name)
        return self._heads[name]


def key_of(text: str) -> str:
    """A name to compare: without regard to case and Unicode form."""
    return unicodedata.normalize("NFC", text).casefold()


def is_about(name: str) -> bool:
    """Whether a file is called as one about a data set, such as its licence, which holds no labels."""
    return _ABOUT.match(name.rpartition("/")[2]) is not None


def _joined(inner: str, name: str) -> str:
    return f"{inner}/{name}" if inner else name


def _walk(folder: Path) -> Iterable[tuple[str, tuple[str, ...]]]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be listed: {error.strerror}.") from error

    for inside, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        inner = os.path.relpath(inside, folder).replace(os.sep, "/")
        yield "" if inner == "." else inner, tuple(sorted(name for name in files if name[0] != "."))
