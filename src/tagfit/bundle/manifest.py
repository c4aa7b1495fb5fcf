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
from tagfit.records.scores import Scores

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


@dataclass(frozen=True, eq=False, kw_only=True)
class Description:
    """What a person, or a program, has to know of a model to use it. A field that is added here is in every bundle.

    Attributes:
        members: the recipe of each network.
        label_names: in the order of the scores.
        decider: what makes labels of scores.
        scores: of the delivered weights, by part; none of a refitted network.
        grouped_by: what said which samples belong together, as in Split; None in old bundles.
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
        if len(set(self.label_names)) < labels:
            faults.append("label_names are not all different")
        if faults:
            raise BundleError(faults)
