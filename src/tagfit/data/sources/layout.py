"""Where the images of a label file lie, in the layouts that people have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path, PureWindowsPath

from tagfit.data.sources.columns import IMAGE_NAMES, pick
from tagfit.data.sources.kind import Kind
from tagfit.data.sources.table import Table

#: names of an image column that are looked for before a folder is chosen
_LOOKED_FOR = 50


def home(folder: Path) -> Path:
    """The folder that a COCO file in `folder` is about: the parent of `annotations`, else `folder`."""
    real = Path(os.path.realpath(folder))
    return real.parent if real.name.lower() == "annotations" else folder


def with_folder(table: Table, kind: Kind, inner: Path, root: Path) -> Table:
    """The table with its image paths written from `root`.

    Paths start where the label file is, `inner`, which is relative to the folder of the data. Under another root
    (`--images`) they may also start at its top. Those of a COCO file, e.g. `annotations/instances_train2017.json`,
    may start in `train2017/`, `images/train2017/` or `images/` too: where most of the first of them are found.
    """
    column = pick(table.columns, IMAGE_NAMES)
    if column is None:
        return table
    names = ["" if cell is None else str(cell).strip() for cell in table.columns[column]]
    folders = [inner.parent.as_posix(), "."]
    if kind == "coco":
        of_file = inner.stem.removeprefix("instances_")
        folders += [of_file, f"images/{of_file}", "images", f"{inner.parent.as_posix()}/images"]
    elif (root / inner).is_file():
        folders = folders[:1]
    counts = [_count(names, root / folder) for folder in folders] if len(folders) > 1 else [1]
    folder = folders[counts.index(max(counts))] if max(counts) else "."
    if folder == ".":
        return table
    written = [name if not name or PureWindowsPath(name).anchor else f"{folder}/{name}" for name in names]
    return replace(table, columns={**table.columns, column: written})


def _count(names: Sequence[str], folder: Path) -> int:
    """How many of the first names are files of a folder."""
    relative = (name.replace("\\", "/") for name in names if not PureWindowsPath(name).anchor)
    return sum(_is_file(folder / name) for name in islice(relative, _LOOKED_FOR))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False
