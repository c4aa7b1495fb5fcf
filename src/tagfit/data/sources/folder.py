"""The label file of a folder, or the files of the parts of one split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tagfit.data.sources.columns import IMAGE_NAMES, pick
from tagfit.data.sources.delimited import find_delimiter, header_cells
from tagfit.data.sources.faults import shortened
from tagfit.data.sources.files import PICTURE_SUFFIXES
from tagfit.data.sources.kind import Kind, kind_of
from tagfit.data.sources.parts import part_in_stem
from tagfit.data.sources.text import read_text
from tagfit.errors import DataError
from tagfit.records import Part

LABEL_SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".arff", ".npz")

#: names of label files that do not tell one data set from another: there the folder names it
_COMMON_STEMS = {"", "labels", "label", "tags", "metadata", "annotations", "data"}


@dataclass(frozen=True)
class Source:
    """What is read as one data set.

    Attributes:
        files: each label file, with its part where its name tells one of a split; a lone file has none.
        kind: what all of them are.
        folder: where they lie.
        name: short name of the data.
    """

    files: tuple[tuple[Path, Part | None], ...]
    kind: Kind
    folder: Path
    name: str

    @property
    def notes(self) -> tuple[str, ...]:
        if len(self.files) == 1:
            return ()
        told = ", ".join(f"{path.name} ({part})" for path, part in self.files)
        return (f"The label files are read as the parts of one split: {told}.",)


def find_source(data: Path) -> Source:
    """The source at a path: the file itself, or what a folder holds.

    Raises:
        DataError: nothing there, no label file in the folder, or several that are not the parts of one split.
    """
    _check_exists(data)
    if not data.is_dir():
        return Source(((data, None),), kind_of(data), data.parent, _name(data))
    candidates = _candidates(data)
    if not candidates:
        raise DataError(_nothing_found(data), "Put labels.csv into it, with a header such as image,labels.")
    if len(candidates) == 1:
        return Source(((candidates[0], None),), kind_of(candidates[0]), data, data.resolve().name)
    return _one_split(data, candidates)


def _check_exists(data: Path) -> None:
    complaint = "is neither a file nor a folder."
    try:
        if data.is_file() or data.is_dir():
            return
        if not data.exists():
            complaint = "does not exist."
    except OSError as error:
        raise DataError(f"{shortened(str(data))} cannot be a path: {error.strerror}.") from error
    raise DataError(f"{data}: {complaint}", "Name a folder with a label file in it, or a label file.")


def _name(file: Path) -> str:
    stem = part_in_stem(file.stem)[0]
    return file.resolve().parent.name if stem.lower() in _COMMON_STEMS else stem


def _candidates(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}.") from error
    named = [path for path in inside if path.suffix.lower() in LABEL_SUFFIXES and path.name[0] != "."]
    return [path for path in named if path.is_file() and (path.suffix.lower() != ".txt" or _is_table(path))]


def _is_table(path: Path) -> bool:
    """Whether a .txt file, which may as well be a readme, is a table with a column of pictures."""
    try:
        if kind_of(path) != "delimited":
            return True
        text = read_text(path)
    except DataError:
        return False
    return pick(header_cells(text, find_delimiter(text)), IMAGE_NAMES) is not None


def _nothing_found(folder: Path) -> str:
    inside = [path for path in folder.iterdir() if path.name[0] != "."]
    pictures = sum(path.suffix.lower() in PICTURE_SUFFIXES for path in inside)
    folders = sum(path.is_dir() for path in inside)
    return (
        f"{folder}: expected a label file ({', '.join(LABEL_SUFFIXES)}); "
        f"got {pictures} pictures, {folders} folders and {len(inside) - pictures - folders} other files."
    )


def _one_split(folder: Path, candidates: Sequence[Path]) -> Source:
    stems = [part_in_stem(path.stem) for path in candidates]
    parts = [part for _, part in stems]
    kinds = {kind_of(path) for path in candidates}
    same_data = len(kinds) == 1 and len({base for base, _ in stems}) == 1
    if not same_data or None in parts or len(set(parts)) < len(parts) or "train" not in parts:
        raise DataError(
            f"{folder}: expected one label file, or the train, val and test parts of one split; "
            f"got {', '.join(path.name for path in candidates)}.",
            "Name the label file itself; pictures are then still looked for in its folder.",
        )
    files = tuple(zip(candidates, parts, strict=True))
    return Source(files, kinds.pop(), folder, folder.resolve().name)
