"""A table as read: named columns, one row a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tagfit.data.sources.faults import Faults, shortened
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
        label_names: the names that may be listed, in their order, where the source declares them.
    """

    source: str
    head: str
    columns: Mapping[str, Sequence[object]]
    where: Sequence[str]
    label_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.where)


def join(tables: Sequence[tuple[Table, Part]], faults: Faults) -> Table:
    """The tables of the parts of one split as one, with a `split` column; all must have the same columns and names."""
    first = tables[0][0]
    for table, _ in tables:
        _compare(first, table, faults)
    faults.check()
    columns: dict[str, Sequence[object]] = {
        name: [cell for table, _ in tables for cell in table.columns[name]] for name in first.columns
    }
    where = [place for table, _ in tables for place in table.where]
    source = " + ".join(table.source for table, _ in tables)
    columns["split"] = [part for table, part in tables for _ in range(len(table))]
    return Table(source, first.head, columns, where, first.label_names)


def _compare(first: Table, table: Table, faults: Faults) -> None:
    todo = "Give the parts of a split the same columns, or name a single label file."
    for name in (name for name in first.columns if name not in table.columns):
        faults.add(f"{table.head}: column {name!r} of {first.source} is missing.", todo)
    for name in (name for name in table.columns if name not in first.columns):
        faults.add(f"{table.head}: column {name!r} is not in {first.source}.", todo)
    if set(table.label_names or ()) != set(first.label_names or ()):
        other = sorted(set(table.label_names or ()) ^ set(first.label_names or ()))
        faults.add(
            f"{table.head}: declares other labels than {first.source}: {', '.join(map(shortened, other[:8]))}.",
            "Give the parts of a split the same declared labels.",
        )
    if any(name.lower() == "split" for name in table.columns):
        faults.add(
            f"{table.head}: has a `split` column, and is one part of a split by its file name.",
            "Say the split once: remove the column, or name a single label file.",
        )
