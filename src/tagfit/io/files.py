"""Files and folders that appear whole or not at all, and are on disk by then.

Everything is written beside its place, synced and renamed: a kill at any moment leaves the old content or the new one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from tagfit.errors import OutputError

#: of what is written beside its place, a name that nobody gives to a file of their own: by which machine and process,
#: and chance; of an earlier version, chance alone
_TEMPORARY = re.compile(r"\..+\.(?:(?P<writer>[0-9a-f]{16})|[0-9a-f]{12})\.tmp")

#: the mark of a folder that is being filled
_UNFINISHED = ".tagfit-unfinished"


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Whatever the operating system refuses within is an OutputError, and so is a folder a thousand folders deep."""
    try:
        yield
    except RecursionError as error:  # of Path.mkdir(parents=True)
        raise OutputError(f"{path}: too many folders inside each other", "Choose another place with -o.") from error
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written to: {error.strerror or error}", "Choose another place with -o."
        ) from error


@contextmanager
def whole_file(path: Path, *, new: bool = False, beside: Path | None = None) -> Iterator[BinaryIO]:
    """A stream whose content is at `path` once the block ends without an error.

    Args:
        new: refuse to replace a file, even one that has appeared meanwhile.
        beside: where it is written first, in the same folder.

    Raises:
        OSError: it cannot be written; FileExistsError with `new`. What was at `path` is still there.
    """
    _sweep(path.parent)
    beside = _beside(path) if beside is None else beside
    try:
        with beside.open("wb") as stream:
            yield stream
            sync(stream)
        if new:
            os.link(beside, path)  # unlike a renaming, it fails where there is a file
        else:
            beside.replace(path)
        _sync_names(path.parent)
    finally:
        beside.unlink(missing_ok=True)  # a full disk has no room for half a file


def write_atomically(path: Path, content: str | bytes) -> None:
    """Raises OSError: as `whole_file`."""
    with whole_file(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


def write_new(path: Path, content: bytes) -> None:
    """Write a file where there is none.

    Raises:
        OutputError: there is one, or the place cannot be written to.
    """
    with writable(path), whole_file(path, new=True) as stream:
        stream.write(content)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write or replace a folder; after a kill the old one or the new one is at `path` or at `aside(path)`.

    Args:
        files: content by name; a name may lead into a subfolder.

    Raises:
        OSError: it cannot be written.
    """
    beside, former = _beside(path), aside(path)
    try:
        beside.mkdir(parents=True)
        for name, content in files.items():
            (beside / name).parent.mkdir(exist_ok=True)
            write_atomically(beside / name, content)
        if path.exists():
            shutil.rmtree(former, ignore_errors=True)  # half of it, where a process was killed while it removed it
            path.rename(former)
        beside.rename(path)
        _sync_names(path.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(former, ignore_errors=True)


def aside(path: Path) -> Path:
    """Where a folder lies while another takes its place."""
    return path.with_name(f".{path.name}.old.tmp") if path.name else path


@contextmanager
def filled_folder(folder: Path, asked: str) -> Iterator[None]:
    """A new or empty folder to fill, or one that a stopped process with the same task left half filled.

    Half-filled folders hold a mark, which names the task. It is removed once the block ends without an error, or where
    nothing was written.

    Args:
        asked: what the files depend on: another task is refused.

    Raises:
        OutputError: it holds something else, or cannot be made.
    """
    mark, asked = folder / _UNFINISHED, hashlib.sha256(os.fsencode(asked)).hexdigest()
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        if any(folder.iterdir()) and not (mark.is_file() and mark.read_bytes() == asked.encode()):
            raise _not_empty(folder)
        write_atomically(mark, asked)
    finished = False
    try:
        yield
        finished = True
    finally:
        if finished or [*folder.iterdir()] == [mark]:
            mark.unlink(missing_ok=True)


def fill_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files`, by name, into a folder that is new or empty, or holds some of them already.

    Raises:
        OutputError: it holds something else.
        OSError: it cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    there = {one.name: one for one in folder.iterdir()}
    if any(name not in files or not _holds(one, files[name]) for name, one in there.items()):
        raise _not_empty(folder)
    for name in files.keys() - there.keys():
        write_atomically(folder / name, files[name])


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content


def _not_empty(folder: Path) -> OutputError:
    return OutputError(f"{folder} is not empty", "Choose a new folder; nothing was overwritten.")


def is_temporary(path: Path) -> bool:
    """Whether its name is one of those that a killed process leaves behind."""
    return _TEMPORARY.fullmatch(path.name) is not None


@contextmanager
def regular_file(path: Path, most: int) -> Iterator[BinaryIO]:
    """A file's bytes, where it is one: a pipe would be waited for, and a device has no end.

    Args:
        most: bytes that it may have.

    Raises:
        OSError: it is no regular file, has more, or cannot be opened.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is a folder, a pipe or a device, not a file", str(path))
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"it has {found.st_size:,} bytes; at most {most:,} are read", str(path))
    with path.open("rb") as stream:
        yield stream


def sync(stream: BinaryIO) -> None:
    """What was written to `stream` is on disk when this returns."""
    stream.flush()
    os.fsync(stream.fileno())


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{writer()}.tmp")


def writer() -> str:
    """16 hexadecimal digits for the name of what this process writes: by which machine and process, and chance."""
    return f"{_machine()}{os.getpid() % 16**6:06x}{uuid.uuid4().hex[:6]}"


def is_gone(writer: str) -> bool:
    """Whether it was a process of this machine that lives no more."""
    if os.name != "posix":  # elsewhere nobody can be asked whether a process lives without harm
        return False
    return writer[:4] == _machine() and not _lives(int(writer[4:10], 16))


@cache
def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:4]


@cache
def _sweep(folder: Path) -> None:
    """Remove, once in this process, what others of this machine left when they were killed while they wrote there."""
    for left in folder.glob(".*.tmp"):
        found = _TEMPORARY.fullmatch(left.name)
        if found and found["writer"] and is_gone(found["writer"]):
            with suppress(OSError):  # a folder, or gone by now
                left.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _sync_names(folder: Path) -> None:
    """What a folder's files are called is on disk as well, where the platform opens folders."""
    if hasattr(os, "O_DIRECTORY"):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
