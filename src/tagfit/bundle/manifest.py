"""How a bundle describes its model and its own files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from msgspec import Meta

from tagfit.decisions.decider import Decider
from tagfit.errors import BundleError
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.recipes import Recipe
from tagfit.records.data import Part, Preprocessing
from tagfit.records.scores import Interval, Scores

MOST_MEMBERS, MOST_LABELS = 100, 100_000

Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z", description="a SHA-256, 64 hex digits")]
Version = Annotated[str, Meta(max_length=60, description="the version that wrote this")]
Members = Annotated[
    tuple[Recipe, ...],
    Meta(min_length=1, max_length=MOST_MEMBERS, description=f"a list of 1 to {MOST_MEMBERS} recipes"),
]
LabelNames = Annotated[
    tuple[str, ...],
    Meta(min_length=1, max_length=MOST_LABELS, description=f"a list of 1 to {MOST_LABELS:,} label names"),
]


@dataclass(frozen=True)
class ListedFile:
    """A file as the manifest lists it: bytes, and SHA-256 in hex."""

    size: Annotated[int, Meta(ge=0, description="a size in bytes")]
    sha256: Sha256


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What people know a model by: its data, its day, and what it scores. Without scores if no part scored it.

    Attributes:
        data: the name of the data set.
        made: the day it was trained, as 2026-11-30, in UTC.
        metric: what `score` is.
        part: what `score` and `label_f1` are of: test, or val if there is no test part.
        label_f1: of what the decisions make of each label; None for a label that nobody in `part` has.
    """

    data: Annotated[str, Meta(max_length=1000)]
    made: Annotated[str, Meta(max_length=40)]
    metric: Annotated[str, Meta(max_length=40)] = ""
    part: Part | None = None
    score: float | None = None
    interval: Interval | None = None
    label_f1: Annotated[tuple[float | None, ...], Meta(max_length=MOST_LABELS)] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Description:
    """What a person, or a program, has to know of a model to use it. A field that is added here is in every bundle.

    Attributes:
        members: the recipe of each network.
        label_names: in the order of the scores.
        decider: what makes labels of scores.
        scores: of the delivered weights, by part; none of a refitted network.
        grouped_by: what said which samples belong together, as in Split; None in old bundles.
        origin: None in old bundles.
    """

    recipe: Recipe
    members: Members
    preprocessing: Preprocessing
    label_names: LabelNames
    decider: Decider
    constant_baseline: ConstantBaseline
    scores: Mapping[Part, Scores | None]
    lock: Sha256
    grouped_by: Annotated[str, Meta(max_length=1000)] | None = None
    origin: Origin | None = None

    @property
    def described(self) -> dict[str, Any]:
        """The fields of a description alone, to make another record of."""
        return {field.name: getattr(self, field.name) for field in fields(Description)}


@dataclass(frozen=True, eq=False, kw_only=True)
class Manifest(Description):
    """`manifest.json`, protocol 4.

    Raises:
        BundleError: parts that are made for another number of labels, or names that stand twice; all of them.
    """

    protocol: Literal[4]
    tagfit: Version
    files: Mapping[str, ListedFile]

    def __post_init__(self) -> None:
        labels, frequencies = len(self.label_names), len(self.constant_baseline.frequencies)
        faults = self.decider.label_faults(labels)
        if frequencies != labels:
            faults.append(f"constant_baseline is for {frequencies:,} labels; {labels:,} are named")
        if self.origin is not None and len(self.origin.label_f1) not in (0, labels):
            faults.append(f"origin is for {len(self.origin.label_f1):,} labels; {labels:,} are named")
        if len(set(self.label_names)) < labels:
            faults.append("label_names are not all different")
        if faults:
            raise BundleError(faults)
