"""What only the person can say about how cells are to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tagfit.data.sources.faults import Faults

MinusOne = Literal["no", "unknown"]


@dataclass(frozen=True)
class Conventions:
    """What was said.

    Attributes:
        label_separator: what stands between the labels of one cell; None finds `;`, `,` or `|`.
        minus_one: what -1 means; None reads it as unknown beside 0/1 and refuses a matrix of only -1/+1.
    """

    label_separator: str | None = None
    minus_one: MinusOne | None = None

    def __post_init__(self) -> None:
        faults = Faults()
        if self.label_separator == "":
            faults.add("label_separator must be at least one character; got ''")
        if self.minus_one is not None and self.minus_one not in get_args(MinusOne):
            faults.add(f"minus_one must be 'no', 'unknown' or None; got {self.minus_one!r}")
        faults.check()

    def refuse_separator(self, source: str, faults: Faults) -> None:
        """An option that cannot apply is a fault, never silently ignored."""
        if self.label_separator is not None:
            faults.add(
                f"{source}: a label separator was given, but no cell lists labels as text.",
                "Leave out --label-separator (label_separator).",
            )

    def refuse_minus_one(self, source: str, faults: Faults) -> None:
        """As `refuse_separator`, for `minus_one`."""
        if self.minus_one is not None:
            faults.add(
                f"{source}: a meaning for -1 was given, but each row lists its labels by name.",
                "Leave out --minus-one-is (minus_one).",
            )
