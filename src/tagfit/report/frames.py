"""Rows as a frame of pandas or polars, whichever you use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

from tagfit.errors import OptionError, demand_extra, did_you_mean

#: what a frame can be of; each is an extra of the same name
FrameLibrary = Literal["pandas", "polars"]
_LIBRARIES = ("pandas", "polars")

#: a row of a frame by column; every row of a frame has the same columns
FrameRow = Mapping[str, object]


class Tabular:
    """Something that can be had as a frame."""

    def _rows(self) -> Sequence[FrameRow]:
        raise NotImplementedError

    def to_frame(self, library: FrameLibrary = "pandas") -> Any:
        """A frame of it, for pandas (`tagfit[pandas]`) or polars (`tagfit[polars]`).

        Args:
            library: pandas or polars; only the one you name has to be installed.

        Raises:
            OptionError: there is no such library here.
            MissingExtraError: it is not installed; the message says how to install it.
        """
        if library not in _LIBRARIES:
            hint = did_you_mean(str(library), _LIBRARIES)
            raise OptionError(f"library must be pandas or polars; got {library!r}.{hint}")
        demand_extra(f"a {library} frame", library)
        rows = self._rows()
        columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
        return import_module(library).DataFrame(columns)
