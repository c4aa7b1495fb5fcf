"""A table as read: named columns, one row a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.rows import each
from tagfit.records.data import Part


@dataclass(frozen=True)
class Table:
    """What delimited text, JSON lines, a frame and a Hugging Face dataset have in common.

    Attributes:
        source: the file's name, for faults about the whole.
        head: the place that names the columns (`labels.csv:1`), for faults about a column.
        columns: (N,) cells by stripped column name: text from delimited text, any object from elsewhere, None for a
            cell that is not there.
        where: (N,) the place of each row (`labels.csv:17`).
        label_names: the names that may be listed, in their order, if the source declares them.
        bases: (N,) the folder that paths start in, relative to the folder of the data; or one for all.
        hints: (N,) the part that the file's name speaks of, to find images by; or one for all.
        file_parts: (N,) the part of each row, if the files are the parts of one split.
        lacking: the columns that the file of a part does not have at all.
        is_headless: whether its first line is a row already, so that columns have numbers for names.
        reading: how the file was read, as far as that is worth a word.
    """

    source: str
    head: str
    columns: Mapping[str, Sequence[object]]
    where: Sequence[str]
    label_names: tuple[str, ...] | None = None
    bases: Sequence[str] | str = ""
    hints: Sequence[Part | None] | Part | None = None
    file_parts: Sequence[Part] | None = None
    lacking: Mapping[Part, frozenset[str]] = field(default_factory=dict)
    is_headless: bool = False
    reading: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.where)

    def only(self, rows: Sequence[int]) -> Table:
        """Some of its rows."""
        columns = {name: [cells[row] for row in rows] for name, cells in self.columns.items()}
        bases, hints = each(self.bases, len(self)), each(self.hints, len(self))
        parts = None if self.file_parts is None else [self.file_parts[row] for row in rows]
        return replace(
            self,
            columns=columns,
            where=[self.where[row] for row in rows],
            bases=[bases[row] for row in rows],
            hints=[hints[row] for row in rows],
            file_parts=parts,
        )


def join(tables: Sequence[tuple[Table, Part]], faults: Faults) -> Table:
    """The tables of the parts of one split below each other.

    A column that a part lacks is empty there, as the labels of a competition's `test.csv` are; but one part must
    have all of them, and declared names must agree.
    """
    first = max((table for table, _ in tables), key=lambda table: len(table.columns))
    for table, _ in tables:
        _compare(first, table, faults)
    faults.check()
    columns: dict[str, Sequence[object]] = {
        name: [cell for table, _ in tables for cell in table.columns.get(name, [None] * len(table))]
        for name in first.columns
    }
    return Table(
        " + ".join(table.source for table, _ in tables),
        first.head,
        columns,
        [place for table, _ in tables for place in table.where],
        first.label_names,
        [base for table, _ in tables for base in each(table.bases, len(table))],
        [part for table, part in tables for _ in range(len(table))],
        [part for table, part in tables for _ in range(len(table))],
        {part: frozenset(first.columns) - frozenset(table.columns) for table, part in tables},
        first.is_headless,
        tuple(dict.fromkeys(line for table, _ in tables for line in table.reading)),
    )


def _compare(first: Table, table: Table, faults: Faults) -> None:
    todo = "Give the parts of a split the same columns, or name a single label file."
    for name in (name for name in table.columns if name not in first.columns):
        faults.add(f"{table.head}: column {name!r} is not in {first.source}.", todo)
    if table.label_names is not None and set(table.label_names) != set(first.label_names or ()):
        other = sorted(set(table.label_names) ^ set(first.label_names or ()))
        faults.add(
            f"{table.head}: declares other labels than {first.source}: {', '.join(map(shortened, other[:8]))}.",
            "Give the parts of a split the same declared labels.",
        )
    if any(name.lower() == "split" for name in table.columns):
        faults.add(
            f"{table.head}: has a `split` column, but is one part of a split by its file name.",
            "Give the split once: remove the column, or name a single label file.",
        )
