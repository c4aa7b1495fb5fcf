"""Labels listed by name: one cell a sample holds all of its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tagfit.data.sources.cells import cell_code, settle_minus_one
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.names import alike_note, label_names
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Labels, matrix
from tagfit.records.data import NO, UNKNOWN, YES

SEPARATORS = (";", ",", "|")

_NO_NAME = {"?", "nan"}


@dataclass(frozen=True)
class LabelCells:
    """The labels column: its cells, the place of each, what messages call the whole, and the declared names."""

    cells: Sequence[object]
    where: Sequence[str]
    source: str
    declared: tuple[str, ...] | None = None


def listed_labels(column: LabelCells, reading: Reading, faults: Faults) -> Labels:
    """Read a labels column of text (`beach;sea`), of lists of names, or of mappings from name to 0/1/None.

    Empty text and an empty list mean no labels; empty names (`a;;b`) and repeated ones (`a;a`) are ignored. Label
    names come out sorted, so that the order of rows does not matter.
    """
    kinds = {_kind(cell) for cell in column.cells}
    if kinds <= {"text", "nothing"}:
        reading.refuse({"minus_one"}, column.source, faults)
        lists, notes = _split_text(column, reading, faults)
        return _from_lists(lists, column, faults, notes + _number_note(lists))
    if kinds == {"text", "list"}:  # where the parts of a split are files of two kinds
        column = _split_where_text(column, reading, faults)
    else:
        reading.refuse({"label_separator"}, column.source, faults)
    if kinds <= {"mapping", "nothing"}:
        return _from_mappings(column, reading, faults)
    reading.refuse({"minus_one"}, column.source, faults)
    if all(map(_is_numbers, filter(_is_filled, column.cells))) and any(map(_is_filled, column.cells)):
        _refuse_numbers(column, faults)
    return _from_lists(_checked_lists(column, faults), column, faults)


def _kind(cell: object) -> str:
    if cell is None:
        return "nothing"
    if isinstance(cell, str):
        return "text"
    if isinstance(cell, Mapping):
        return "mapping"
    return "list" if isinstance(cell, list | tuple | set | frozenset | np.ndarray) else "other"


# -------------------------------------------------------------------------------------------- names in text


def _split_text(column: LabelCells, reading: Reading, faults: Faults) -> tuple[list[list[str]], tuple[str, ...]]:
    texts = ["" if cell is None else str(cell) for cell in column.cells]
    separator, notes = _find_separator(texts, reading, column.source, faults)
    split = {text: _names_in(text, separator) for text in set(texts)}
    doubtful = {text: complaint for text, names in split.items() if (complaint := _complaint(text, names))}
    for row, text in enumerate(texts):
        if text in doubtful:
            faults.add(f"{column.where[row]}: {doubtful[text]}", "Leave the cell empty where there are no labels.")
    return [split[text] for text in texts], notes


def _split_where_text(column: LabelCells, reading: Reading, faults: Faults) -> LabelCells:
    """The column with lists only."""
    rows = [row for row, cell in enumerate(column.cells) if isinstance(cell, str)]
    part = replace(column, cells=[column.cells[row] for row in rows], where=[column.where[row] for row in rows])
    lists, _ = _split_text(part, reading, faults)
    of_row = dict(zip(rows, lists, strict=True))
    return replace(column, cells=[of_row.get(row, cell) for row, cell in enumerate(column.cells)])


def _names_in(text: str, separator: str | None) -> list[str]:
    names = [text] if separator is None else text.split(None if separator.isspace() else separator)
    return [name.strip() for name in names if name.strip()]


def _number_note(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """In text, class numbers cannot be told from names that are numbers."""
    names = {name for listed in lists for name in listed}
    if not names or not all(map(str.isdecimal, names)):
        return ()
    return ("The labels are whole numbers, which are taken for their names.",)


def _complaint(text: str, names: Sequence[str]) -> str:
    if text.lstrip().startswith("[") and text.rstrip().endswith("]"):
        return f"expected label names as beach;sea; got a list written as text: {shortened(text)}."
    odd = next((name for name in names if name.lower() in _NO_NAME), None)
    return f"{odd!r} is no label name." if odd else ""


def _find_separator(
    texts: Sequence[str], reading: Reading, source: str, faults: Faults
) -> tuple[str | None, tuple[str, ...]]:
    """The separator that was said, else the one that occurs; none where each cell holds one label."""
    if reading.label_separator is not None:
        return reading.label_separator, ()
    found = [sign for sign in SEPARATORS if any(sign in text for text in texts)]
    if len(found) > 1:
        faults.add(
            f"{source}: label cells hold {' and '.join(map(repr, found))}, so it is not known which separates labels.",
            "Say which with --label-separator (in Python: label_separator).",
        )
    spaced = sum(" " in text.strip() for text in texts)
    if found or not spaced:
        return (found[0] if found else None), ()
    return None, (
        f"No label cell holds ; , or |, so each is read as one label; {spaced} hold a space: "
        "if it separates labels, say so with --label-separator ' '.",
    )


# -------------------------------------------------------------------------------------- lists and mappings


def _is_filled(cell: object) -> bool:
    return cell is not None and not (_kind(cell) == "list" and len(cell) == 0)  # type: ignore[arg-type]


def _is_numbers(cell: object) -> bool:
    """Whether a cell is a class number, or a list of them."""
    listed = list(cell) if isinstance(cell, list | tuple | set | frozenset | np.ndarray) else [cell]
    return all(isinstance(one, int | np.integer) for one in listed)


def _refuse_numbers(column: LabelCells, faults: Faults) -> None:
    cell, place = next(pair for pair in zip(column.cells, column.where, strict=True) if _is_filled(pair[0]))
    faults.add(
        f"{column.source}: labels are class numbers, whose names the data does not hold; "
        f"{place} has {shortened(cell)}.",
        "Write names in place of the numbers; or, in Python, cast the column of a Hugging Face dataset to "
        "ClassLabel(names=[...]) and give that to tagfit.load.",
    )
    faults.check()


def _checked_lists(column: LabelCells, faults: Faults) -> list[list[str]]:
    lists = []
    for cell, place in zip(column.cells, column.where, strict=True):
        names = list(cell) if isinstance(cell, list | tuple | set | frozenset | np.ndarray) else None
        if names is None or not all(isinstance(name, str) for name in names):
            faults.add(
                f"{place}: expected labels as a list of names; got {shortened(cell)}.",
                "Write the labels of every sample in one way: as names in a list, or as a 0/1 column a label.",
            )
            names = []
        lists.append([name.strip() for name in names if name.strip()])
    return lists


def _from_lists(
    lists: Sequence[Sequence[str]], column: LabelCells, faults: Faults, notes: tuple[str, ...] = ()
) -> Labels:
    listed = sorted({name for names in lists for name in names})
    names = label_names(listed if column.declared is None else column.declared, column.source, faults)
    codes_NL = matrix(len(lists), len(names), NO, column.source, faults)
    column_of = {name: number for number, name in enumerate(names)}
    rows = np.repeat(np.arange(len(lists)), [len(names) for names in lists])
    codes_NL[rows, [column_of[name] for names in lists for name in names]] = YES
    blank_N = np.array(
        [not listed and not _is_empty_list(cell) for listed, cell in zip(lists, column.cells, strict=True)]
    )
    return Labels(
        names, codes_NL, NO, blank_N, is_declared=column.declared is not None, notes=notes + alike_note(names)
    )


def _from_mappings(column: LabelCells, reading: Reading, faults: Faults) -> Labels:
    """A label that a mapping does not hold is unknown there; without a mapping all are."""
    rows: list[dict[str, object]] = []
    for cell, place in zip(column.cells, column.where, strict=True):
        written = cell if isinstance(cell, Mapping) else {}
        rows.append({str(name).strip(): value for name, value in written.items()})
        if len(rows[-1]) < len(written):
            faults.add(f"{place}: a label occurs twice: {shortened(cell)}.")
    names = label_names(sorted({name for row in rows for name in row}), column.source, faults)
    codes_NL = matrix(len(rows), len(names), UNKNOWN, column.source, faults)
    for number, name in enumerate(names):
        for row, values in enumerate(rows):
            code = cell_code(values.get(name))
            if code is None:
                faults.add(f"{column.where[row]}: label {name!r} must be 0, 1 or null; got {shortened(values[name])}.")
            codes_NL[row, number] = UNKNOWN if code is None else code
    settled_NL, notes = settle_minus_one(codes_NL, reading.minus_one, column.source, faults)
    return Labels(names, settled_NL, UNKNOWN, np.zeros(len(rows), bool), notes=notes + alike_note(names))


def _is_empty_list(cell: object) -> bool:
    return _kind(cell) == "list"
