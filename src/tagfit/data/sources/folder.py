"""The label file of a folder, or the files of the parts of one split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tagfit.data.sources.columns import IMAGE_NAMES, pick
from tagfit.data.sources.delimited import find_delimiter, header_cells
from tagfit.data.sources.faults import shortened
from tagfit.data.sources.keywords import TODO, images_below
from tagfit.data.sources.kind import TABLES, Kind, kind_of
from tagfit.data.sources.layout import home
from tagfit.data.sources.parts import part_in_stem
from tagfit.data.sources.text import read_text
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES
from tagfit.records.data import Part

LABEL_SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".arff", ".npz")

#: names of label files that do not tell one data set from another: there the folder names it
_COMMON_STEMS = {"", "labels", "label", "tags", "metadata", "annotations", "_annotations.coco", "instances", "data"}


@dataclass(frozen=True)
class LabelFile:
    """One label file.

    Attributes:
        kind: what it is.
        part: of which part of a split it is by its name or its folder's; a lone file is of none.
        inner: its path in the folder of the data, which is what messages call it.
    """

    path: Path
    kind: Kind
    part: Part | None
    inner: Path

    @property
    def name(self) -> str:
        return self.inner.as_posix()


@dataclass(frozen=True)
class Source:
    """What is read as one data set.

    Attributes:
        files: the label files; none where the images of the folder hold their labels themselves.
        kind: what all of them are; of tables of several kinds, what the first one is.
        folder: the folder of the data, where paths start.
        name: short name of the data.
        left_out: files and folders that look as if they belonged to it.
    """

    files: tuple[LabelFile, ...]
    kind: Kind
    folder: Path
    name: str
    left_out: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        told = ", ".join(f"{file.name} ({file.part})" for file in self.files)
        parts = (f"The label files are read as the parts of one split: {told}.",) if len(self.files) > 1 else ()
        return (*parts, f"Not read: {', '.join(self.left_out)}.") if self.left_out else parts


def find_source(data: Path) -> Source:
    """The source at a path: the file itself, or what a folder holds.

    In a folder that is its label file, or those of the parts of one split: `train.csv` and `val.csv`, else
    `train/metadata.jsonl` and `validation/metadata.csv`, else those of COCO in `annotations/`. Where there is none,
    the images themselves are asked for keywords.

    Raises:
        DataError: nothing there, nothing to read in the folder, or several label files that are not parts of one split.
    """
    _check_exists(data)
    if not data.is_dir():
        kind = kind_of(data)
        folder = home(data.parent) if kind == "coco" else data.parent
        inner = Path(data.name) if folder == data.parent else Path(data.resolve().parent.name, data.name)
        return Source((LabelFile(data, kind, None, inner),), kind, folder, _name(data, folder))
    if candidates := _candidates(data):
        return _one_source(data, candidates)
    folders = _split_folders(data)
    if any(files and part_in_stem(folder.name)[1] == "train" for folder, files in folders.items()):
        return _source_of_folders(data, folders)
    annotations = data / "annotations"
    if annotations.is_dir() and (
        found := [path for path in _candidates(annotations) if path.suffix.lower() == ".json"]
    ):
        return _one_source(annotations, found)
    if next(images_below(data), None) is None:
        raise DataError(_nothing_found(data), TODO)
    return Source((), "keywords", data, data.resolve().name)


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


def _name(file: Path, folder: Path) -> str:
    base = part_in_stem(file.stem)[0]
    is_common = base.lower().rstrip("0123456789-_. ") in _COMMON_STEMS
    return folder.resolve().name if is_common else base


def _candidates(folder: Path) -> list[Path]:
    named = [path for path in _listed(folder) if path.suffix.lower() in LABEL_SUFFIXES]
    return [path for path in named if path.is_file() and _is_meant(path)]


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name[0] != ".")
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}.") from error


def _is_meant(path: Path) -> bool:
    """Whether a file is a label file by more than its suffix, where that says little: a .txt may be a readme."""
    suffix = path.suffix.lower()
    if suffix not in (".txt", ".json"):
        return True
    try:
        kind = kind_of(path)
        if suffix == ".json":
            return kind == "coco"
        if kind != "delimited":
            return True
        text = read_text(path)
    except DataError:
        return False
    return pick(header_cells(text, find_delimiter(text)), IMAGE_NAMES) is not None


def _nothing_found(folder: Path) -> str:
    inside = _listed(folder)
    images = sum(path.suffix.lower() in IMAGE_SUFFIXES for path in inside)
    folders = sum(path.is_dir() for path in inside)
    return (
        f"{folder}: expected a label file ({', '.join(LABEL_SUFFIXES)}), or images with keywords (XMP or IPTC); "
        f"got {images} images, {folders} folders and {len(inside) - images - folders} other files."
    )


# --------------------------------------------------------------------------------------------- one split


def _one_source(folder: Path, candidates: Sequence[Path]) -> Source:
    """One label file, or those of the parts of one split by their names."""
    candidates, left_out = _instances(candidates)
    kind = kind_of(candidates[0])
    base = home(folder) if kind == "coco" else folder
    inner = Path() if base == folder else Path(folder.resolve().name)
    name = base.resolve().name
    if len(candidates) == 1:
        only = LabelFile(candidates[0], kind, None, inner / candidates[0].name)
        return Source((only,), kind, base, name, left_out)
    stems = [part_in_stem(path.stem) for path in candidates]
    files = [
        LabelFile(path, kind_of(path), part, inner / path.name)
        for path, (_, part) in zip(candidates, stems, strict=True)
    ]
    if len({base for base, _ in stems}) > 1 or not _is_split(files) or len({file.kind for file in files}) > 1:
        raise DataError(
            f"{folder}: expected one label file, or the train, val and test parts of one split; "
            f"got {', '.join(path.name for path in candidates)}.",
            "Name the label file itself; images are then still looked for in its folder.",
        )
    return Source(tuple(files), kind, base, name, left_out)


def _is_split(files: Sequence[LabelFile]) -> bool:
    parts = [file.part for file in files]
    is_one_kind = len({file.kind for file in files}) == 1 or {file.kind for file in files} <= TABLES
    return is_one_kind and None not in parts and len(set(parts)) == len(parts) and "train" in parts


def _instances(candidates: Sequence[Path]) -> tuple[Sequence[Path], tuple[str, ...]]:
    """COCO's instances without what it puts beside them: captions, keypoints; and the names of these."""
    if any(path.suffix.lower() != ".json" for path in candidates):
        return candidates, ()
    kept = [path for path in candidates if path.stem.lower().startswith("instances")] or candidates
    return kept, tuple(path.name for path in candidates if path not in kept)


def _split_folders(data: Path) -> dict[Path, list[Path]]:
    """The label files of each folder that is called as the part of a split."""
    folders = [path for path in _listed(data) if path.is_dir() and part_in_stem(path.name)[1] is not None]
    return {folder: _candidates(folder) for folder in folders}


def _source_of_folders(data: Path, folders: dict[Path, list[Path]]) -> Source:
    """The label files of the parts of one split by the folders that they lie in, one each."""
    found = [path for paths in folders.values() for path in paths]
    files = [
        LabelFile(path, kind_of(path), part_in_stem(folder.name)[1], path.relative_to(data))
        for folder, paths in folders.items()
        for path in paths
    ]
    if len({part_in_stem(path.parent.name)[0] for path in found}) > 1 or not _is_split(files):
        raise DataError(
            f"{data}: expected one label file in each of the folders train, val and test; "
            f"got {', '.join(file.name for file in files)}.",
            "Name the label file itself; images are then looked for in its folder.",
        )
    left_out = tuple(f"{folder.name}/, which has no label file" for folder, paths in folders.items() if not paths)
    return Source(tuple(files), files[0].kind, data, data.resolve().name, left_out)
