"""Labels as columns: one 0/1 column a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tagfit.data.sources.cells import EXPECTED, MINUS, cell_codes, settle_minus_one
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.names import alike_note, label_names
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Labels
from tagfit.data.sources.table import Table
from tagfit.records.data import NO, UNKNOWN, YES


def is_label_column(codes: Sequence[int | None]) -> bool:
    """Whether a column was meant as labels, so that what does not fit in it is a fault and not metadata.

    It was, if it holds 0, 1 or -1, and of its filled cells at most a tenth (or one, in a short table) are anything
    else and these are fewer than the 0/1 cells. A column without a filled cell is no label column.
    """
    counts = Counter(codes)
    marks, wrong = counts[YES] + counts[NO] + counts[MINUS], counts[None]
    return marks > wrong and wrong <= max(1, (marks + wrong) // 10)


def binary_labels(table: Table, candidates: Sequence[str], reading: Reading, faults: Faults) -> Labels:
    """Read the label columns among some columns of a table; the names that come back say which they are.

    Label names keep the order of the columns. A label that the table has no column for is unknown.
    """
    coded = {name: cell_codes(table.columns[name]) for name in candidates}
    columns = {name: codes for name, codes in coded.items() if is_label_column(codes)}
    for name, codes in columns.items():
        _check(table, name, codes, faults)
    if not columns:
        faults.add(
            f"{table.head}: no column holds labels; the columns are {', '.join(list(table.columns)[:20])}.",
            "Expected a column called labels (or tags, keywords), or one 0/1 column a label.",
        )
        return Labels((), np.zeros((len(table), 0), np.int8), UNKNOWN, np.zeros(len(table), bool))
    names = label_names(columns, table.head, faults)
    codes_NL = np.array([[UNKNOWN if code is None else code for code in codes] for codes in columns.values()], np.int8)
    settled_NL, notes = settle_minus_one(np.ascontiguousarray(codes_NL.T), reading.minus_one, table.source, faults)
    blank_N = np.zeros(len(table), bool)
    return Labels(names, settled_NL, UNKNOWN, blank_N, notes=notes + alike_note(names))


def _check(table: Table, name: str, codes: Sequence[int | None], faults: Faults) -> None:
    if None not in codes:
        return
    for row, code in enumerate(codes):
        if code is None:
            cell = table.columns[name][row]
            faults.add(f"{table.where[row]}: label {name!r} must be {EXPECTED}; got {shortened(cell)}.")
