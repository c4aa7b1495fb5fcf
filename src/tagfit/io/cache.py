"""The folder of what need not be computed twice: where it is, how large, and how it is emptied."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from tagfit.errors import OutputError
from tagfit.io.files import is_temporary, write_atomically

log = logging.getLogger(__name__)

#: how all that is kept is called; nothing else in the folder is ever touched
_OURS = re.compile(
    r"tagfit-([0-9a-f]{24}|index-\d+|postcards-[0-9a-f]{8}|(features|copies|tests)-[0-9a-f]{32}|onnx-[0-9a-f]{32}-[0-9a-f]{32})"
    r"\.(pixels|part|labels|json|onnx|sqlite(-wal|-shm|-journal)?)"
)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

#: the folder of the compiled engine's machine code, which Numba fills
KERNELS = "tagfit-kernels"


@dataclass(frozen=True)
class Usage:
    """What the cache takes."""

    folder: str
    files: int
    bytes: int


def cache_folder() -> Path:
    """TAGFIT_CACHE, or where this system keeps caches; it need not exist.

    Raises:
        RuntimeError: there is no home folder.
    """
    if given := os.environ.get("TAGFIT_CACHE"):
        return Path(given).absolute()
    folder = user_cache_path("tagfit", appauthor=False)
    if not folder.is_absolute():  # "~" stands where the user has no home
        raise RuntimeError("there is no home folder; set TAGFIT_CACHE")
    return folder


def made_folder() -> Path:
    """The folder, for this user alone where it is new.

    Raises:
        OSError, RuntimeError: it cannot be made.
    """
    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def kept(name: str) -> bytes | None:
    """The content of the file `name` in the cache; None where there is none."""
    with suppress(OSError, RuntimeError):
        return (cache_folder() / name).read_bytes()
    return None


def own_content(file: Path) -> bytes | None:
    """The content of a file that this user alone can write to; None of any other.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        if os.name == "posix":
            found = os.fstat(opened.fileno())
            if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE:
                return None
        return opened.read()


def keep(name: str, content: str | bytes) -> None:
    """Write the file `name` into the cache, where that is possible; nobody else can write to it."""
    try:
        file = made_folder() / name
        write_atomically(file, content)
        file.chmod(file.stat().st_mode & ~_OTHERS_WRITE)
    except (OSError, RuntimeError) as error:
        log.warning("%s is not kept for the next run: %s", name, error)


def usage() -> Usage:
    """What is in the cache now."""
    sizes = [file.stat().st_size for file in _files()]
    return Usage(str(cache_folder()), len(sizes), sum(sizes))


def clear() -> Usage:
    """Delete what is in the cache; returns what was there.

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
        raise OutputError(faults, "Another tagfit may be using it: end it, and try again.")
    return before


def _files() -> Iterator[Path]:
    folder = cache_folder()
    if folder.is_dir():
        ours = [file for file in folder.iterdir() if _OURS.fullmatch(_final_name(file)) and file.is_file()]
        kernels = (file for file in (folder / KERNELS).rglob("*.nb[ci]") if file.is_file())
        yield from sorted([*ours, *kernels])


def _final_name(file: Path) -> str:
    """What a file is called, or, half-written by a process that was killed, was to be called."""
    return file.name[1:].rsplit(".", 2)[0] if is_temporary(file) else file.name
