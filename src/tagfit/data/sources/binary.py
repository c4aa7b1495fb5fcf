"""Labels as columns: one column of yes and no a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tagfit.data.sources.cells import EXPECTED, Flags, flags, settle_minus_one
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.names import alike_note, label_names
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Labels
from tagfit.data.sources.table import Table
from tagfit.records.data import NO, UNKNOWN


def binary_labels(table: Table, columns: Sequence[str], reading: Reading, faults: Faults) -> Labels:
    """Read columns of yes and no; label names keep their order, and a label without a column is unknown.

    In a tick list a blank cell is no. Where only yes is written, as 1, true or yes, a blank may be no or unknown, which
    is a question unless `blank_is` answers it.
    """
    coded = {name: found for name in columns if (found := flags(table.columns[name])) is not None}
    for name, found in coded.items():
        _check(table, name, found, faults)
    names = label_names(columns if reading.names is None else reading.names, table.head, faults)
    codes_LN = np.array(
        [[UNKNOWN if code is None else code for code in found.codes] for found in coded.values()], np.int8
    )
    codes_NL = np.ascontiguousarray(codes_LN.T)
    has_ticks = all(found.is_ticks for found in coded.values())
    blank_N = np.zeros(len(table), bool)
    if has_ticks:
        blank_N = (codes_NL == NO).all(axis=1)
    elif _only_yes(coded, codes_NL) and _blank_is_no(table, reading, faults):
        codes_NL[codes_NL == UNKNOWN] = NO
        blank_N = (codes_NL == NO).all(axis=1)
    settled_NL, notes = settle_minus_one(codes_NL, reading.minus_one, table.source, faults)
    absent = NO if has_ticks else UNKNOWN
    return Labels(names, settled_NL, absent, blank_N, notes=notes + alike_note(names))


def _only_yes(coded: Mapping[str, Flags], codes_NL: np.ndarray[tuple[int, ...], np.dtype[np.int8]]) -> bool:
    return not any(found.has_no for found in coded.values()) and bool((codes_NL == UNKNOWN).any())


def _blank_is_no(table: Table, reading: Reading, faults: Faults) -> bool:
    if reading.blank_is is None:
        faults.add(
            f"{table.source}: labels are written as yes or left blank, never as no, so a blank may mean no or unknown.",
            "Say which: --blank-is no or --blank-is unlabelled (in Python: blank_is='no' or 'unlabelled').",
        )
    return reading.blank_is == "no"


def _check(table: Table, name: str, found: Flags, faults: Faults) -> None:
    if None not in found.codes:
        return
    for row, code in enumerate(found.codes):
        if code is None:
            cell = table.columns[name][row]
            faults.add(f"{table.where[row]}: label {name!r} must be {EXPECTED}; got {shortened(cell)}.")
