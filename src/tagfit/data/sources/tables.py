"""Tables of columns, one row an image: CSV and its relatives, JSON lines, frames; read into `Rows`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from tagfit.data.sources.binary import binary_labels
from tagfit.data.sources.cells import cell_code
from tagfit.data.sources.class_names import with_class_names
from tagfit.data.sources.columns import IMAGE_NAMES, Column
from tagfit.data.sources.delimited import OWN, names_image, read_delimited, table_of
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.files import Root
from tagfit.data.sources.jsonl import names_images, read_json
from tagfit.data.sources.listed import LabelCells, listed_labels
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.parts import part_in_stem
from tagfit.data.sources.reader import LabelFile, Reader, Source
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.roles import Roles, image_column, roles
from tagfit.data.sources.rows import Labels, Rows
from tagfit.data.sources.strangers import what_is
from tagfit.data.sources.table import Table, join
from tagfit.errors import DataError
from tagfit.records.data import NO, UNKNOWN, YES, Part


def read_tables(source: Source, reading: Reading, faults: Faults) -> Rows:
    """Read the files of a source, which are the parts of one split if they are several."""
    tables = [
        replace(_read_one(source, file, reading, faults), bases=file.base, hints=file.hint) for file in source.files
    ]
    parts = [(table, file.part) for table, file in zip(tables, source.files, strict=True) if file.part is not None]
    table = join(parts, faults) if len(tables) > 1 else tables[0]
    return with_class_names(rows_of_table(table, source.root, reading, faults), source, reading, faults)


def _read_one(source: Source, file: LabelFile, reading: Reading, faults: Faults) -> Table:
    if source.listing.head(file.name).text.lstrip()[:1] in ("{", "["):
        return read_json(file.path, file.name, faults)
    return read_delimited(file.path, file.name, reading, faults)


def rows_of_table(table: Table, root: Root | None, reading: Reading, faults: Faults) -> Rows:
    """Give each column its role, and read labels and split.

    Args:
        root: where images are looked for; None where the table names none, as its samples lie elsewhere.

    Raises:
        DataError: no column of images, or no rows.
    """
    table = _without_own(table)
    table = table if root is None else _without_total(table)
    if not len(table) and table.columns and not len(faults):
        faults.add(f"{table.source}: there are no rows.", "Expected one row for each image.")
        faults.check()
    if root is not None and names_image(tuple(table.columns)) and not table.is_headless:
        _refuse_headless(table, faults)
    role = roles(table, root, reading, faults)
    if root is not None and table.columns and role.image is None:
        _refuse_header(table, faults)
    if (role.image is None and root is not None) or not len(table) or not role.labels:
        faults.check()
    labels = _labels(table, role, reading, faults)
    images = table.where if role.image is None else list(map(_as_name, table.columns[role.image]))
    unlabelled = _unlabelled_parts(table, role, faults)
    merges = _is_long(table, images, labels, role, faults)
    labels = _with_values(table, labels, role, faults) if merges else labels
    return Rows(
        table.source,
        images,
        table.where,
        labels,
        table.bases,
        role.split,
        table.hints,
        {name: table.columns[name] for name in role.others},
        unlabelled_parts=unlabelled,
        merges=merges,
        reading=(*table.reading, *role.reading, *_split_line(role)),
        notes=_second_image_note(table, role),
    )


def _unlabelled_parts(table: Table, role: Roles, faults: Faults) -> tuple[Part, ...]:
    """The parts whose file has no column of labels, as the `test.csv` of a competition has none."""
    for part, columns in table.lacking.items():
        some = [name for name in role.labels if name in columns]
        if 0 < len(some) < len(role.labels):
            faults.add(
                f"{table.source}: the {part} part has no column {', '.join(map(repr, some))}.",
                "Give the parts of a split the same columns of labels, or name a single label file.",
            )
    return tuple(part for part, columns in table.lacking.items() if columns >= set(role.labels))


def _as_name(cell: object) -> str:
    return "" if cell is None or cell != cell else str(cell).strip()


# -------------------------------------------------------------------------------------------------- labels


def _labels(table: Table, role: Roles, reading: Reading, faults: Faults) -> Labels:
    if role.are_flags:
        reading.refuse({"label_separator", "none_is"}, table.source, faults)
        if not table.is_headless:
            reading.refuse({"label_names"}, table.source, faults)
        elif reading.names is not None and len(reading.names) != len(role.labels):
            faults.add(
                f"{table.source}: {len(reading.names)} label names were given for {len(role.labels)} columns of "
                f"yes and no.",
                "Give one name a column (label_names).",
            )
            faults.check()
        return binary_labels(table, role.labels, reading, faults)
    source = table.source if table.label_names else f"{table.source}: column {', '.join(map(repr, role.labels))}"
    columns = [table.columns[name] for name in role.labels]
    if len(columns) == 1:
        return listed_labels(LabelCells(columns[0], table.where, source, table.label_names), reading, faults)
    return _of_series(columns, LabelCells((), table.where, source), reading, faults)


def _of_series(columns: Sequence[Sequence[object]], column: LabelCells, reading: Reading, faults: Faults) -> Labels:
    """The labels of several columns that each hold some: `tag`, `tag2`, `tag3`."""
    cells = [cell for column_cells in columns for cell in column_cells]
    where = [place for _ in columns for place in column.where]
    labels = listed_labels(replace(column, cells=cells, where=where), reading, faults)
    n = len(column.where)
    codes_NL = labels.codes_NL.reshape(len(columns), n, -1).max(axis=0)
    return replace(labels, codes_NL=codes_NL, blank_N=np.all(labels.blank_N.reshape(len(columns), n), axis=0))


def _is_long(table: Table, images: Sequence[str], labels: Labels, role: Roles, faults: Faults) -> bool:
    """Whether each row gives one label, so that the rows of an image belong together."""
    is_single = not role.are_flags and int((labels.codes_NL == YES).sum(axis=1).max(initial=0)) <= 1
    if not is_single or len(set(images)) == len(images) or labels.absent != NO:
        return False
    people = [name for name in role.others if Column(name, ()).words & {"annotator", "worker", "rater", "user"}]
    for name in people:
        pairs = {(image, cell) for image, cell in zip(images, map(_as_name, table.columns[name]), strict=True) if cell}
        if len({image for image, _ in pairs}) < len(pairs):
            faults.add(
                f"{table.head}: several people labelled the same images (column {name!r}), and may not agree.",
                "Keep the rows of one of them, or those that most agree on.",
            )
    return True


#: names of a column that says of each row whether its label applies, or how surely
_VALUE = {"value", "present", "presence", "confidence", "conf", "score", "probability", "prob", "positive", "answer"}


def _with_values(table: Table, labels: Labels, role: Roles, faults: Faults) -> Labels:
    """Labels whose rows say yes or no of them, as verified ones do: what no row names is unknown then."""
    for name in role.others:
        column = Column(name, table.columns[name])
        if not column.words & _VALUE or column.is_empty:
            continue
        if column.flags is None:
            faults.add(
                f"{table.head}: each row gives a label, and column {name!r} {column.described}: it is not clear "
                "which numbers mean that the label applies.",
                "Keep the rows whose labels apply, without that column; or write 1 and 0 into it.",
            )
        elif NO in column.flags.codes:
            named_NL = labels.codes_NL == YES
            values_N1 = np.array([UNKNOWN if code is None else code for code in column.flags.codes], np.int8)[:, None]
            return replace(labels, codes_NL=np.where(named_NL, values_N1, np.int8(UNKNOWN)), absent=UNKNOWN)
    return labels


def _split_line(role: Roles) -> tuple[str, ...]:
    folds = [name for name in role.others if Column(name, ()).words & {"fold", "folds", "kfold"}]
    return tuple(f"Column {name!r} numbers folds, which are not a split: it is kept as metadata." for name in folds)


# ------------------------------------------------------------------------------------- predict's own rows


def _without_own(table: Table) -> Table:
    """Of rows that `tagfit predict` wrote, the samples and their labels, also corrected by hand.

    Rows without labels say that the sample has none of them; rows with an error were not predicted, and are left out.
    """
    if not set(OWN) <= set(table.columns) <= {*OWN, "scores"}:
        return table
    kept = table.only([row for row, error in enumerate(table.columns["error"]) if not error])
    labels: list[object] = [cell or [] for cell in kept.columns["labels"]]
    line = f"The file was written by tagfit predict: {len(table) - len(kept)} rows with an error are left out."
    columns = {"sample": kept.columns["sample"], "labels": labels}
    return replace(kept, columns=columns, reading=(*table.reading, line))


#: what people write in front of a row that counts the rows above
_TOTAL = {"total", "totals", "sum", "count", "summe", "gesamt", "anzahl", "somme", "suma", "totale"}


def _without_total(table: Table) -> Table:
    """The table without a last row of totals: numbers, and a word for it or nothing in front."""
    cells = [column[-1] for column in table.columns.values() if len(column)]
    texts = [_as_name(cell) for cell in cells if isinstance(cell, str | int | float | None)]
    words = [text for text in texts if text and not _is_number(text)]
    is_total = len(words) == 1 and words[0].lower().rstrip(":. ") in _TOTAL
    is_bare = not words and texts[:1] == [""] and any(number not in ("0", "1") for number in filter(None, texts))
    if len(table) < 2 or not any(map(_is_number, texts)) or not (is_total or is_bare):
        return table
    if not is_total and not all(map(_as_name, next(iter(table.columns.values()))[:-1])):
        return table  # the first column names no images: it is blank elsewhere too
    line = f"The last row, {table.where[-1]}, looks like totals and is left out."
    return replace(table.only(range(len(table) - 1)), reading=(*table.reading, line))


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\d+([.,]\d+)?%?", cell) is not None


# -------------------------------------------------------------------------------------------- what is missing


def _refuse_headless(table: Table, faults: Faults) -> None:
    faults.add(
        f"{table.head}: there is no header line; the first line is {', '.join(map(shortened, [*table.columns][:6]))}.",
        "Put a header above it, such as image,labels or image,beach,sea,sunset; or use --header none, and name the "
        "labels: --label-names (in Python: header='none', label_names=[...]).",
    )
    faults.check()


def _refuse_header(table: Table, faults: Faults) -> None:
    names = list(table.columns)
    if len(names) > 1 and all(cell_code(cell) is not None for cell in names[1:]):
        _refuse_headless(table, faults)
    faults.add(
        f"{table.head}: expected a column with the images' paths, called {', '.join(IMAGE_NAMES)}; "
        f"got {', '.join(map(shortened, names[:20]))}.",
        "Say which: --image-column NAME (in Python: image_column). For a table of features, name each column of "
        "labels with --label-column.",
    )


def _second_image_note(table: Table, role: Roles) -> tuple[str, ...]:
    others = [name for name in table.columns if name.lower() in IMAGE_NAMES and name != role.image]
    return (
        (f"Images are read from column {role.image!r}, not from {', '.join(others)}.",) if others and role.image else ()
    )


# ------------------------------------------------------------------------------------------------ the reader


def _recognise(head: Head, listing: Listing) -> bool:
    """A table with a column of images."""
    if head.text.lstrip()[:1] in ("{", "["):
        return _is_json(head)
    if what_is(head)[0] or head.text.lstrip()[:1] in ("<", "") or "\0" in head.text[:1024]:
        return False
    table = first_rows(head)
    if not table.columns:  # it cannot be read, which reading will tell
        return head.suffix in (".csv", ".tsv")
    is_part = part_in_stem(head.path.stem)[1] is not None and Column(next(iter(table.columns)), ()).image_rank < 1000
    root = Root.of(listing.folder, listing)
    return (len(table.columns) > 1 or is_part) and image_column(table, root, Reading()) is not None


def first_rows(head: Head) -> Table:
    """The table of a head of delimited text; without columns if it is none."""
    text = head.text if head.is_whole else head.text[: head.text.rfind("\n")]
    try:
        table = table_of(text, head.name, Reading(label_names=()), Faults())
    except DataError:
        table = Table(head.name, head.name, {}, [])
    return replace(table, bases=head.name.rpartition("/")[0])


def _with_labels(files: Sequence[LabelFile], listing: Listing) -> tuple[tuple[LabelFile, ...], tuple[str, ...]]:
    """Of several tables, those that hold labels; one of widths and heights, or of a split, is no source."""
    kept = tuple(file for file in files if _holds_labels(listing.head(file.name), listing)) or tuple(files)
    return kept, tuple(f"{file.name}, which holds no labels" for file in files if file not in kept)


def is_silent(head: Head, listing: Listing) -> bool:
    """Whether no column of a table is called as one of labels or looks like labels: it groups images, or measures."""
    if head.text.lstrip()[:1] in ("{", "["):
        return False
    columns = [Column(name, cells) for name, cells in first_rows(head).columns.items()]
    looks = (
        not one.is_technical and (one.names_labels or one.lists_labels or one.flags is not None) for one in columns
    )
    return bool(columns) and not any(looks)


def _holds_labels(head: Head, listing: Listing) -> bool:
    if head.text.lstrip()[:1] in ("{", "["):
        return True
    faults = Faults()
    return bool(roles(first_rows(head), Root.of(listing.folder, listing), Reading(), faults).labels)


def _is_json(head: Head) -> bool:
    """JSON lines; or a document that is a list of objects with an image, or a mapping from images."""
    if head.row:
        return head.suffix != ".json" or _names_an_image(head.row) or names_images(head.row)
    if head.text.lstrip().startswith("["):
        rows = head.document if isinstance(head.document, list) else [{}]
        return all(isinstance(row, dict) for row in rows) and _names_an_image(head.keys)
    return names_images(head.keys) or (head.lines[0].startswith('{"') and head.suffix != ".json")


def _names_an_image(keys: Iterable[str]) -> bool:
    return any(Column(key, ()).image_rank <= 100 for key in keys)


TABLE = Reader(
    "table",
    "a table (CSV, TSV or JSON lines)",
    read_tables,
    of_file=_recognise,
    options=frozenset(
        (
            *("image_column", "label_column", "split_column", "label_separator"),
            *("none_is", "header", "label_names", "minus_one"),
        )
    ),
    chosen=_with_labels,
)
