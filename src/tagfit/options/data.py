"""How data is read, split and locked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypedDict

from tagfit.options.checks import (
    SEED,
    SWITCH,
    choice,
    columns,
    megapixels,
    names,
    place,
    shares,
    text_or_values,
    whole,
    word,
)
from tagfit.options.option import Options, option
from tagfit.options.shared import device_option, on_option

#: pixels of an image's width and height, at most
MOST_PIXELS_A_SIDE = 4096

#: more would be leaving one out, which several labels do not need
MOST_FOLDS = 20


@dataclass(frozen=True, kw_only=True)
class ReadingOptions(Options):
    """What only the person can say about a source of labels, where its reading is not clear."""

    image_column: str | None = option(
        None, "The column, or the key of a tool's export, that holds the images' paths.", word("COLUMN"), "Label file"
    )
    label_column: str | Sequence[str] | None = option(
        None,
        "A column that lists labels, or one that holds yes and no for a label. Repeat it for each column.",
        columns(),
        "Label file",
        several=True,
    )
    split_column: str | None = option(
        None, "The column that holds each sample's part, such as train or test.", word("COLUMN"), "Label file"
    )
    blank_is: Literal["no", "unlabelled"] | None = option(
        None,
        "What a sample without any entry means: it has none of the labels (no), or nobody labelled it (unlabelled).",
        choice("no", "unlabelled"),
        "Label file",
    )
    none_is: str | None = option(
        None,
        "The word that means that a sample has none of the labels, if it is an unusual one.",
        word("WORD"),
        "Label file",
    )
    label_separator: str | None = option(
        None, "The text that separates the labels in a field, if tagfit cannot detect it.", word(), "Label file"
    )
    strip_prefix: str | None = option(
        None, "Remove this text from the beginning of image names in the label file.", word(), "Label file"
    )
    header: Literal["none"] | None = option(
        None,
        "Say that the table has no header: its columns are then called `column 1`, `column 2`.",
        choice("none"),
        "Label file",
    )
    label_names: Sequence[str] | None = option(
        None, "The names of the labels, in order, if the data only numbers them.", names(), "Label file"
    )
    minus_one: Literal["no", "unknown"] | None = option(
        None,
        "What -1 means in a label matrix of -1 and +1.",
        choice("no", "unknown"),
        "Label file",
        flag="--minus-one-is",
    )
    machine_tags: bool = option(
        False,
        "Also take keywords as labels that tagfit itself wrote into sidecars.",
        SWITCH,
        "Label file",
    )


class ReadingKeywords(TypedDict, total=False):
    """`ReadingOptions` as keyword arguments."""

    image_column: str | None
    label_column: str | Sequence[str] | None
    split_column: str | None
    blank_is: Literal["no", "unlabelled"] | None
    none_is: str | None
    label_separator: str | None
    strip_prefix: str | None
    header: Literal["none"] | None
    label_names: Sequence[str] | None
    minus_one: Literal["no", "unknown"] | None
    machine_tags: bool


@dataclass(frozen=True, kw_only=True)
class LabelOptions(ReadingOptions):
    """How labels and images are read."""

    images: str | Path | None = option(
        None,
        "The folder that image paths are relative to, if it is not the label file's folder.",
        place("ROOT"),
        "Data",
    )
    max_pixels: int | None = option(
        None,
        "Set images with more megapixels aside without decoding them.",
        whole(1),
        "Data",
        usual="100 megapixels",
        flag="--max-megapixels",
        typed=megapixels(),
    )
    strict: bool = option(False, "Stop if an image cannot be read, instead of leaving it out.", SWITCH, "Data")
    corrections: str | Path | None = option(
        None,
        "Apply the corrections of labels in this file (JSON lines) to the data.",
        place("FILE"),
        "Data",
    )


@dataclass(frozen=True, kw_only=True)
class FormOptions(Options):
    """What images become, and where."""

    size: int | None = option(
        None, "Resize images to this width and height.", whole(1, MOST_PIXELS_A_SIDE, "PIXELS"), "Data", usual="64"
    )
    backbone: str | Path | None = option(
        None,
        "Train on the features of a pretrained vision network: its folder, or owner/name on the Hugging Face hub.",
        place("FOLDER|NAME"),
        "Data",
    )
    device: str = device_option()
    on: str | None = on_option()

    @classmethod
    def conflicts(cls, given: Mapping[str, object], name: Callable[[str], str]) -> Iterator[str]:
        yield from super().conflicts(given, name)
        if "size" in given and "backbone" in given:
            yield f"{name('size')} was given, but a backbone has its own"


@dataclass(frozen=True, kw_only=True)
class ReadOptions(LabelOptions, FormOptions):
    """How data is read."""


class ReadKeywords(ReadingKeywords, total=False):
    """`ReadOptions` as keyword arguments."""

    images: str | Path | None
    max_pixels: int | None
    strict: bool
    corrections: str | Path | None
    size: int | None
    backbone: str | Path | None
    device: str
    on: str | None


@dataclass(frozen=True, kw_only=True)
class SplitOptions(Options):
    """Which part each sample belongs to."""

    split: str | Mapping[str, float] | None = option(
        None,
        "The percentages of train, val and test, if the data has no split of its own.",
        shares(),
        "Data",
        usual="70/15/15",
    )
    folds: int | None = option(
        None,
        "Use K folds instead of train and val, which suits small data: each sample is scored by a network that "
        "has not seen it.",
        whole(2, MOST_FOLDS, "K"),
        "Data",
    )
    groups: str | Iterable[object] | None = option(
        None,
        "Which samples to keep in the same part: near-copies (auto), also neighbouring files (blocks), only "
        "identical files (none), or "
        "those with the same value in a column.",
        text_or_values("auto|blocks|none|COLUMN"),
        "Data",
        usual="auto",
    )
    split_seed: int = option(
        0, "The seed of the split: another number assigns the samples to other parts.", SEED, "Data"
    )
    from_run: str | Path | None = option(
        None,
        "Go on from this run: each sample stays in the part that it had there, and new samples join. A cure tries the "
        "run's recipe first, and compares the two models.",
        place("RUN"),
        "Data",
        flag="--from",
    )
    calibrate: bool = option(
        False, "Set a calibrate part aside if there is none. A guarantee needs one.", SWITCH, "Data", flag=None
    )

    @classmethod
    def conflicts(cls, given: Mapping[str, object], name: Callable[[str], str]) -> Iterator[str]:
        yield from super().conflicts(given, name)
        if "from_run" in given and "folds" in given:
            yield f"{name('from_run')} and {name('folds')} were both given, but the run decides on its folds"


@dataclass(frozen=True, kw_only=True)
class DataOptions(ReadOptions, SplitOptions):
    """How data is read, split and locked."""


class DataKeywords(ReadKeywords, total=False):
    """`DataOptions` as keyword arguments."""

    split: str | Mapping[str, float] | None
    split_seed: int
    groups: str | Iterable[object] | None
    folds: int | None
    from_run: str | Path | None
    calibrate: bool


@dataclass(frozen=True)
class DataSource:
    """Where data came from and how it was read: options as `load` takes them.

    Attributes:
        data: the path that was read or, if it is none, what was given, such as `postcards:2400`.
    """

    data: str
    images: str | None = None
    size: int | None = None
    backbone: str | None = None
    split: str | Mapping[str, float] | None = None
    split_seed: int = 0
    groups: str | None = None
    calibrate: bool = False
    folds: int | None = None
    from_run: str | None = None
    image_column: str | None = None
    label_column: tuple[str, ...] | None = None
    split_column: str | None = None
    blank_is: Literal["no", "unlabelled"] | None = None
    none_is: str | None = None
    label_separator: str | None = None
    strip_prefix: str | None = None
    header: Literal["none"] | None = None
    label_names: tuple[str, ...] | None = None
    minus_one: Literal["no", "unknown"] | None = None
    machine_tags: bool = False
    max_pixels: int | None = None
    strict: bool = False
    corrections: str | None = None

    @classmethod
    def of(cls, data: str | Path, options: DataOptions) -> DataSource:
        """With paths as they are called from anywhere."""
        values = {one.name: getattr(options, one.name) for one in fields(cls) if one.name != "data"}
        named = {name: getattr(options, name) for name in ("images", "backbone", "corrections", "from_run")}
        places = {name: None if path is None else _place(path) for name, path in named.items()}
        return cls(**{**values, **places, "data": _place(data)})

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of `load` that read it again."""
        return {name: value for name, value in vars(self).items() if name != "data"}


def _place(name: str | Path) -> str:
    """A path as it is called from anywhere; what is no path, such as `postcards:2400`, as it is."""
    return str(Path(name).resolve()) if Path(name).exists() else str(name)
