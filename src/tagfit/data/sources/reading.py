"""What only the person can say about how a source is to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypedDict, get_args

from tagfit.data.sources.faults import Faults

MinusOne = Literal["no", "unknown"]
BlankIs = Literal["no", "unlabelled"]
Header = Literal["none"]


class ReadingOptions(TypedDict, total=False):
    """The fields of `Reading` as keywords."""

    image_column: str | None
    label_column: str | Sequence[str] | None
    split_column: str | None
    blank_is: BlankIs | None
    none_is: str | None
    label_separator: str | None
    strip_prefix: str | None
    header: Header | None
    label_names: Sequence[str] | None
    minus_one: MinusOne | None


@dataclass(frozen=True)
class Reading:
    """The options of reading; a source is read without them wherever one reading is clearly right.

    Attributes:
        image_column: the column that holds the images' paths.
        label_column: the column that lists labels, or the columns of yes and no, one a label.
        split_column: the column that holds each sample's part: train, val, calibrate or test.
        blank_is: whether a sample without any entry has none of the labels (`no`) or was never labelled (`unlabelled`).
        none_is: the word that means "none of the labels", such as `nothing`.
        label_separator: the text between the labels of one cell; by default the one of `;` `,` `|` that occurs.
        strip_prefix: the text that image names begin with in the label file but not on this disk.
        header: `none` if the first line of a table is a row already; columns are then called `column 1`, `column 2`.
        label_names: the names of labels that the source only numbers, in their order.
        minus_one: what -1 means in a matrix of labels; by default unknown beside 0, and a question without any 0.
    """

    image_column: str | None = None
    label_column: str | Sequence[str] | None = None
    split_column: str | None = None
    blank_is: BlankIs | None = None
    none_is: str | None = None
    label_separator: str | None = None
    strip_prefix: str | None = None
    header: Header | None = None
    label_names: Sequence[str] | None = None
    minus_one: MinusOne | None = None

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("label_separator", "strip_prefix", "none_is", "image_column", "split_column"):
            if getattr(self, name) == "":
                faults.add(f"{name} must be at least one character; got ''.")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in (None, *allowed):
                faults.add(f"{name} must be {' or '.join(map(repr, allowed))}; got {getattr(self, name)!r}.")
        if isinstance(self.label_names, str):
            faults.add(f"label_names must be a list of names; got {self.label_names!r}.")
        faults.check()

    @property
    def label_columns(self) -> tuple[str, ...]:
        return (self.label_column,) if isinstance(self.label_column, str) else tuple(self.label_column or ())

    @property
    def names(self) -> tuple[str, ...] | None:
        """`label_names`, each without surrounding space."""
        return None if self.label_names is None else tuple(str(name).strip() for name in self.label_names)

    @property
    def given(self) -> tuple[str, ...]:
        """The options that were set."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is not None)

    def refuse(self, names: frozenset[str] | set[str], source: str, faults: Faults) -> None:
        """An option that cannot apply is a fault, never silently ignored."""
        for name in self.given:
            if name in names:
                why, option = _MEANINGLESS.get(name, f"{name} was given, but means nothing here."), option_of(name)
                faults.add(f"{source}: {why}", f"Leave out {option} ({name}).")


OPTIONS = frozenset(field.name for field in fields(Reading))

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "minus_one": get_args(MinusOne),
    "blank_is": get_args(BlankIs),
    "header": get_args(Header),
}

_MEANINGLESS = {
    "label_separator": "a label separator was given, but no cell lists labels as text.",
    "minus_one": "a meaning for -1 was given, but each row lists its labels by name.",
    "label_names": "label names were given, but the source names its labels itself.",
}

_SPELLED = {"minus_one": "--minus-one-is"}


def option_of(name: str) -> str:
    """How an option is written on the command line."""
    return _SPELLED.get(name, f"--{name.replace('_', '-')}")
