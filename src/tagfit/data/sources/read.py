"""Read the labels at a path, whatever kind of file they are in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tagfit.data.sources.arrays import array_table, blocks_of, names_in
from tagfit.data.sources.coco import read_coco
from tagfit.data.sources.conventions import Conventions, MinusOne
from tagfit.data.sources.delimited import read_delimited
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.files import Root
from tagfit.data.sources.folder import LabelFile, Source, find_source
from tagfit.data.sources.image_table import image_table
from tagfit.data.sources.jsonl import read_jsonl
from tagfit.data.sources.keywords import read_keywords
from tagfit.data.sources.layout import with_folder
from tagfit.data.sources.mulan import MultiLabelArff, read_mulan
from tagfit.data.sources.npz import read_npz
from tagfit.data.sources.table import Table, join
from tagfit.errors import DataError
from tagfit.records.data import LabelTable


def read(
    data: str | Path,
    *,
    images: str | Path | None = None,
    label_separator: str | None = None,
    minus_one: MinusOne | None = None,
) -> LabelTable:
    """Read label files; what they are is told by their content.

    A folder stands for the one label file in it, or for the train, val and test parts of one split (`train.csv`,
    `val.csv`), or for its images with the keywords in them. Nothing in it is written to; images are looked for, and
    opened only for their keywords.

    Args:
        data: a folder, or a label file: delimited text, JSON lines, COCO's instances, ARFF (Mulan,
            MEKA), or arrays in .npz.
        images: where the paths of images start; by default the folder of the label file.
        label_separator: what stands between the labels of one cell; by default the one of `;` `,` `|` that occurs.
        minus_one: what -1 means in a label matrix; by default unknown beside 0, and refused without any 0.

    Returns:
        N samples: image files, (N, D) float32 features or (N, H, W, 3) uint8 images; (N, L) int8 labels.

    Raises:
        DataError: with every fault that was found.
    """
    conventions = Conventions(label_separator, minus_one)
    source = find_source(Path(data))
    root = None if images is None else Path(images)
    if source.kind in _READERS:
        table = _images(source, root or source.folder, conventions)
    elif source.kind == "keywords":
        if root is not None:
            raise DataError(
                f"{source.folder}: has no label file, so its images are those in it.", "Leave out --images."
            )
        table = read_keywords(source.folder, source.name, conventions)
    else:
        faults = Faults()
        if root is not None:
            faults.add(f"{source.name}: a folder of images was given, but the samples are arrays.", "Leave it out.")
        conventions.refuse_separator(source.name, faults)
        table = (_npz if source.kind == "npz" else _arff)(source, conventions, faults)
    return replace(table, name=source.name, notes=source.notes + table.notes)


_READERS = {"delimited": read_delimited, "jsonl": read_jsonl, "coco": read_coco}


def _images(source: Source, folder: Path, conventions: Conventions) -> LabelTable:
    faults = Faults()
    tables = [_with_paths(file, folder, faults) for file in source.files]
    if len(tables) == 1:
        return image_table(tables[0], source.name, Root(folder), conventions, faults)
    if source.kind == "coco":
        tables = [_without_lone_columns(table, tables) for table in tables]
    parts = [(table, file.part) for table, file in zip(tables, source.files, strict=True) if file.part is not None]
    return image_table(join(parts, faults), source.name, Root(folder), conventions, faults)


def _with_paths(file: LabelFile, folder: Path, faults: Faults) -> Table:
    return with_folder(_READERS[file.kind](file.path, file.name, faults), file.kind, file.inner, folder)


def _without_lone_columns(table: Table, tables: Sequence[Table]) -> Table:
    """Without metadata that COCO's other parts do not have."""
    shared = {name: cells for name, cells in table.columns.items() if all(name in other.columns for other in tables)}
    return replace(table, columns=shared)


def _arff(source: Source, conventions: Conventions, faults: Faults) -> LabelTable:
    read_parts = [read_mulan(file.path, file.part, faults) for file in source.files]
    first = read_parts[0]
    for other in read_parts[1:]:
        _compare(first, other, faults)
    faults.check()
    blocks = [read_part.block for read_part in read_parts]
    table = array_table(blocks, source.name, names=first.label_names, conventions=conventions, faults=faults)
    return replace(table, notes=first.notes + table.notes)


def _compare(first: MultiLabelArff, other: MultiLabelArff, faults: Faults) -> None:
    for what in ("label_names", "feature_names"):
        if getattr(first, what) != getattr(other, what):
            faults.add(
                f"{other.block.x_name}: its {what.replace('_', ' ')} are not those of {first.block.x_name}, in order.",
                "Give the parts of a split the same attributes, or name a single label file.",
            )


def _npz(source: Source, conventions: Conventions, faults: Faults) -> LabelTable:
    blocks, names, notes = [], {}, []
    for file in source.files:
        name, part = file.name, file.part
        arrays, others = read_npz(file.path, faults)
        notes += [f"Arrays of {name} that are not read: {', '.join(others)}."] if others else []
        faults.check()  # an array that could not be loaded would look like one that is not there
        names[name] = names_in(arrays.pop("label_names", None), name, faults)
        found = blocks_of(arrays, name, faults, others)
        if part is not None and any(block.part is not None for block in found):
            faults.add(f"{name}: is the {part} part by its name, and holds parts of a split itself.")
        in_file = f"{name}: " if part is not None else ""
        blocks += [replace(b, part=part or b.part, x_name=in_file + b.x_name, y_name=in_file + b.y_name) for b in found]
    if len(set(names.values())) > 1:
        faults.add(f"{' and '.join(names)} have different label_names.", "Give all of them the same, or none.")
    if not blocks:
        faults.check()
    label_names = next(iter(names.values()))
    table = array_table(blocks, source.name, names=label_names, conventions=conventions, faults=faults)
    return replace(table, notes=(*notes, *table.notes))
