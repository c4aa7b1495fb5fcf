"""How to read a source, as far as only you can know."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from tagfit.data.sources.faults import Faults
from tagfit.options.data import ReadingOptions
from tagfit.options.option import flag_of, options_of

MinusOne = Literal["no", "unknown"]

OPTIONS = frozenset(options_of(ReadingOptions))

_MEANINGLESS = {
    "label_separator": "a label separator was given, but no cell lists labels as text.",
    "minus_one": "a meaning for -1 was given, but each row lists its labels by name.",
    "label_names": "label names were given, but the source names its labels itself.",
}


@dataclass(frozen=True, kw_only=True)
class Reading(ReadingOptions):
    """The options of reading; a source is read without them wherever one reading is clearly right."""

    @property
    def label_columns(self) -> tuple[str, ...]:
        return tuple(self.label_column or ())

    @property
    def names(self) -> tuple[str, ...] | None:
        """`label_names`, each without surrounding space."""
        return None if self.label_names is None else tuple(name.strip() for name in self.label_names)

    def refuse(self, names: Set[str], source: str, faults: Faults) -> None:
        """An option that cannot apply is a fault, never silently ignored."""
        for name in self.changed():
            if name in names:
                why = _MEANINGLESS.get(name, f"{name} was given, but has no effect here.")
                faults.add(f"{source}: {why}", f"Leave out {option_of(name)} ({name}).")


def option_of(name: str) -> str:
    """How an option is written on the command line."""
    return flag_of(ReadingOptions, name)
