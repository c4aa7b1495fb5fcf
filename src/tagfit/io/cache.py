"""The folder of what need not be computed twice: where it is, how large, and how it is emptied."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tagfit.errors import OutputError

#: how everything in it is called; nothing else there is ever touched
_OURS = "tagfit-*"


@dataclass(frozen=True)
class Usage:
    """What the cache takes."""

    folder: str
    files: int
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def cache_folder() -> Path:
    """TAGFIT_CACHE, or where this system keeps caches; it need not exist.

    Raises:
        RuntimeError: there is no home folder.
    """
    if given := os.environ.get("TAGFIT_CACHE"):
        return Path(given).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tagfit"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "tagfit" / "cache"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if xdg.startswith("/") else Path.home() / ".cache") / "tagfit"


def made_folder() -> Path:
    """The folder, for this user alone where it is new.

    Raises:
        OSError, RuntimeError: it cannot be made.
    """
    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def usage() -> Usage:
    """What is in the cache now."""
    sizes = [file.stat().st_size for file in _files()]
    return Usage(str(cache_folder()), len(sizes), sum(sizes))


def clear() -> Usage:
    """Delete what is in the cache; what was there.

    Raises:
        OutputError: files that could not be deleted, all of them named.
    """
    before, faults = usage(), []
    for file in _files():
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            faults.append(f"{file}: cannot be deleted: {error.strerror}")
    if faults:
        raise OutputError(faults, "Is another tagfit at work? End it, and try again.")
    return before


def _files() -> Iterator[Path]:
    folder = cache_folder()
    if folder.is_dir():
        yield from sorted(file for file in folder.glob(_OURS) if file.is_file())
