"""Read the labels at a path, whatever kind of file they are in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tagfit.data.sources.arrays import array_table, blocks_of, names_in
from tagfit.data.sources.conventions import Conventions, MinusOne
from tagfit.data.sources.delimited import read_delimited
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.files import Root
from tagfit.data.sources.folder import Source, find_source
from tagfit.data.sources.jsonl import read_jsonl
from tagfit.data.sources.mulan import MultiLabelArff, read_mulan
from tagfit.data.sources.npz import read_npz
from tagfit.data.sources.picture_table import picture_table
from tagfit.data.sources.table import join
from tagfit.records import LabelTable


def read(
    data: str | Path,
    *,
    images: str | Path | None = None,
    label_separator: str | None = None,
    minus_one: MinusOne | None = None,
) -> LabelTable:
    """Read label files; what they are is told by their content.

    A folder stands for the one label file in it, or for the train, val and test parts of one split (`train.csv`,
    `val.csv`). Nothing in it is written to, and pictures are looked for but not opened.

    Args:
        data: a folder, or a label file: delimited text, JSON lines, ARFF (Mulan, MEKA), or arrays in .npz.
        images: where the paths of pictures start; by default the folder of the label file.
        label_separator: what stands between the labels of one cell; by default the one of `;` `,` `|` that occurs.
        minus_one: what -1 means in a label matrix; by default unknown beside 0, and refused without any 0.

    Returns:
        N samples: picture files, (N, D) float32 features or (N, H, W, 3) uint8 pictures; (N, L) int8 labels.

    Raises:
        DataError: with every fault that was found.
    """
    conventions = Conventions(label_separator, minus_one)
    source = find_source(Path(data))
    root = None if images is None else Path(images)
    if source.kind in ("delimited", "jsonl"):
        table = _pictures(source, root or source.folder, conventions)
    else:
        faults = Faults()
        if root is not None:
            faults.add(f"{source.name}: a folder of pictures was given, but the samples are arrays.", "Leave it out.")
        conventions.refuse_separator(source.name, faults)
        table = (_npz if source.kind == "npz" else _arff)(source, conventions, faults)
    return replace(table, name=source.name, notes=source.notes + table.notes)


def _pictures(source: Source, folder: Path, conventions: Conventions) -> LabelTable:
    faults = Faults()
    read_table = read_jsonl if source.kind == "jsonl" else read_delimited
    tables = [(read_table(path, faults), part) for path, part in source.files]
    if len(tables) == 1:
        return picture_table(tables[0][0], source.name, Root(folder), conventions, faults)
    table = join([(table, part) for table, part in tables if part is not None], faults)
    return picture_table(table, source.name, Root(folder), conventions, faults)


def _arff(source: Source, conventions: Conventions, faults: Faults) -> LabelTable:
    read_parts = [read_mulan(path, part, faults) for path, part in source.files]
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
    for path, part in source.files:
        arrays, others = read_npz(path, faults)
        notes += [f"Arrays of {path.name} that are not read: {', '.join(others)}."] if others else []
        faults.check()  # an array that could not be loaded would look like one that is not there
        names[path.name] = names_in(arrays.pop("label_names", None), path.name, faults)
        found = blocks_of(arrays, path.name, faults, others)
        if part is not None and any(block.part is not None for block in found):
            faults.add(f"{path.name}: is the {part} part by its name, and holds parts of a split itself.")
        in_file = f"{path.name}: " if part is not None else ""
        blocks += [replace(b, part=part or b.part, x_name=in_file + b.x_name, y_name=in_file + b.y_name) for b in found]
    if len(set(names.values())) > 1:
        faults.add(f"{' and '.join(names)} have different label_names.", "Give all of them the same, or none.")
    if not blocks:
        faults.check()
    label_names = next(iter(names.values()))
    table = array_table(blocks, source.name, names=label_names, conventions=conventions, faults=faults)
    return replace(table, notes=(*notes, *table.notes))
