"""The run folder: claimed by one process, for one command, and never anybody else's.

RUN/run.json        the command, its options and the lock that the folder belongs to
RUN/result.json     the result, once there is one
RUN/bundle/         what is handed over
RUN/predictions/    what was said of each sample (report/predictions.py)
RUN/report.html     the page for people, made of the others
RUN/search/         the journal of a cure's search
RUN/tensorboard/    the history of each training, with --log tensorboard (trackers.py)
RUN/.lock           held while a process works here
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import tagfit
from tagfit.errors import BundleError, OutputError, TagfitError
from tagfit.io.strict_json import read_json
from tagfit.recipes import Recipe

#: version of the layout of result.json
SCHEMA = 1

#: endings of what is being written, and of a folder that is being replaced
TEMPORARY, ASIDE = ".tmp", ".old.tmp"

CHECKPOINTS, SEARCH, PREDICTIONS, REPORT = "checkpoints", "search", "predictions", "report.html"
TENSORBOARD = "tensorboard"


@dataclass(frozen=True)
class CheckpointFile:
    """The checkpoint of one training (a `training.checkpoint.CheckpointStore`)."""

    path: Path

    def load(self) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None

    def save(self, content: bytes) -> None:
        """Replace it, whole or not at all.

        Raises:
            OutputError: the disk is full or gone; the last checkpoint is still there.
        """
        with writable(self.path):
            self.path.parent.mkdir(exist_ok=True)
            write_atomically(self.path, content)


@dataclass(frozen=True)
class RunFolder:
    """A folder that this process may write to."""

    path: Path

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    @property
    def journal(self) -> Path:
        """Where a search keeps what it has asked for and was told."""
        path = self.path / SEARCH / "journal.log"
        path.parent.mkdir(exist_ok=True)
        return path

    def checkpoint(self, recipe: Recipe, repeat: int = 0, fold: int = 0) -> CheckpointFile:
        """Where one training by this version is kept until the whole command is done.

        Args:
            repeat: which of several trainings of the recipe, each with a seed of its own.
        """
        values = {**recipe.to_dict(), "name": None}
        name = json.dumps([tagfit.__version__, values, repeat, fold], sort_keys=True)
        digest = hashlib.sha256(name.encode()).hexdigest()
        return CheckpointFile(self.path / CHECKPOINTS / f"{digest[:16]}.safetensors")

    def forget_checkpoints(self) -> None:
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    def check_room(self, needed: int) -> None:
        """Before hours of work, rather than after them.

        Raises:
            OutputError: fewer than `needed` bytes are free.
        """
        with writable(self.path):
            free = shutil.disk_usage(self.path).free
        if free < needed:
            raise OutputError(
                f"{self.path}: expected {needed / 1e6:,.0f} MB of free space for checkpoints and the bundle; "
                f"got {free / 1e6:,.0f} MB",
                "Make room, or choose another folder with -o.",
            )

    def finished_result(self) -> dict[str, Any] | None:
        """The result of a finished run, or None where there is none yet."""
        result = self.path / "result.json"
        if not result.exists():
            return None
        values = read_json(result)
        return values if values.get("state") == "finished" else None

    def write_predictions(self, files: Mapping[str, bytes]) -> None:
        write_folder(self.path / PREDICTIONS, files)

    def write_result(self, result: Mapping[str, Any]) -> None:
        write_atomically(self.path / "result.json", json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False))


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Whatever the operating system refuses within is an OutputError."""
    try:
        yield
    except Timeout:
        raise  # the lock is somebody's: another matter
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written to: {error.strerror}", "Choose another folder with -o."
        ) from error


@contextmanager
def claim(path: Path, command: Mapping[str, Any]) -> Iterator[RunFolder]:
    """Hold `path` for `command`, creating it where needed.

    Args:
        command: what identifies the run: its name, options and lock, as JSON can hold it.

    Raises:
        OutputError: not writable, in use by another process, somebody else's files, or another command's run.
    """
    with writable(path):
        path.mkdir(parents=True, exist_ok=True)
        known = {".lock", TENSORBOARD}
        strangers = [entry.name for entry in path.iterdir() if entry.name not in known and not _is_ours(entry)]
    if strangers and "run.json" not in strangers:
        raise OutputError(
            f"{path}: expected an empty or new folder, or an earlier run; it holds {', '.join(sorted(strangers)[:3])}",
            "Choose another folder with -o; nothing in this one was touched.",
        )
    lock = FileLock(path / ".lock", timeout=0)
    try:
        with writable(path):
            lock.acquire()
    except Timeout:
        raise OutputError(f"{path}: another process is working in this folder", "Wait for it, or choose -o.") from None
    try:
        with writable(path):
            _sweep(path)
            _same_command(path / "run.json", json.loads(json.dumps(command)))
        with _nothing_left(path):
            yield RunFolder(path)
    finally:
        lock.release()


@contextmanager
def _nothing_left(path: Path) -> Iterator[None]:
    """Where a job fails before it has a result or a checkpoint, the folder is free for other options."""
    try:
        yield
    except TagfitError:
        kept = path / CHECKPOINTS
        if not (path / "result.json").exists() and not any(kept.rglob("*.safetensors")):
            shutil.rmtree(kept, ignore_errors=True)  # what Ray Train puts there before it has a checkpoint
            (path / "run.json").unlink(missing_ok=True)
        raise


def _is_ours(entry: Path) -> bool:
    """Whether it is something half-written that a killed process of ours left behind."""
    return entry.name.startswith(".") and entry.name.endswith(TEMPORARY)


def _sweep(path: Path) -> None:
    """Remove what a killed process left; a bundle that was put aside and never replaced comes back."""
    bundle = path / "bundle"
    aside = _aside(bundle)
    if aside.is_dir() and not bundle.exists():
        aside.rename(bundle)
    inside = path / CHECKPOINTS
    for entry in [*path.iterdir(), *(inside.iterdir() if inside.is_dir() else ())]:
        if _is_ours(entry):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


#: what of a command's record no option is called like
_IN_WORDS = {"until_met": "whether a met target ends it, as it does without --trials and --minutes"}


def _same_command(record: Path, command: dict[str, Any]) -> None:
    if not record.exists():
        write_atomically(record, json.dumps(command, indent=1, ensure_ascii=False))
        return
    earlier = read_json(record)
    then, now = flat(earlier), flat(command)
    changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if changed:
        faults = [
            f"{_IN_WORDS.get(name, name)}: {_short(then.get(name))} then, {_short(now.get(name))} now"
            for name in changed
        ]
        raise OutputError(
            [f"{record.parent} belongs to a run with other data or options; {fault}" for fault in faults],
            "Choose another folder with -o.",
        )


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, with dotted names, so that a difference can be pointed at."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


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

    Where a process was killed while it replaced the bundle, it is the one that was put aside.

    Raises:
        BundleError: neither.
    """
    inside = path / "bundle"
    for folder in (path, inside, _aside(path), _aside(inside)):
        if (folder / "manifest.json").is_file():
            return folder
    what = "no such folder" if not path.exists() else "expected a bundle (manifest.json in it) or a run folder"
    raise BundleError(f"{path}: {what}", "Give what `tagfit fit` or `tagfit cure` wrote (its -o folder).")


def read_result(path: Path) -> dict[str, Any]:
    """The result of the run folder `path`, of its bundle, or of its result.json.

    Raises:
        BundleError: there is none, or it cannot be read.
    """
    folder = path.resolve().parent if (path / "manifest.json").is_file() else path
    result = folder / "result.json" if folder.is_dir() else folder
    if not result.is_file():
        raise BundleError(
            f"{path}: expected a run folder with a result.json in it",
            "Give the -o folder of `tagfit fit` or `tagfit cure`.",
        )
    values = read_json(result)
    if values.get("schema") != SCHEMA:
        raise BundleError(f"{result}: expected a result of schema {SCHEMA}; got {values.get('schema')!r}")
    return values


def read_predictions(run: Path) -> dict[str, bytes]:
    """The files of the run folder's predictions, by name; none where it is of an older version, or has lost them.

    Raises:
        BundleError: they cannot be read.
    """
    folder = run / PREDICTIONS
    files = sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []
    try:
        return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
    except OSError as error:
        raise BundleError(f"{folder}: cannot be read: {error.strerror}") from error


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write beside, sync, swap: after a kill at any moment the old folder or the new one is there or brought back."""
    beside, aside = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}"), _aside(path)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name, content in files.items():
        (beside / name).parent.mkdir(exist_ok=True)
        write_atomically(beside / name, content)
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)  # half of it, where a process was killed while it removed it
        path.rename(aside)
    beside.rename(path)
    _sync_names(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _aside(path: Path) -> Path:
    """Where a folder lies while another takes its place."""
    return path.with_name(f".{path.name}{ASIDE}") if path.name else path


def _sync_names(folder: Path) -> None:
    """What a folder's files are called is on the disk as well, where the platform opens folders."""
    if hasattr(os, "O_DIRECTORY"):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside, sync, rename: a kill at any moment leaves the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        with beside.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_names(path.parent)
    except OSError:
        beside.unlink(missing_ok=True)  # a full disk has no room for half a file
        raise


def write_new(path: Path, content: bytes) -> None:
    """Write a file that appears when it is whole, and only where there is none.

    Raises:
        OutputError: the place cannot be written to.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)  # fails where a file has come into being meanwhile, which replacing would not
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
