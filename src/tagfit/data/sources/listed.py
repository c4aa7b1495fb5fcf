"""Labels listed by name: one cell a sample holds all of its labels.

A cell is text (`beach;sea`), a list of names, a mapping from names to 0, 1 or nothing, or one of these written as text.
A cell of 0 and 1 by position needs the names of the labels, and so do class numbers; numbers in plain text are names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tagfit.data.sources.cells import cell_code, settle_minus_one
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.literals import looks_literal, parse, parse_bare
from tagfit.data.sources.names import alike_note, label_names
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Labels, matrix
from tagfit.data.sources.separators import Texts, find_separator, split_by
from tagfit.records.data import NO, UNKNOWN, YES

#: cells that mean "none of the labels"; the second are also how a missing value is written
_NONE = {
    "none",
    "no finding",
    "no findings",
    "no label",
    "no labels",
    "no tag",
    "no tags",
    "nothing",
    "-",
    "--",
    "–",
    "—",
}
_MISSING = {"nan", "na", "n/a", "null", "nil", "<na>"}
#: cells that mean "never labelled"
_UNLABELLED = {"unlabeled", "unlabelled", "not labeled", "not labelled", "unannotated", "untagged", "todo", "tbd"}
_PIECE = re.compile(r"""[\[({]\s*['"]|['"]\s*[\])}]""")
#: a label with a score: `beach:0.9`, `beach (0.9)`
_SCORED = re.compile(r".*\w\s*[:=(]\s*[01]?[.,]\d+%?\)?")
NUMBERS_NOTE = "The labels are whole numbers, which are used as their names."
_NO_NAME = "?"
#: the keys that name a label in a list of objects
_NAMED_BY = ("label", "name", "tag", "class", "category", "class_name", "title")


def is_none(text: str) -> bool:
    """Whether a cell means "none of the labels" wherever nobody says otherwise."""
    return text.casefold() in _NONE | _MISSING


@dataclass(frozen=True)
class LabelCells:
    """The labels column: its cells, the place of each, what messages call the whole, and the declared names."""

    cells: Sequence[object]
    where: Sequence[str]
    source: str
    declared: tuple[str, ...] | None = None


def listed_labels(column: LabelCells, reading: Reading, faults: Faults) -> Labels:
    """Read a labels column.

    Empty names (`a;;b`) and repeated ones (`a;a`) are ignored. Label names come out sorted, so that the order of rows
    does not matter, or as they are declared.
    """
    column = _parsed(replace(column, declared=reading.names or column.declared))
    kinds = {_kind(cell) for cell in column.cells}
    if "text" not in kinds:
        reading.refuse({"label_separator", "none_is"}, column.source, faults)
    if kinds <= {"mapping", "nothing"} and "mapping" in kinds:
        return _from_mappings(column, reading, faults)
    none_word, cells = _without_none(column, reading, faults)
    column = replace(column, cells=cells)
    if (vectors := _vectors(column)) is not None:
        reading.refuse({"label_separator"}, column.source, faults)
        return _from_vectors(vectors, column, faults)
    reading.refuse({"minus_one"}, column.source, faults)
    column, notes = _split_text(column, reading, faults)
    if any(map(_is_numbers, filter(_is_filled, column.cells))):
        column = _named(column, faults)
    lists = _checked_lists(column, faults)
    return _from_lists(lists, column, none_word, faults, notes + _number_note(lists, column, faults))


def _kind(cell: object) -> str:
    if cell is None:
        return "nothing"
    if isinstance(cell, str):
        return "text"
    if isinstance(cell, Mapping):
        return "mapping"
    return "list" if isinstance(cell, list | tuple | set | frozenset | np.ndarray) else "other"


# ---------------------------------------------------------------------------------------- what a cell holds


def _parsed(column: LabelCells) -> LabelCells:
    """Lists and mappings that are written as text become such; blank cells become nothing."""
    texts: dict[str, object] = {cell: _value(cell.strip()) for cell in column.cells if isinstance(cell, str)}
    bare = {text: parse_bare(value) for text, value in texts.items() if isinstance(value, str)}
    if None not in bare.values():
        texts |= bare
    cells = [texts[cell] if isinstance(cell, str) else None if _is_nan(cell) else cell for cell in column.cells]
    return replace(column, cells=_without_empty_mappings([_unwrapped(cell) for cell in cells]))


def _value(text: str) -> object:
    return parse(text) if looks_literal(text) else text or None


def _without_empty_mappings(cells: Sequence[object]) -> list[object]:
    """`{}` beside lists is an empty list, as Postgres writes it."""
    has_mappings = any(isinstance(cell, dict) and cell for cell in cells)
    return [[] if cell == {} and not has_mappings else cell for cell in cells]


def _is_nan(cell: object) -> bool:
    return isinstance(cell, float) and cell != cell


def _unwrapped(value: object) -> object:
    """The list in a mapping that holds nothing else, as `{"choices": ["beach", "sea"]}`; of objects in a list, such as
    `{"label": "beach", "score": 0.9}`, the names."""
    inner = next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else None
    value = inner if isinstance(inner, list) else value
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        keys = {next((key for key in _NAMED_BY if isinstance(one.get(key), str)), "") for one in value}
        return value if len(keys) > 1 or "" in keys else [one[keys.copy().pop()] for one in value]
    return value


def _without_none(column: LabelCells, reading: Reading, faults: Faults) -> tuple[str, Sequence[object]]:
    """The word for "none of the labels", and cells with an empty list in its place.

    The words of `_MISSING` are such a word only if no other is used; otherwise they are blank cells.
    """
    words = {cell for cell in column.cells if isinstance(cell, str)}
    chosen = {word for word in words if word.casefold() in _NONE}
    if reading.none_is is not None:
        chosen = {word for word in words if word.casefold() == reading.none_is.strip().casefold()}
        if not chosen:
            faults.add(f"{column.source}: no cell is {reading.none_is!r}.", "Correct --none-is (none_is).")
    missing = {word for word in words if word.casefold() in _MISSING}
    never = {word for word in words if word.casefold() in _UNLABELLED}
    chosen, missing = (chosen, missing | never) if chosen or never else (missing, set())
    empty: list[object] = []
    cells = [
        (empty if cell in chosen else None if cell in missing else cell) if isinstance(cell, str) else cell
        for cell in column.cells
    ]
    has_empty = any(_kind(cell) == "list" and not _is_filled(cell) for cell in cells)
    word = next(iter(sorted(chosen or never)), "[]" if has_empty else "")
    return word, cells


def _split_text(column: LabelCells, reading: Reading, faults: Faults) -> tuple[LabelCells, tuple[str, ...]]:
    """The column with lists only, and notes."""
    places: dict[str, str] = {}
    for cell, place in zip(column.cells, column.where, strict=True):
        if isinstance(cell, str):
            places.setdefault(cell, place)
    has_lists = any(_kind(cell) == "list" for cell in column.cells)
    for text, place in places.items():
        if looks_literal(text) or (has_lists and text.strip("[](){}'\"") != text):
            faults.add(f"{place}: is a list that is not closed or quoted as a list: {shortened(text)}.", "Correct it.")
    counts = Counter(cell for cell in column.cells if isinstance(cell, str))
    separator, notes = find_separator(Texts(places, counts, column.source), reading.label_separator, faults)
    split = {text: split_by(text, separator) for text in places}
    for row, cell in enumerate(column.cells):
        odd = [name for name in split[cell] if name == _NO_NAME or name in _NONE] if isinstance(cell, str) else ()
        if odd:
            todo = "Leave the cell empty where there are no labels."
            faults.add(f"{column.where[row]}: {odd[0]!r} is not a label name.", todo)
    for text, place in places.items() if reading.label_separator is None else ():
        if broken := next(filter(_is_broken, split[text]), None):
            faults.add(f"{place}: {shortened(text)} would be read as a label {broken!r}.", "Correct the cell.")
    lists = {text: _numbered(names, column.declared) for text, names in split.items()}
    return replace(column, cells=[lists[cell] if isinstance(cell, str) else cell for cell in column.cells]), notes


def _is_broken(name: str) -> bool:
    """Whether a name is a piece of a list in a notation that is not known, such as `array(['beach'`."""
    return bool(_PIECE.search(name)) or (len(name) > 2 and name[0] == name[-1] in "'\"")


def _numbered(names: list[str], declared: Sequence[str] | None) -> list[str] | list[int]:
    """Numbers in text are class numbers if names are given for them."""
    is_number = declared and names and all(name.isdecimal() and name not in declared for name in names)
    return [int(name) for name in names] if is_number else names


def _number_note(lists: Sequence[Sequence[str]], column: LabelCells, faults: Faults) -> tuple[str, ...]:
    """In text, class numbers cannot be told from names that are numbers."""
    names = {name for listed in lists for name in listed}
    if names and all(re.fullmatch(r"-?\d*[.,]\d+(e-?\d+)?", name) for name in names):
        faults.add(f"{column.source}: holds numbers such as {min(names)}, not labels.", "Labels are names, or 0 and 1.")
    if names and all(map(_SCORED.fullmatch, names)):
        faults.add(
            f"{column.source}: labels have scores, as in {shortened(min(names))}, and it is not clear which "
            "scores mean that a label applies.",
            "Keep the labels that apply, without their scores.",
        )
    if not names or not all(map(str.isdecimal, names)) or column.declared:
        return ()
    return (NUMBERS_NOTE,)


def _is_filled(cell: object) -> bool:
    return cell is not None and not (_kind(cell) == "list" and len(cell) == 0)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- numbers


def _items(cell: object) -> list[object]:
    return list(cell) if isinstance(cell, list | tuple | set | frozenset | np.ndarray) else [cell]


def _is_numbers(cell: object) -> bool:
    """Whether a cell is a class number, or a list of them."""
    return all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in _items(cell))


def _named(column: LabelCells, faults: Faults) -> LabelCells:
    """Class numbers by name, counted from 0, or from 1 if the last number asks for it."""
    names = column.declared or ()
    numbers = [
        one for cell in column.cells if _is_filled(cell) for one in _items(cell) if isinstance(one, int | np.integer)
    ]
    first = 1 if names and max(numbers) == len(names) and min(numbers) > 0 else 0
    if not names or not 0 <= min(numbers) - first <= max(numbers) - first < len(names):
        _refuse_numbers(column, faults)
    cells = [
        [names[one - first] if isinstance(one, int | np.integer) else one for one in _items(cell)]
        if _is_filled(cell)
        else cell
        for cell in column.cells
    ]
    return replace(column, cells=cells)


def _refuse_numbers(column: LabelCells, faults: Faults) -> None:
    cell, place = next(pair for pair in zip(column.cells, column.where, strict=True) if _is_filled(pair[0]))
    faults.add(
        f"{column.source}: labels are class numbers, and the data does not name the classes; "
        f"{place} has {shortened(cell)}.",
        "Give the names in the order of the numbers: --label-names (in Python: label_names). Write names in place "
        "of the numbers if you can; a column of a Hugging Face dataset can be cast to ClassLabel(names=[...]).",
    )
    faults.check()


def _vectors(column: LabelCells) -> list[list[int] | None] | None:
    """Cells of 0 and 1 by position, most of one length; None if the cells are not such.

    `[0, 1]` alone could be two class numbers; a list of these never repeats one.
    """
    cells = [_by_position(cell) if _is_filled(cell) else None for cell in column.cells]
    vectors = [vector for vector in cells if vector is not None]
    length, count = Counter(map(len, vectors)).most_common(1)[0] if vectors else (0, 0)
    is_text = any(isinstance(cell, str) for cell in column.cells)
    is_repeated = any(len(set(vector)) < len(vector) for vector in vectors)
    is_usual = 2 * count > len(vectors) and length > 1
    return cells if is_repeated or (is_usual and is_text) else None


def _by_position(cell: object) -> list[int]:
    """The numbers 0 and 1 of a cell as codes; empty if it holds anything else."""
    items = re.split(r"[;,|\s]+", cell) if isinstance(cell, str) else _items(cell)
    codes = [cell_code(one) for one in items if not isinstance(one, bool)]
    return [code for code in codes if code is not None] if {*codes} <= {YES, NO} and len(codes) == len(items) else []


def _from_vectors(vectors: Sequence[list[int] | None], column: LabelCells, faults: Faults) -> Labels:
    length = Counter(len(vector) for vector in vectors if vector).most_common(1)[0][0]
    names = column.declared or ()
    example = next(row for row, vector in enumerate(vectors) if vector)
    if len(names) != length:
        got = f"{len(names)} were given" if names else "nothing names them"
        faults.add(
            f"{column.source}: each cell holds {length} numbers 0 and 1, one a label, and {got}; "
            f"{column.where[example]} has {shortened(column.cells[example])}.",
            "Give the names of the labels in that order: --label-names (in Python: label_names=[...]).",
        )
    for row, vector in enumerate(vectors):
        if vector is not None and len(vector) != length:
            faults.add(f"{column.where[row]}: expected {length} numbers 0 and 1; got {shortened(column.cells[row])}.")
    faults.check()
    codes_NL = np.array([vector or [UNKNOWN] * length for vector in vectors], np.int8)
    return Labels(names, codes_NL, UNKNOWN, np.zeros(len(vectors), bool), "", True)


# -------------------------------------------------------------------------------------- lists and mappings


def _checked_lists(column: LabelCells, faults: Faults) -> list[list[str]]:
    lists = []
    for cell, place in zip(column.cells, column.where, strict=True):
        names = [] if cell is None else _items(cell) if _kind(cell) == "list" else [None]
        if not all(isinstance(name, str) for name in names):
            faults.add(
                f"{place}: expected labels as a list of names; got {shortened(cell)}.",
                "Write the labels of every sample in the same way: a list of names, or one 0/1 column for each label.",
            )
            names = []
        lists.append([name.strip() for name in names if isinstance(name, str) and name.strip()])
    return lists


def _from_lists(
    lists: Sequence[Sequence[str]], column: LabelCells, none_word: str, faults: Faults, notes: tuple[str, ...]
) -> Labels:
    listed = sorted({name for names in lists for name in names})
    names = label_names(listed if column.declared is None else column.declared, column.source, faults)
    codes_NL = matrix(len(lists), len(names), NO, column.source, faults)
    column_of = {name: number for number, name in enumerate(names)}
    for name in (name for name in listed if name not in column_of):
        faults.add(f"{column.source}: label {name!r} is not among the label names that were given.", "Add it to them.")
    rows = np.repeat(np.arange(len(lists)), [len(names) for names in lists])
    columns = [column_of.get(name, 0) for names in lists for name in names]
    codes_NL[rows, columns] = YES
    blank_N = np.array([cell is None for cell in column.cells], bool)
    return Labels(names, codes_NL, NO, blank_N, none_word, column.declared is not None, notes + alike_note(names))


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
