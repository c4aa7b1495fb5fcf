"""The run folder: claimed by one process, for one command, and never anybody else's.

RUN/run.json        the command, its options and the lock that the folder belongs to
RUN/result.json     the result, once there is one
RUN/bundle/         what is handed over
RUN/.lock           held while a process works here
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tagfit.errors import BundleError, OutputError


@dataclass(frozen=True)
class RunFolder:
    """A folder that this process may write to."""

    path: Path

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    def finished_result(self) -> dict[str, Any] | None:
        """The result of a finished run, or None where there is none yet."""
        result = self.path / "result.json"
        if not result.exists():
            return None
        values = read_json(result)
        return values if values.get("state") == "finished" else None

    def write_result(self, result: Mapping[str, Any]) -> None:
        write_atomically(self.path / "result.json", json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False))


@contextmanager
def claim(path: Path, command: Mapping[str, Any]) -> Iterator[RunFolder]:
    """Hold `path` for `command`, creating it where needed.

    Args:
        command: what identifies the run: its name, options and lock, as JSON can hold it.

    Raises:
        OutputError: not writable, in use by another process, somebody else's files, or another command's run.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        strangers = [entry.name for entry in path.iterdir() if entry.name != ".lock"]
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written to: {error.strerror}", "Choose another folder with -o."
        ) from error
    if strangers and "run.json" not in strangers:
        raise OutputError(
            f"{path}: expected an empty or new folder, or an earlier run; it holds {', '.join(sorted(strangers)[:3])}",
            "Choose another folder with -o; nothing in this one was touched.",
        )
    lock = FileLock(path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise OutputError(f"{path}: another process is working in this folder", "Wait for it, or choose -o.") from None
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written to: {error.strerror}", "Choose another folder with -o."
        ) from error
    try:
        _same_command(path / "run.json", json.loads(json.dumps(command)))
        yield RunFolder(path)
    finally:
        lock.release()


def _same_command(record: Path, command: dict[str, Any]) -> None:
    if not record.exists():
        write_atomically(record, json.dumps(command, indent=1, ensure_ascii=False))
        return
    earlier = read_json(record)
    changed = [name for name in {**earlier, **command} if earlier.get(name) != command.get(name)]
    if changed:
        faults = [f"{name}: {_short(earlier.get(name))} then, {_short(command.get(name))} now" for name in changed]
        raise OutputError(
            [f"{record.parent} belongs to a run with other data or options; {fault}" for fault in faults],
            "Choose another folder with -o.",
        )


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def free_folder(parent: Path, name: str) -> Path:
    """`parent/name`, or with the first number behind it that is not taken."""
    candidate, number = parent / name, 1
    while candidate.exists():
        number += 1
        candidate = parent / f"{name}-{number}"
    return candidate


def find_bundle(path: Path) -> Path:
    """The bundle at `path`, which may be a bundle or a run folder.

    Raises:
        BundleError: neither.
    """
    for candidate in (path, path / "bundle"):
        if (candidate / "manifest.json").is_file():
            return candidate
    what = "no such folder" if not path.exists() else "expected a bundle (manifest.json in it) or a run folder"
    raise BundleError(f"{path}: {what}", "Give what `tagfit fit` or `tagfit cure` wrote (its -o folder).")


def read_result(path: Path) -> dict[str, Any]:
    """The result of the run folder `path`, or of its result.json.

    Raises:
        BundleError: there is none, or it cannot be read.
    """
    result = path / "result.json" if path.is_dir() else path
    if not result.is_file():
        raise BundleError(f"{path}: expected a run folder with a result.json in it")
    return read_json(result)


def read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: expected JSON; {error}") from error
    if not isinstance(values, dict):
        raise BundleError(f"{path}: expected a JSON object")
    return values


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside, sync, rename: a kill at any moment leaves the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with beside.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
