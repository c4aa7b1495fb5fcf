"""What a table says about its samples: labels, split and metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tagfit.data.sources.binary import binary_labels
from tagfit.data.sources.columns import Roles
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.listed import LabelCells, listed_labels
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Labels
from tagfit.data.sources.table import Table


@dataclass(frozen=True, eq=False)
class Labelled:
    """As the attributes of `records.LabelTable`."""

    labels: Labels
    metadata: Mapping[str, Sequence[object]]


def labelled(table: Table, roles: Roles, reading: Reading, faults: Faults) -> Labelled:
    """Read labels and split; what is neither is metadata, and a note names it."""
    if roles.labels is not None:
        source = table.source if table.label_names else f"{table.source}: column {roles.labels!r}"
        column = LabelCells(table.columns[roles.labels], table.where, source, table.label_names)
        labels = listed_labels(column, reading, faults)
        further = roles.others
    else:
        labels = binary_labels(table, roles.others, reading, faults)
        further = tuple(name for name in roles.others if name not in labels.names)
        reading.refuse({"label_separator"}, table.source, faults)
    metadata = {name: table.columns[name] for name in further}
    return Labelled(labels, metadata)
