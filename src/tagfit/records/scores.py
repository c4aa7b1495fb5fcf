"""Scores of one part, their intervals, and the target they are held against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from tagfit.errors import RecipeError, did_you_mean

if TYPE_CHECKING:  # it loads NumPy
    from tagfit.records.data import Part

#: the parts that are scored and shown; calibrate only serves fitting
SCORED_PARTS: tuple[Part, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Scores:
    """All metrics of one part; fractions but for coverage_error; None where undefined. Defined in docs/metrics.md.

    `left_out` counts, by metric, the labels or samples for which it is undefined and which its mean leaves out.
    """

    keras_accuracy: float | None
    label_accuracy: float | None
    subset_accuracy: float | None
    jaccard: float | None
    micro_f1: float | None
    macro_f1: float | None
    sample_f1: float | None
    hamming_loss: float | None
    ranking_loss: float | None
    coverage_error: float | None
    one_error: float | None
    lrap: float | None
    map: float | None
    micro_ap: float | None
    log_loss: float | None
    ece: float | None
    left_out: Mapping[str, int] = field(default_factory=dict, compare=False)

    def to_dict(self) -> dict[str, float | None]:
        return {name: getattr(self, name) for name in METRICS}

    @classmethod
    def from_dict(cls, values: Mapping[str, float | None]) -> Scores:
        ordered: Any = [values[name] for name in METRICS]
        return cls(*ordered)


METRICS: tuple[str, ...] = tuple(f.name for f in fields(Scores) if f.name != "left_out")
LOWER_IS_BETTER = frozenset({"hamming_loss", "ranking_loss", "coverage_error", "one_error", "log_loss", "ece"})
#: the metrics that a target may name: fractions where more is better
TARGET_METRICS: tuple[str, ...] = tuple(name for name in METRICS if name not in LOWER_IS_BETTER)


class Interval(NamedTuple):
    """Where the truth lies with 95% confidence, both ends included; in the units of what it is of. A list in JSON."""

    low: float
    high: float

    def __contains__(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)


@dataclass(frozen=True)
class Target:
    """The bands to reach: train below one value, val at least another.

    Attributes:
        train_ranks: whether a run within both bands goes before one with a better val score; otherwise val alone
            ranks, and the train band is only reported.
    """

    metric: str = "micro_f1"
    train_below: float = 0.92
    val_at_least: float = 0.85
    train_ranks: bool = True

    def __post_init__(self) -> None:
        faults = []
        if self.metric not in TARGET_METRICS:
            hint = did_you_mean(str(self.metric), TARGET_METRICS)
            faults.append(f"metric must be one of {', '.join(TARGET_METRICS)}; got {self.metric!r}.{hint}")
        for name in ("train_below", "val_at_least"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1):
                faults.append(f"{name} must be a fraction from 0 to 1; got {value!r}")
        if faults:
            raise RecipeError(faults)

    def of(self, scores: Scores) -> float | None:
        """The target's metric among `scores`."""
        value: float | None = getattr(scores, self.metric)
        return value

    def met_by(self, train: Scores, val: Scores) -> bool:
        on_train, on_val = self.of(train), self.of(val)
        if on_train is None or on_val is None:
            return False
        return on_train < self.train_below and on_val >= self.val_at_least

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
