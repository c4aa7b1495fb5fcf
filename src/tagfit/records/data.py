"""Labels, samples, their split and the lock.

Shapes: N samples, L labels, D features, H x W pixels. Suffixes of array names say their axes: `labels_NL`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tagfit.io.ranges import Count, Positive
from tagfit.options.data import DataSource
from tagfit.records.form import ImageForm

#: an array of any dtype
Array = NDArray[Any]

#: the three values of a label cell; an unknown cell is never read as no
YES, NO, UNKNOWN = 1, 0, -1

#: the parts of a split: fitting uses train, choosing val, fitted rules calibrate; test is scored once, at the end
Part = Literal["train", "val", "calibrate", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "calibrate", "test")

Kind = Literal["images", "features"]

#: what white is in an array of floats: images go from 0 to 1, or from 0 to 255
PixelRange = Literal[1, 255]


def hash_keys(hashes: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """(N,) the (N, 32) hashes as single values, to sort and compare."""
    return np.ascontiguousarray(hashes).view("S32").ravel()


def only_yes(labels_NL: NDArray[np.int8]) -> bool:
    """Whether some cells are yes, some unknown, and none is no: as where one label was written down a sample."""
    return bool((labels_NL == YES).any() and (labels_NL == UNKNOWN).any() and not (labels_NL == NO).any())


def disagree(labels_NL: NDArray[np.int8]) -> bool:
    """Whether a label is yes of one sample and no of another; unknown says neither."""
    return bool(((labels_NL == YES).any(axis=0) & (labels_NL == NO).any(axis=0)).any())


@dataclass(frozen=True, eq=False)
class LabelTable:
    """What a label source says, before any image is opened.

    Exactly one of `files`, `encoded` and `x` is set.

    Attributes:
        name: short name of the data, for messages and folder names.
        label_names: (L,) names in the order of the columns of `labels_NL`.
        labels_NL: (N, L) int8 of YES, NO, UNKNOWN.
        sample_names: (N,) how messages and outputs call each sample: the path as written, or `row 17`.
        files: (N,) the image files, or None.
        encoded: (N,) the bytes of image files that lie in memory, or None.
        x: (N, D) float32 features or (N, H, W, 3) uint8 images, or None.
        feature_names: (D,) names of the columns of features; none where they have none.
        pixel_range: of the array that `x` was read from.
        given_split: (N,) int8 index into PARTS where the person brought a split, else None.
        metadata: further columns, by name, each (N,) text as written.
        absent_label: what a label name that the source does not mention means: NO where each sample lists
            all its labels, UNKNOWN where every label has a column.
        notes: what the person should be told about how the source was read.
        set_aside: (sample name, reason) of each image that is missing, or whose labels are inside it and could not be
            read; not among the N.
        reading: how the source was read: which column or file gave names, labels and split, what was left out and why.
        unlabelled: image files that the source names and nobody has labelled; not among the N.
    """

    name: str
    label_names: tuple[str, ...]
    labels_NL: NDArray[np.int8]
    sample_names: tuple[str, ...]
    files: tuple[Path, ...] | None = None
    encoded: tuple[bytes, ...] | None = None
    x: Array | None = None
    feature_names: tuple[str, ...] = ()
    pixel_range: PixelRange = 255
    given_split: NDArray[np.int8] | None = None
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent_label: int = UNKNOWN
    notes: tuple[str, ...] = ()
    set_aside: tuple[tuple[str, str], ...] = ()
    reading: tuple[str, ...] = ()
    unlabelled: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.sample_names)

    @property
    def kind(self) -> Kind:
        return "features" if self.x is not None and self.x.ndim == 2 else "images"


@dataclass(frozen=True)
class Backbone:
    """A vision network that was trained elsewhere: what it is, and what images it takes.

    Attributes:
        name: the folder's name or the hub's, as given.
        revision: the hub's commit; empty for a folder.
        sha256: the hash of its weights file, in hex.
        config: transformers' own configuration, from which the network is built.
        features: D, how many features it makes of an image.
        form: how an image becomes its pixels.
        mean: the mean of each colour, which is subtracted from pixels in [0, 1].
        std: the deviation of each colour, which pixels are then divided by.
    """

    name: str
    revision: str
    sha256: str
    config: Mapping[str, Any]
    features: Count
    form: ImageForm
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]

    def __str__(self) -> str:
        return f"{self.name} ({f'revision {self.revision[:12]}, ' if self.revision else ''}sha256 {self.sha256[:12]})"

    def identity(self) -> dict[str, object]:
        """What makes its features what they are, wherever it lies and whatever it is called."""
        return {
            "sha256": self.sha256,
            "config": hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest(),
            "features": self.features,
            "form": asdict(self.form),
            "mean": self.mean,
            "std": self.std,
        }


class PretrainedNetwork(Protocol):
    """A backbone with its network, for the rooms that may run it: `models.backbones.Pretrained`."""

    @property
    def backbone(self) -> Backbone: ...


@dataclass(frozen=True)
class Preprocessing:
    """How a sample becomes a network's input: fixed before a cure begins, part of the lock.

    Images: the whole image to `size` x `size` RGB, then p / 255. Features: as they are, or what `backbone` makes
    of images in its own form.

    Attributes:
        kind: what the network takes: images, or features.
        shape: the shape of one sample: (height, width, 3), or (features,).
        scale: what every value is divided by.
        backbone: the pretrained network that makes features of images; None if there is none.
        feature_names: (D,) the names of the features, in the order that the network takes; empty if they have none.
        pixel_range: what white is in images that come as an array of floats.

    Raises:
        ValueError: a shape that is none of this kind, not what the backbone makes, or other than named.
    """

    kind: Kind
    shape: tuple[Count, ...]
    scale: Positive = 1.0
    backbone: Backbone | None = None
    feature_names: tuple[str, ...] = ()
    pixel_range: PixelRange = 255

    def __post_init__(self) -> None:
        if len(self.shape) != (3 if self.kind == "images" else 1):
            raise ValueError(f"there is no preprocessing of {self.kind} to the shape {self.shape}")
        if self.backbone is not None and self.shape != (self.backbone.features,):
            raise ValueError(f"the backbone makes {self.backbone.features} features, not {self.shape}")
        if self.feature_names and (self.takes_images or self.shape != (len(set(self.feature_names)),)):
            raise ValueError(f"{len(self.feature_names)} feature names are not those of {self.kind} of {self.shape}")

    @property
    def takes_images(self) -> bool:
        """Whether images go in: as they are, or to be looked at by a backbone."""
        return self.kind == "images" or self.backbone is not None

    @property
    def form(self) -> ImageForm | None:
        """What an image file is brought to; None where no form gives what goes in."""
        if self.backbone is not None:
            return self.backbone.form
        height, width, *_ = *self.shape, 0
        return ImageForm(height) if self.kind == "images" and height == width else None

    @property
    def taken(self) -> tuple[int, ...]:
        """The shape of one sample as it goes in."""
        return self.shape if self.backbone is None else (self.backbone.form.size, self.backbone.form.size, 3)

    @property
    def input_name(self) -> str:
        """What goes in, in a word."""
        return "images" if self.takes_images else "features"

    def identity(self) -> dict[str, object]:
        """What the lock covers of it; images are called pictures there, as they always were.

        Names and ranges say how samples come, not what they are once they are read.
        """
        kind = "pictures" if self.kind == "images" else self.kind
        backbone = {} if self.backbone is None else {"backbone": self.backbone.identity()}
        return {"kind": kind, "shape": self.shape, "scale": self.scale, **backbone}


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples ready for a network, with their labels.

    Attributes:
        x: (N, D) float32 or (N, H, W, 3) uint8; may be a memory map.
        hashes: (N, 32) uint8, SHA-256 of each sample's encoded file bytes or array bytes.
        set_aside: (sample name, reason) of each image that could not be read; not among the N.
        pixels: (N, S, S, 3) uint8 images that a backbone made `x` of; may be a memory map. None elsewhere.
        pretrained: that backbone with its network, for the rooms that may run it.
        files: (N,) where each image came from, a file or bytes in memory; None of arrays.
        the other attributes are as in LabelTable.
    """

    name: str
    label_names: tuple[str, ...]
    labels_NL: NDArray[np.int8]
    sample_names: tuple[str, ...]
    x: Array
    hashes: NDArray[np.uint8]
    preprocessing: Preprocessing
    given_split: NDArray[np.int8] | None = None
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent_label: int = UNKNOWN
    notes: tuple[str, ...] = ()
    set_aside: tuple[tuple[str, str], ...] = ()
    pixels: NDArray[np.uint8] | None = None
    pretrained: PretrainedNetwork | None = None
    files: tuple[Path | bytes, ...] | None = None
    reading: tuple[str, ...] = ()
    unlabelled: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.preprocessing.shape))
        return f"<{self.name}: {len(self):,} {self.kind} of {shape}, {len(self.label_names)} labels>"

    def __len__(self) -> int:
        return len(self.sample_names)

    @property
    def kind(self) -> Kind:
        return self.preprocessing.kind

    @property
    def images(self) -> NDArray[np.uint8] | None:
        """(N, H, W, 3) uint8 images, whatever a network is given of them; None of feature rows."""
        return self.x if self.kind == "images" else self.pixels


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Whether images that follow each other are more alike than chance.

    Attributes:
        by: what they follow each other by: `file numbers` or `capture times`.
        pairs: (M, 2) rows of all neighbours.
        alike: how often neighbours are more alike than a random pair of the same series and labels; 0.5 by chance.
        p_value: of the permutation test.
    """

    by: str
    pairs: NDArray[np.intp]
    alike: float
    p_value: float

    @property
    def telling(self) -> bool:
        return self.p_value <= 0.01 and self.alike >= 0.55

    def across(self, parts: NDArray[np.int8]) -> NDArray[np.intp]:
        """The pairs that lie in two parts."""
        first, second = self.pairs.T
        parted: NDArray[np.intp] = self.pairs[parts[first] != parts[second]]
        return parted


@dataclass(frozen=True, eq=False)
class Likeness:
    """Which images flatter a score when they lie in two parts; nothing is known of feature rows.

    Attributes:
        near_copies: groups of rows whose images are nearly the same.
        neighbours: None where there are too few of them.
    """

    near_copies: tuple[NDArray[np.intp], ...] = ()
    neighbours: Neighbours | None = None


@dataclass(frozen=True, eq=False)
class Split:
    """Which part each sample belongs to.

    Attributes:
        parts: (N,) int8 index into PARTS.
        notes: what the person should be told about how it came about.
        likeness: what was known of the samples when they were dealt.
        folds: (N,) int8 fold of each sample of train, -1 for all others; or None where there are none.
        groups: (N,) numbers of what was kept together; or None where every sample stands alone.
        grouped_by: `auto`, `blocks`, `none`, `given`, or the metadata column that says what belongs together.
        questions: what a person should answer before scores are trusted; among the notes as well.
    """

    parts: NDArray[np.int8]
    notes: tuple[str, ...] = ()
    likeness: Likeness = Likeness()
    folds: NDArray[np.int8] | None = None
    groups: NDArray[np.intp] | None = None
    grouped_by: str = "auto"
    questions: tuple[str, ...] = ()

    def rows(self, part: Part) -> NDArray[np.intp]:
        """Row numbers of one part, ascending."""
        return np.flatnonzero(self.parts == PARTS.index(part))

    @property
    def counts(self) -> dict[str, int]:
        return {part: int((self.parts == code).sum()) for code, part in enumerate(PARTS)}


@dataclass(frozen=True, eq=False)
class LockedSamples:
    """The samples of a lock, as a run keeps them: what each one was, in which part, with which labels.

    Attributes:
        hashes: (N, 32) uint8, as in Dataset.
        labels_NL: (N, L) int8 of YES, NO, UNKNOWN.
        parts: (N,) int8 index into PARTS.
        folds: (N,) int8 as in Split; None where there are none.
    """

    label_names: tuple[str, ...]
    hashes: NDArray[np.uint8]
    labels_NL: NDArray[np.int8]
    parts: NDArray[np.int8]
    folds: NDArray[np.int8] | None = None


@dataclass(frozen=True, eq=False)
class EarlierRun:
    """The run that a training goes on from: its folder, its lock and the samples of that lock."""

    folder: Path
    lock: str
    samples: LockedSamples


@dataclass(frozen=True, eq=False, repr=False)
class LockedData:
    """What every run of a fit or a cure is trained and scored on: data and split, fixed.

    Attributes:
        lock: the fingerprint, as hex; the same wherever and in whatever order the files lie.
        content: SHA-256 of `dataset.x` as it lies in memory, to prove that it stayed what it was.
        source: where the data came from and how it was read; None if it came from memory. Not part of the lock.
        earlier: the run whose split is kept; None unless one was named. Not part of the lock.
    """

    dataset: Dataset
    split: Split
    lock: str
    content: str
    source: DataSource | None = None
    earlier: EarlierRun | None = None

    def __repr__(self) -> str:
        parts = ", ".join(f"{part} {count:,}" for part, count in self.split.counts.items() if count)
        return f"<{self.dataset!r}: {parts}; lock {self.lock[:12]}>"

    def labels(self, part: Part) -> NDArray[np.int8]:
        """(n, L) int8 labels of one part."""
        return self.dataset.labels_NL[self.split.rows(part)]

    @property
    def single_positive(self) -> bool:
        """Whether of train only yes is known, never no: all else is unknown."""
        return only_yes(self.labels("train"))
