"""pandas and polars frames, read into a `Table` or arrays without importing either library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults
from tagfit.data.sources.table import Table


def is_frame(value: object) -> bool:
    """Whether this is a DataFrame of pandas or polars; subclasses count."""
    modules = {base.__module__.split(".")[0] for base in type(value).__mro__ if base.__name__ == "DataFrame"}
    return bool(modules & {"pandas", "polars"})


def frame_table(frame: Any, faults: Faults) -> Table:
    """A frame's columns as a `Table`; missing values become None."""
    names = column_names(frame, faults)
    columns = {name: _cells(frame[column]) for name, column in zip(names, frame.columns, strict=True)}
    where = [f"row {row}" for row in range(1, len(frame) + 1)]
    return Table("the frame", "the frame", columns, where)


def column_names(frame: Any, faults: Faults) -> list[str]:
    """Stripped names; repeated ones are raised at once, as a frame answers them with several columns."""
    names = [str(column).strip() for column in frame.columns]
    for name, count in Counter(names).items():
        if count > 1:
            faults.add(f"the frame: column {name!r} occurs {count} times.", "Give each column its own name.")
    faults.check()
    return names


def frame_values(value: Any) -> NDArray[Any]:
    """(N, D) of a numeric frame; missing values of pandas' nullable columns become nan."""
    columns = [_numbers(value[column]) for column in value.columns]
    return np.column_stack(columns) if columns else np.empty((len(value), 0))


def _numbers(series: Any) -> NDArray[Any]:
    values = np.asarray(series.to_numpy())
    if values.dtype != object:
        return values
    numbers = numbers_of(_cells(series))
    return values if numbers is None else numbers


def numbers_of(cells: Sequence[Any]) -> NDArray[np.float64] | None:
    """Cells that are all numbers of some kind, or None, which becomes nan; None if one is anything else."""
    if not all(cell is None or isinstance(cell, Real | np.bool_ | Decimal) for cell in cells):
        return None
    return np.array([np.nan if cell is None else float(cell) for cell in cells], np.float64)


def _cells(series: Any) -> Sequence[object]:
    if hasattr(series, "notna"):  # pandas has several missing values; polars has None
        series = series.astype(object).where(series.notna(), None)
    cells: list[object] = series.to_list()
    return cells


def rows_differ(x: Any, y: Any) -> bool:
    """Whether two pandas objects have different row labels, so that their rows may not belong together."""
    indexes = [getattr(value, "index", None) for value in (x, y)]
    if not all(hasattr(index, "equals") for index in indexes):  # a list has an index too, which is a method
        return False
    return not x.index.equals(y.index)
