"""The embedded set, asked for as `postcards:COUNT`."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from tagfit.data.postcards.album import draw
from tagfit.data.postcards.materials import LABELS
from tagfit.data.postcards.stack import OnDraw, stack
from tagfit.errors import DataError
from tagfit.records.data import NO, LabelTable

log = logging.getLogger(__name__)

POSTCARDS = "postcards:"

#: more take more than 100 GB
MOST = 10_000_000

#: more images than these are drawn into the cache, and are not held in memory
IN_MEMORY = 4096


def read_postcards(data: str, on_draw: OnDraw | None = None) -> LabelTable:
    """Draw the first COUNT postcards: (COUNT, 64, 64, 3) uint8 with all their labels.

    Raises:
        DataError: no usable number.
    """
    count = data.removeprefix(POSTCARDS)
    digits = count.lstrip("0") if count.isascii() and count.isdecimal() else ""
    if not digits or len(digits) > len(str(MOST)) or int(digits) > MOST:
        raise DataError(
            f"the embedded set is called postcards:COUNT, e.g. postcards:2400, with COUNT up to {MOST:,}; "
            f"got {data if len(data) < 60 else data[:57] + '...'!r}"
        )
    x, labels_NL, notes = _drawn(int(count), on_draw)
    return LabelTable(
        name="postcards",
        label_names=LABELS,
        labels_NL=labels_NL,
        sample_names=tuple(f"postcard {number}" for number in range(int(count))),
        x=x,
        absent_label=NO,
        notes=notes,
    )


def _drawn(count: int, on_draw: OnDraw | None) -> tuple[NDArray[np.uint8], NDArray[np.int8], tuple[str, ...]]:
    if count <= IN_MEMORY:
        return *draw(0, count), ()
    try:
        return *stack(count, on_draw), ()
    except (OSError, RuntimeError) as error:
        note = f"The postcards are held in memory, because the cache folder cannot be used: {error}."
        log.warning(note)
        return *draw(0, count), (note,)
