"""Image files that a source names: looked for, one listing a folder, and never opened.

A name is first looked for as written: from the label file's folder, then from the folder of the data. What is not
there is looked for by its ending among all images below that folder, listed once: without its extension or with
another, by its number (`17` is `000017.jpg`), in another case or Unicode form, without another computer's folders, a
server's address or the number that an upload was given. It counts as found only if exactly one image fits. Folders that
are called as parts of a split are never mistaken for each other: `train/1.jpg` is not `test/1.jpg`.
"""

from __future__ import annotations

import difflib
import os
import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

from tagfit.data.sources.listing import Listing, key_of
from tagfit.data.sources.names import is_writable
from tagfit.data.sources.parts import part_of_folders
from tagfit.data.sources.rows import each
from tagfit.images.decode import IMAGE_SUFFIXES
from tagfit.records.data import Part

#: a path from the top of a disk, and an address: C:/a, s3://bucket/a
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")
_ADDRESS = re.compile(r"[A-Za-z][\w.+-]+://[^/]*|[A-Za-z]:|\\\\[^\\]+\\[^\\]+")
_QUERY = re.compile(r"[?&]d=([^&#]+)|[?#].*$")
#: Label Studio writes eight hexadecimal digits in front of the name of an uploaded file
_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")
_MISSING = "does not exist."
_OUTSIDE = "is an absolute path; expected one relative to the folder of images."
_SEVERAL = "may be one of several:"
#: names are compared with no more files than these
_MOST_COMPARED = 20_000


@dataclass(frozen=True)
class Root:
    """Where paths start.

    Attributes:
        confined: whether a path that leaves `folder` is a fault, as in every file from a stranger.
        listing: all images below `folder`, to find those that are not where they are written; None where it is not
            to be listed.
    """

    folder: Path
    confined: bool = True
    listing: Listing | None = None

    @classmethod
    def of(cls, folder: Path, listing: Listing | None = None) -> Root:
        """A confined root; `listing` is used if it is of the same folder."""
        return cls(folder, True, listing if listing is not None and listing.folder == folder else Listing(folder))


@dataclass(eq=False)
class Found:
    """What came of looking for N images.

    Attributes:
        files: (N,) their paths below the root, equal for equal files however they were spelled; None without one.
        names: (N,) the name of each: as written, or its path below the root if it was found differently.
        complaints: what is wrong, by row.
        missing: the rows whose image is nowhere, or may be one of several; the other complaints are graver.
        differently: the rows whose image was found in another way than as written.
    """

    files: list[str | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    complaints: dict[int, str] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    differently: list[int] = field(default_factory=list)


def find_images(
    names: Sequence[str], root: Root, bases: Sequence[str] | str = "", parts: Sequence[Part | None] | Part | None = None
) -> Found:
    """Look for the file of each name.

    Backslashes are read as slashes, so that a table written on Windows is found elsewhere too.

    Args:
        bases: (N,) the folders that names start in, relative to the root; or one for all.
        parts: (N,) the part of a split that each row is in, as far as it is known; or one for all.
    """
    search, found, n = _Search(root), Found(), len(names)
    bases = each(bases, n)
    places = [search.find(*row) for row in zip(names, bases, each(parts, n), strict=True)]
    doubtful = _doubtful(names, places)
    for row, place in enumerate(places):
        complaint = place.instead if row in doubtful else place.complaint
        is_elsewhere = place.by_ending and not complaint
        found.files.append(None if complaint else place.inner)
        found.names.append(place.inner if is_elsewhere else _written(names[row], bases[row], place, complaint))
        if complaint:
            found.complaints[row] = complaint
        if complaint.startswith((_MISSING, _OUTSIDE, _SEVERAL)):
            found.missing.add(row)
        if is_elsewhere:
            found.differently.append(row)
    return found


def _doubtful(names: Sequence[str], places: Sequence[_Place]) -> set[int]:
    """The rows found by their ending whose file another name means too, or that were found unlike their neighbours.

    Of the names in a folder that does not exist here, nearly all have to be found in one and the same folder.
    """
    by_ending = [row for row, place in enumerate(places) if place.by_ending]
    if not by_ending:
        return set()
    meant: dict[str, set[str]] = {}
    folders: dict[str, Counter[str]] = {}
    for name, place in zip(names, places, strict=True):
        if not place.complaint:
            meant.setdefault(place.inner, set()).add(name if place.by_ending else place.inner)
        if place.unmatched is not None:
            folders.setdefault(place.unmatched, Counter())[posixpath.dirname(place.inner)] += 1
    return {
        row for row in by_ending if len(meant.get(places[row].inner, ())) > 1 or not _is_usual(places[row], folders)
    }


def _is_usual(place: _Place, folders: dict[str, Counter[str]]) -> bool:
    counts = None if place.unmatched is None else folders[place.unmatched]
    return counts is None or counts[posixpath.dirname(place.inner)] >= 0.95 * counts.total()


def _written(name: str, base: str, place: _Place, complaint: str) -> str:
    """The name as messages and outputs call it: as written, below the folder of a label file that lies deeper."""
    is_below = bool(base) and not _is_absolute(name) and (bool(complaint) or place.inner.startswith(f"{base}/"))
    return f"{base}/{name}" if is_below else name


def unlabelled(folder: Path, files: Sequence[str]) -> int:
    """How many images lie beside the given ones, below a folder, without being among them."""
    named: dict[str, set[str]] = {}
    for file in files:
        inner, name = posixpath.split(file)
        named.setdefault(inner, set()).add(name)
    found = 0
    for inner, names in named.items():
        with os.scandir(folder / inner) as entries:
            others = (entry for entry in entries if entry.name not in names and entry.name[0] != ".")
            found += sum(entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.is_file() for entry in others)
    return found


@dataclass(slots=True)
class _Place:
    """Where a name leads to.

    Attributes:
        inner: the path below the root.
        complaint: what is wrong with it; nothing if the image can be used.
        by_ending: whether it was found by its ending.
        unmatched: the written folder, if that is relative and not all of it is in `inner`.
        instead: the complaint in case that what was found by its ending is not meant.
    """

    inner: str
    complaint: str
    by_ending: bool = False
    unmatched: str | None = None
    instead: str = ""


class _Search:
    """Looks for one name after another below a root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._base = _real(root.folder) if root.confined else None
        self._folders: dict[str, _Folder] = {}
        self._own = tuple(map(key_of, _real(root.folder).parts))

    def find(self, name: str, base: str, part: Part | None) -> _Place:
        if not name.strip():
            return _Place("", "is an empty cell.")
        if not is_writable(name):
            return _Place("", "holds control characters.")
        if self._root.confined and _is_absolute(name):
            return self._by_ending(name, base, part, _Place(name, _OUTSIDE))
        place = self._as_written(posixpath.join(base, name.replace("\\", "/")))
        if place.complaint == _MISSING and base:
            top = self._as_written(name.replace("\\", "/"))
            place = place if top.complaint else top
        return self._by_ending(name, base, part, place) if place.complaint == _MISSING else place

    def _as_written(self, path: str) -> _Place:
        inner = posixpath.normpath(path)
        if not self._root.confined:
            inner = inner.removeprefix(f"{self._root.folder}/")
        elif inner == ".." or inner.startswith("../"):
            return _Place(inner, "leaves the folder of images.")
        return _Place(inner, self._complaint(inner))

    def _complaint(self, inner: str) -> str:
        folder, _, file = inner.rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = _Folder(self._root.folder / folder if inner[0] != "/" else Path(folder), self._base)
        return self._folders[folder].complaint(file)

    def _by_ending(self, name: str, base: str, part: Part | None, place: _Place) -> _Place:
        """The one image that ends as a name does, among those that share most folders with it."""
        if self._root.listing is None:
            return place
        pieces = _pieces(name)
        best = self._best(pieces, base, part)
        shared = _shared(pieces, best[0]) if best else 0
        is_whole = shared == len(pieces) - 1 or _is_absolute(name)
        if len(best) > 1 and is_whole:
            return replace(place, complaint=f"{_SEVERAL} {', '.join(best[:3])}.")
        instead = place.complaint + (self._near(pieces[-1]) if place.complaint == _MISSING else "")
        if len(best) != 1:
            return replace(place, complaint=instead)
        above = pieces[: -1 - shared]  # paths may start above the root
        is_matched = is_whole or self._own[-len(above) :] == above
        return _Place(best[0], self._complaint(best[0]), True, None if is_matched else "/".join(pieces[:-1]), instead)

    def _best(self, pieces: tuple[str, ...], base: str, part: Part | None) -> Sequence[str]:
        """The images that fit best: no folder speaks against them, and most speak for them."""
        index = self._root.listing.by_name if self._root.listing is not None else {}
        file = pieces[-1]
        called = (
            index.get(file) or index.get(_UPLOAD.sub("", file)) or (index.get(_bare(file)) if _bare(file) else ()) or ()
        )
        written = part_of_folders(pieces[:-1]) or part
        parts = {inner: part_of_folders(inner.split("/")[:-1]) for inner in called}
        fitting = {inner: _shared(pieces, inner) for inner in called if parts[inner] in (None, written) or not written}
        best = [inner for inner, shared in fitting.items() if shared == max(fitting.values())]
        if len(best) > 1:
            best = [inner for inner in best if parts[inner] == written] or best
            places = {_bare("/".join(pieces)), _bare("/".join((key_of(base), *pieces)))}
            best = [inner for inner in best if _bare(key_of(inner)) in places] or best
        return best

    def _near(self, file: str) -> str:
        index = self._root.listing.by_name if self._root.listing is not None else {}
        names = [file] if file in index else index if len(index) < _MOST_COMPARED else ()
        near = difflib.get_close_matches(file, names, n=1, cutoff=0.85)
        return f" Did you mean {index[near[0]][0]!r}?" if near else ""


def _is_absolute(name: str) -> bool:
    return bool(_ABSOLUTE.match(name) or _ADDRESS.match(name))


def _bare(path: str) -> str:
    return path.rpartition(".")[0] if path.endswith(IMAGE_SUFFIXES) else path


def _pieces(name: str) -> tuple[str, ...]:
    """The folders and the file name of a written path or address, to compare."""
    address = _ADDRESS.match(name)
    inner = name[address.end() :] if address else name
    if "?" in inner or "#" in inner or "%" in inner:
        inner = unquote(_QUERY.sub(lambda match: f"/{match[1]}" if match[1] else "", inner))
    folders = key_of(inner).replace("\\", "/").split("/")
    return tuple(piece for piece in folders if piece not in ("", ".", "..")) or ("",)


def _shared(pieces: Sequence[str], inner: str) -> int:
    """How many folders an image and a written path share, counted from the file."""
    if len(pieces) == 1:
        return 0
    folders = key_of(inner).split("/")[-2::-1]
    pairs = zip(pieces[-2::-1], folders, strict=False)
    return next((count for count, (one, other) in enumerate(pairs) if one != other), min(len(pieces) - 1, len(folders)))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises where links go round in a circle


class _Folder:
    """What lies in one folder, listed once; `base` is the folder that nothing may lead out of."""

    def __init__(self, folder: Path, base: Path | None) -> None:
        self._base = base
        self._entries: dict[str, os.DirEntry[str]] = {}
        self._fault = "" if self._is_inside(folder) else "leads out of the folder of images through a symbolic link."
        if not self._fault:
            self._list(folder)

    def _list(self, folder: Path) -> None:
        try:
            with os.scandir(folder) as entries:
                self._entries = {entry.name: entry for entry in entries}
        except (FileNotFoundError, NotADirectoryError):
            pass  # each of its images is missing
        except OSError as error:
            self._fault = f"is in a folder that cannot be listed: {error.strerror}."

    def _is_inside(self, path: Path) -> bool:
        return self._base is None or _real(path).is_relative_to(self._base)

    def complaint(self, file: str) -> str:
        """What is wrong with a file of this folder; nothing, if it can be used."""
        if self._fault:
            return self._fault
        entry = self._entries.get(file)
        if entry is None:
            return _MISSING
        if entry.is_symlink() and not self._is_inside(Path(entry.path)):
            return "leads out of the folder of images through a symbolic link."
        try:
            return "" if entry.is_file() else "is not a file."
        except OSError as error:
            return f"cannot be read: {error.strerror}."
