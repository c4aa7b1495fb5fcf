"""Image files that a source names: looked for, one listing a folder, and never opened."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.names import is_writable
from tagfit.images.decode import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Root:
    """Where paths start. `confined`: a path that leaves `folder` is a fault, as in every file from a stranger."""

    folder: Path
    confined: bool = True


def find_images(names: Sequence[str], where: Sequence[str], root: Root, faults: Faults) -> list[Path | None]:
    """The file of each name; one that is missing, not a file or out of bounds is a fault.

    Backslashes are read as slashes, so that a table written on Windows is found elsewhere too.

    Returns:
        (N,) paths, equal for equal files however they were spelled; None after a fault.
    """
    base = _real(root.folder) if root.confined else None
    listings: dict[str, _Listing] = {}
    paths: list[Path | None] = []
    for name, place in zip(names, where, strict=True):
        inner = posixpath.normpath(name.replace("\\", "/"))
        folder, file = posixpath.split(inner)
        complaint = _unusable(name, inner, root)
        if not complaint:
            if folder not in listings:
                listings[folder] = _Listing(root.folder / folder, base)
            complaint = listings[folder].complaint(file)
        if complaint:
            faults.add(f"{place}: image {shortened(name)} {complaint}", _todo(root))
        paths.append(None if complaint else root.folder / inner)
    return paths


def unlabelled(files: Sequence[Path]) -> int:
    """How many images lie beside the given ones without being among them."""
    named: dict[Path, set[str]] = {}
    for file in files:
        named.setdefault(file.parent, set()).add(file.name)
    found = 0
    for folder, names in named.items():
        with os.scandir(folder) as entries:
            others = (entry for entry in entries if entry.name not in names and entry.name[0] != ".")
            found += sum(entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.is_file() for entry in others)
    return found


def _todo(root: Root) -> str:
    return f"Images are looked for in {root.folder}; say with --images (images) if they start elsewhere."


def _unusable(name: str, inner: str, root: Root) -> str:
    """What is wrong with a name by itself."""
    if not name.strip():
        return "is an empty cell."
    if not is_writable(name):
        return "holds control characters."
    if root.confined and PureWindowsPath(name).anchor:  # of /a, \\a, C:a and C:\\a alike
        return "is an absolute path; expected one relative to the folder of images."
    if root.confined and (inner == ".." or inner.startswith("../")):
        return "leaves the folder of images."
    return ""


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises where links go round in a circle


class _Listing:
    """What lies in one folder, listed once; `base` is the folder that nothing may lead out of."""

    def __init__(self, folder: Path, base: Path | None) -> None:
        self._base = base
        self._entries: dict[str, os.DirEntry[str]] = {}
        self._folded: dict[str, str] = {}
        self._fault = "" if self._is_inside(folder) else "is led out of the folder of images by a symbolic link."
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
            return f"does not exist.{self._near(file)}"
        if entry.is_symlink() and not self._is_inside(Path(entry.path)):
            return "is led out of the folder of images by a symbolic link."
        try:
            return "" if entry.is_file() else "is not a file."
        except OSError as error:
            return f"cannot be looked at: {error.strerror}."

    def _near(self, file: str) -> str:
        if not self._folded:
            self._folded = {name.casefold(): name for name in self._entries}
        near = self._folded.get(file.casefold())
        return f" Did you mean {near!r}?" if near else ""
