"""What a table says about its samples: labels, split and metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.binary import binary_labels
from tagfit.data.sources.columns import Roles
from tagfit.data.sources.conventions import Conventions
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.listed import LabelCells, Labels, listed_labels
from tagfit.data.sources.parts import part_codes
from tagfit.data.sources.table import Table


@dataclass(frozen=True, eq=False)
class Labelled:
    """As the attributes of `records.LabelTable`."""

    labels: Labels
    given_split: NDArray[np.int8] | None
    metadata: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]


def labelled(table: Table, roles: Roles, conventions: Conventions, faults: Faults) -> Labelled:
    """Read labels and split; what is neither is metadata, and a note names it."""
    if roles.labels is not None:
        source = table.source if table.label_names else f"{table.source}: column {roles.labels!r}"
        column = LabelCells(table.columns[roles.labels], table.where, source, table.label_names)
        labels = listed_labels(column, conventions, faults)
        further = roles.others
    else:
        labels = binary_labels(table, roles.others, conventions, faults)
        further = tuple(name for name in roles.others if name not in labels.names)
        conventions.refuse_separator(table.source, faults)
    split = None
    if roles.split is not None:
        split = part_codes(table.columns[roles.split], table.where, faults)
    metadata = {name: tuple(map(_as_text, table.columns[name])) for name in further}
    return Labelled(labels, split, metadata, labels.notes + _notes(table, roles, further))


def _notes(table: Table, roles: Roles, further: Sequence[str]) -> tuple[str, ...]:
    if not further:
        return ()
    read = f"column {roles.labels!r} lists the labels" if roles.labels is not None else "they are not 0/1"
    if table.label_names:
        read = "the labels are declared"
    return (f"Kept as metadata, not as labels ({read}): {', '.join(further)}.",)


def _as_text(cell: object) -> str:
    """Text as written, a missing value as nothing, and JSON's values as JSON."""
    if isinstance(cell, str):
        return cell
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    is_json = isinstance(cell, bool | int | float | list | dict)
    return json.dumps(cell, default=str, skipkeys=True, ensure_ascii=False) if is_json else str(cell)
