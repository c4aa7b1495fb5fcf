"""Which column of a table is what: images, labels, split, or metadata.

Roles follow from names and cells together; nothing becomes a label by its values alone.

- **Images** are in the column whose cells name images of the folder; among several, or if there is none, its name
  decides.
- **The split** is in a column called `split`, in flags such as `is_valid`, or in one that holds nothing but names of
  parts, train among them. `partition` may number them 0, 1, 2. Folds are no split.
- **Labels** are listed in a column that is called so (`labels`, `tags`, `classes`, ...), or stand in columns of yes and
  no. Columns of yes and no beside a list say the same, or are remarks on the image, or are a question.
- A single column of yes and no, or a column that looks like a list of labels and is not called so, is a question, as is
  anything else that leaves two readings. Technical columns of tools are never labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tagfit.data.sources.columns import LABELS_NAMES, Column, pick, series
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.files import Root, find_images
from tagfit.data.sources.listed import is_none
from tagfit.data.sources.literals import looks_literal, parse
from tagfit.data.sources.parts import PART_NAMES, by_flags, by_numbers
from tagfit.data.sources.reading import Reading, option_of
from tagfit.data.sources.rows import each
from tagfit.data.sources.separators import SIGNS
from tagfit.data.sources.table import Table
from tagfit.errors import did_you_mean
from tagfit.records.data import NO, YES, Part

#: cells of a column that are looked for among the images
_SAMPLE = 40

_FLAG_WORDS = {"train": "train", "training": "train", "valid": "val", "val": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Roles:
    """The columns of a table by what they hold.

    Attributes:
        image: the images' names; None only of a table whose samples lie elsewhere.
        labels: lists of labels, or one column of yes and no a label.
        are_flags: whether they are columns of yes and no.
        split: (N,) the part of each row as written, None without any.
        others: metadata.
        reading: how the roles were found.
    """

    image: str | None
    labels: tuple[str, ...]
    are_flags: bool
    split: Sequence[object] | None
    others: tuple[str, ...]
    reading: tuple[str, ...] = ()


class _Question(Exception):  # noqa: N818 - not an error yet: it becomes a fault
    """Several readings are possible."""

    def __init__(self, columns: Sequence[Column], why: str) -> None:
        self.columns, self.why = columns, why
        super().__init__(why)


def roles(table: Table, root: Root | None, reading: Reading, faults: Faults) -> Roles:
    """Give each column its role.

    Args:
        root: where images are looked for; None if the samples are not images that the table names.

    Raises:
        DataError: an option that names no column.
    """
    judged = _Judged(table, root, reading, faults)
    judged.check_options()
    image = None if root is None else judged.image
    if image is None and root is not None:
        return Roles(None, (), False, None, ())
    split_columns, split, line = judged.split
    labels: tuple[str, ...] = ()
    are_flags = False
    try:
        labels, are_flags = judged.labels
    except _Question as question:
        _ask(table, question, faults)
    used = {image, *labels, *split_columns}
    others = tuple(name for name in table.columns if name not in used)
    return Roles(image, labels, are_flags, split, others, judged.lines(image, labels, are_flags, line))


def image_column(table: Table, root: Root, reading: Reading) -> str | None:
    """The column of images; None if there is none that could be it."""
    return _Judged(table, root, reading, Faults()).image


def _ask(table: Table, question: _Question, faults: Faults) -> None:
    seen = "; ".join(f"column {column.name!r} {column.described}" for column in question.columns[:8])
    fitting = [column for column in question.columns if not column.no_label_yet]
    options = " or ".join(f"--label-column {shortened(column.name)}" for column in fitting[:8])
    todo = [f"Say which columns are labels: {options} (in Python: label_column; it can be given several times)."]
    if not options:
        todo = ["Expected a column called labels (or tags, keywords), or one 0/1 column a label."]
    todo += dict.fromkeys(filter(None, (column.no_label_yet for column in question.columns)))
    faults.add(f"{table.head}: {question.why}: {seen or 'there is no other column'}.", " ".join(todo))


class _Judged:
    """The columns of a table while they are judged."""

    def __init__(self, table: Table, root: Root | None, reading: Reading, faults: Faults) -> None:
        self._table, self._root, self._reading, self._faults = table, root, reading, faults
        self._columns = {name: Column(name, cells) for name, cells in table.columns.items()}

    def check_options(self) -> None:
        """Raises DataError: an option names no column."""
        given = {"image_column": (self._reading.image_column,), "split_column": (self._reading.split_column,)}
        absent = Faults()
        for option, names in (given | {"label_column": self._reading.label_columns}).items():
            for name in (name for name in names if name is not None and name not in self._columns):
                got = ", ".join(list(self._columns)[:20])
                absent.add(
                    f"{self._table.head}: there is no column {name!r}; got {got}.{did_you_mean(name, self._columns)}",
                    f"Correct {option_of(option)} ({option}).",
                )
        absent.check()

    # -------------------------------------------------------------------------------------------------- images

    @cached_property
    def image(self) -> str | None:
        if self._reading.image_column is not None or self._root is None:
            return self._reading.image_column
        claimed = {*self._reading.label_columns, self._reading.split_column}
        columns = [column for column in self._columns.values() if column.name not in claimed]
        found = {column.name: files for column in columns if (files := self._files(column)) is not None}
        called = [column for column in columns if column.name in found] or [
            column for column in columns if column.image_rank <= 100 and column.flags is None
        ]
        best = sorted(called, key=lambda column: column.image_rank)
        if not best:
            return None
        rivals = [column for column in best[1:] if found and found[column.name] != found[best[0].name]]
        if rivals and rivals[0].image_rank == best[0].image_rank:
            names = [column.name for column in (best[0], *rivals)]
            self._faults.add(
                f"{self._table.head}: several columns name images: {', '.join(names)}.",
                f"Say which: {' or '.join(f'--image-column {shortened(name)}' for name in names)} "
                "(in Python: image_column).",
            )
        return best[0].name

    def _files(self, column: Column) -> Sequence[object] | None:
        """The files that the first cells of a column name; None if most of them name none."""
        assert self._root is not None
        rows = [
            row for row, cell in enumerate(column.cells[: 4 * _SAMPLE]) if isinstance(cell, str | int) and cell != ""
        ]
        names = [str(column.cells[row]).strip() for row in rows[:_SAMPLE]]
        if (
            not names
            or not self._root.folder.is_dir()
            or max(map(len, names)) > 1000
            or (column.flags is not None and column.image_rank > 100)
            or (column.image_rank == 1000 and all(map(str.isdecimal, names)))
        ):
            return None
        bases = [each(self._table.bases, len(self._table))[row] for row in rows[:_SAMPLE]]
        found = find_images([name.removeprefix(self._reading.strip_prefix or "") for name in names], self._root, bases)
        there = [file or (row if row in found.missing else None) for row, file in enumerate(found.files)]
        return there if sum(file is not None for file in found.files) * 2 >= len(names) else None

    # --------------------------------------------------------------------------------------------------- split

    @cached_property
    def split(self) -> tuple[tuple[str, ...], Sequence[object] | None, str]:
        """The columns that hold the split, the part of each row, and how that was read."""
        name = self._reading.split_column or pick(self._columns, ("split",))
        if name is not None:
            return (name,), self._parts(self._columns[name], True), f"The split is column {name!r}."
        if self._table.file_parts is not None:
            return (), self._table.file_parts, ""
        for column in self._columns.values():
            if column.name != self.image and (parts := self._parts(column, False)) is not None:
                return (column.name,), parts, f"The split is column {column.name!r}."
        return self._split_of_flags()

    def _parts(self, column: Column, is_said: bool) -> Sequence[object] | None:
        words = {str(cell).strip().lower() for cell in column.cells if cell is not None}
        if (parts := by_numbers(column.cells)) is not None and (is_said or "partition" in column.words):
            return parts
        if is_said:
            flagged = self._split_of_flags([column])[1] if column.flags is not None else None
            return flagged or column.cells
        named = {PART_NAMES[word] for word in words if word in PART_NAMES}
        is_split = words <= set(PART_NAMES) and len(named) > 1 and "train" in named
        return column.cells if is_split else None

    def _split_of_flags(
        self, columns: Sequence[Column] | None = None
    ) -> tuple[tuple[str, ...], Sequence[object] | None, str]:
        """Columns such as `is_valid`: yes is that part, and no is train, or test beside `is_train`."""
        flagged: dict[str, tuple[Part, Sequence[int | None]]] = {}
        for column in self._columns.values() if columns is None else columns:
            parts = [PART_NAMES[_FLAG_WORDS[word]] for word in column.words if word in _FLAG_WORDS]
            is_named = column.words <= {*_FLAG_WORDS, "is", "in", "set", "image"} and len(parts) == 1
            if is_named and (self._is_part_flag(column) or columns is not None) and column.flags is not None:
                flagged[column.name] = parts[0], column.flags.codes
        if not flagged:
            return (), None, ""
        parts = by_flags(list(flagged.values()))
        return tuple(flagged), parts, f"The split is column {', '.join(map(repr, flagged))}."

    def _is_part_flag(self, column: Column) -> bool:
        """Whether train is the larger part; `train` alone may be a vehicle, and `valid` a remark."""
        codes = column.flags.codes if column.flags is not None else ()
        share = sum(code == YES for code in codes) / max(1, len(codes))
        return set(codes) == {YES, NO} and (share > 0.5 if column.words & {"train", "training"} else share < 0.5)

    # -------------------------------------------------------------------------------------------------- labels

    @cached_property
    def labels(self) -> tuple[tuple[str, ...], bool]:
        """The columns that hold labels, and whether they are columns of yes and no.

        Raises:
            _Question: more than one reading is possible.
        """
        if self._reading.label_columns:
            given = [self._columns[name] for name in self._reading.label_columns]
            return tuple(column.name for column in given), all(column.flags is not None for column in given)
        used = {self.image, *self.split[0]}
        rest = [column for column in self._columns.values() if column.name not in used]
        rest = [column for column in rest if column.names_labels or not column.is_empty]
        if self._table.is_headless and self._reading.names:
            return tuple(column.name for column in rest), all(column.flags is not None for column in rest)
        flagged = [column for column in rest if column.flags is not None and not column.is_technical]
        lists = [column for column in rest if column.flags is None and column.names_labels and not column.is_technical]
        if self._table.label_names is not None and lists:
            return (lists[0].name,), False
        unread = [column for column in rest if column not in (*flagged, *lists) and not column.is_technical]
        if lists:
            return self._beside_list(self._one_list(lists), flagged, unread)
        return self._without_list(flagged, unread)

    def _one_list(self, lists: Sequence[Column]) -> tuple[str, ...]:
        """The column of lists, or several that are one series; names count before the numbers of the same classes."""
        lists = [column for column in lists if not any(_numbers(column, other) for other in lists)]
        names = [column.name for column in lists]
        if len(lists) == 1 or series(names):
            return tuple(names)
        exact = pick(names, LABELS_NAMES)
        if exact is None:
            raise _Question(lists, "several columns may list the labels")
        rest = [column for column in lists if column.name.lower() in LABELS_NAMES and column.name != exact]
        if rest and exact.lower() not in ("labels", "tags"):
            raise _Question(lists, "several columns may list the labels")
        return (exact,)

    def _beside_list(
        self, names: tuple[str, ...], flagged: Sequence[Column], unread: Sequence[Column]
    ) -> tuple[tuple[str, ...], bool]:
        """The list, or the columns of yes and no that say the same of more labels."""
        columns = [self._columns[name] for name in names]
        if len(flagged) > 1 and self._say_the_same(columns, flagged):
            return tuple(column.name for column in flagged), True
        rivals = [*(flagged if len(flagged) > 1 else ()), *(column for column in unread if column.lists_labels)]
        if rivals and names[0].lower() not in LABELS_NAMES:
            raise _Question([*columns, *rivals], "several columns may hold the labels")
        return names, False

    def _say_the_same(self, columns: Sequence[Column], flagged: Sequence[Column]) -> bool:
        """Whether all that lists name has a column of yes and no; these must agree then."""
        known = {column.name for column in flagged}
        rows = zip(*(column.cells for column in columns), strict=True)
        listed = [set[str]().union(*(_names_in(cell, known) for cell in cells)) for cells in rows]
        if not set[str]().union(*listed) <= known:
            return False
        codes = {column.name: column.flags.codes for column in flagged if column.flags is not None}
        for row, names in enumerate(listed):
            if names != {name for name in codes if codes[name][row] == YES}:
                where = self._table.where[row]
                raise _Question([*columns, *flagged], f"labels are written twice, and differently at {where}")
        return True

    def _without_list(self, flagged: Sequence[Column], unread: Sequence[Column]) -> tuple[tuple[str, ...], bool]:
        texts = [column for column in unread if column.lists_labels]
        words = [column for column in unread if column not in texts and column.has_vocabulary]
        if len(flagged) > 1 and texts:
            found = self._beside_list((texts[0].name,), flagged, ()) if len(texts) == 1 else ((), False)
            if found[1]:
                return found
            raise _Question([*texts, *flagged], "it is not clear which columns hold the labels")
        if len(flagged) > 1:
            return tuple(column.name for column in flagged), True
        if flagged or texts or words:
            why = "only one column could be a label" if len(flagged) == 1 and not (texts or words) else ""
            raise _Question([*texts, *words, *flagged], why or "no column has the name of a column of labels")
        others = [column for column in self._columns.values() if column.name != self.image]
        raise _Question(others, "no column certainly holds labels")

    # ----------------------------------------------------------------------------------------------- what is said

    def lines(self, image: str | None, labels: Sequence[str], are_flags: bool, split: str) -> tuple[str, ...]:
        many = f"{', '.join(labels[:8])}{', ...' if len(labels) > 8 else ''}"
        what = f"one column for each label: {many}" if are_flags else f"column {', '.join(map(repr, labels))}"
        return tuple(
            filter(None, (f"Image names are column {image!r}." if image else "", f"Labels are {what}.", split))
        )


def _numbers(column: Column, other: Column) -> bool:
    """Whether a column holds whole numbers, and another one name for each of them."""
    pairs = set(zip(map(str, column.cells), map(str, other.cells), strict=True))
    numbers = {number for number, _ in pairs}
    is_named = not any(name.strip().isdecimal() for _, name in pairs)
    return is_named and all(map(str.isdecimal, numbers)) and len(pairs) == len(numbers) == len({b for _, b in pairs})


def _names_in(cell: object, known: set[str]) -> set[str]:
    """The names in a cell, in whatever form it lists them; those in `known` may have spaces between."""
    value = parse(cell) if isinstance(cell, str) and looks_literal(cell) else cell
    if isinstance(value, list | tuple | set):
        return set(map(str, value))
    text = "" if value is None or value != value else str(value).strip()
    sign = next((sign for sign in SIGNS if sign in text), None)
    names = {name.strip() for name in (text.split(sign) if sign else [text]) if name.strip()}
    if not names <= known and set(text.split()) <= known:
        return set(text.split())
    return set() if len(names) == 1 and is_none(text) else names
