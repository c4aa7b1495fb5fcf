"""The run folder: claimed by one process, for one command, and never anybody else's.

RUN/run.json        the command, its options and the lock that the folder belongs to
RUN/result.json     the result, once there is one
RUN/bundle/         what is handed over
RUN/samples.safetensors  the samples of the lock (runs/earlier.py)
RUN/predictions/    what was said of each sample (report/predictions.py)
RUN/report.html     the page for people, made of the others
RUN/search/         the journal of a cure's search
RUN/tensorboard/    the history of each training, with --log tensorboard (trackers.py)
RUN/.lock           held while a process works here
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

import tagfit
from tagfit.errors import BundleError, OutputError, TagfitError
from tagfit.io.files import aside, is_temporary, writable, write_atomically, write_folder
from tagfit.io.strict_json import read_json
from tagfit.recipes import Recipe

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

    def write_predictions(self, files: Mapping[str, bytes]) -> None:
        write_folder(self.path / PREDICTIONS, files)


@contextmanager
def claim(path: Path, command: RunCommand) -> Iterator[RunFolder]:
    """Hold `path` for `command`, creating it where needed.

    Args:
        command: what identifies the run: its name, options and lock, as JSON can hold it.

    Raises:
        OutputError: not writable, in use by another process, somebody else's files, or another command's run.
    """
    with writable(path):
        path.mkdir(parents=True, exist_ok=True)
        known = {".lock", TENSORBOARD, aside(path / "bundle").name}
        strangers = [entry.name for entry in path.iterdir() if entry.name not in known and not is_temporary(entry)]
    if strangers and "run.json" not in strangers:
        raise OutputError(
            f"{path}: expected an empty or new folder, or an earlier run; it holds {', '.join(sorted(strangers)[:3])}",
            "Choose another folder with -o; nothing in this one was touched.",
        )
    with _held(path):
        with writable(path):
            _sweep(path)
            _same_command(path / "run.json", json.loads(json.dumps(command)))
        with _nothing_left(path):
            yield RunFolder(path)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    lock = FileLock(path / ".lock", timeout=0)
    with writable(path):
        try:
            lock.acquire()
        except Timeout:
            raise OutputError(
                f"{path}: another process is writing to this folder",
                "Wait until it ends, or choose another folder with -o.",
            ) from None
    try:
        yield
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


def _sweep(path: Path) -> None:
    """Remove what a killed process left; a bundle that was put aside and never replaced comes back."""
    bundle = path / "bundle"
    former = aside(bundle)
    if former.is_dir():
        shutil.rmtree(former) if bundle.exists() else former.rename(bundle)
    inside = path / CHECKPOINTS
    for entry in [*path.iterdir(), *(inside.iterdir() if inside.is_dir() else ())]:
        if is_temporary(entry):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


#: what of a command's record no option is called like
_IN_WORDS = {"until_met": "whether a met target ends it, as it does without --trials and --minutes"}


def _same_command(record: Path, command: RunCommand) -> None:
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
            [f"{record.parent} belongs to a run with other data or options: {fault}" for fault in faults],
            "Choose another folder with -o.",
        )


def flat(values: RunCommand, prefix: str = "") -> dict[str, object]:
    """Nested tables as one, with dotted names, so that a difference can be pointed at."""
    found: dict[str, object] = {}
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


#: what identifies a run: the command, its options and the lock, as run.json holds them
RunCommand = Mapping[str, object]


def read_command(run: Path) -> RunCommand:
    """What run.json holds; nothing where there is none.

    Raises:
        BundleError: it cannot be read.
    """
    return read_json(run / "run.json") if (run / "run.json").is_file() else {}


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
