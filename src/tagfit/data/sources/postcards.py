"""The embedded set, asked for as `postcards:COUNT`."""

from __future__ import annotations

from tagfit.data.postcards.album import draw
from tagfit.data.postcards.materials import LABELS
from tagfit.errors import DataError
from tagfit.records import NO, LabelTable

POSTCARDS = "postcards:"


def read_postcards(data: str) -> LabelTable:
    """Draw the first COUNT postcards: (COUNT, 64, 64, 3) uint8 with all their labels.

    Raises:
        DataError: no usable number.
    """
    count = data.removeprefix(POSTCARDS)
    if not (count.isdecimal() and int(count) > 0):
        raise DataError(f"the embedded set is asked for as postcards:COUNT, e.g. postcards:2400; got {data!r}")
    x, labels_NL = draw(0, int(count))
    return LabelTable(
        name="postcards",
        label_names=LABELS,
        labels_NL=labels_NL,
        sample_names=tuple(f"postcard {number}" for number in range(int(count))),
        x=x,
        absent_label=NO,
    )
