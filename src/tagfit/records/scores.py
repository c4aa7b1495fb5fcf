"""Scores of one part, their intervals, and the target they are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from tagfit.errors import RecipeError, did_you_mean
from tagfit.io.scalars import plain
from tagfit.options.checks import FRACTION
from tagfit.records.data import Part


@dataclass(frozen=True)
class Scores:
    """All metrics of one part; fractions but for coverage_error; None where undefined. Defined in docs/metrics.md."""

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

    def __getitem__(self, metric: str) -> float | None:
        """The metric of that name."""
        value: float | None = getattr(self, metric)
        return value


#: the parts that are scored; calibrate is for what is fitted alone
SCORED_PARTS: tuple[Part, ...] = ("train", "val", "test")

#: scores by part; None where a part was not scored
ByPart = Mapping[str, Scores | None]

METRICS: tuple[str, ...] = tuple(f.name for f in fields(Scores))
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
        metric: the metric that is asked for.
        train_below: the score that train must stay below; 1 asks nothing of train.
        val_at_least: the score to reach on val while recipes are tried; the verdict asks it of new samples.
        train_ranks: whether a run within both bands is preferred to one with a better val score. If not, val alone
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
            try:
                object.__setattr__(self, name, FRACTION.accept(plain(getattr(self, name))))
            except ValueError as hint:
                dot = "." if str(hint) else ""
                faults.append(f"{name} must be {FRACTION.expected}; got {getattr(self, name)!r}{dot}{hint}")
        if faults:
            raise RecipeError(faults)

    def allows_train(self, score: float) -> bool:
        """Whether a score on train lies in its band."""
        return score < self.train_below or self.train_below >= 1


@dataclass(frozen=True)
class SmallSample:
    """What two metrics owe to [how few samples there are](metrics.md#few-samples).

    Attributes:
        perfect_ece: the ECE that a perfectly calibrated model with such probabilities has on as many samples, on
            average.
        corrected_map: the mAP, less what few samples of rare labels add to it, as far as random halves show that.
    """

    perfect_ece: float | None
    corrected_map: float | None

    def __getitem__(self, metric: str) -> float | None:
        """What stands beside the metric."""
        return {"ece": self.perfect_ece, "map": self.corrected_map}[metric]


@dataclass(frozen=True)
class EstimatedScore:
    """A score that is estimated, because no samples are left to compute it on.

    Attributes:
        value: the estimate; None if it is unknown.
        interval: its 95% interval; None if it is unknown.
    """

    value: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Difference:
    """By how much a metric differs between two models, on the same samples.

    Attributes:
        value: the one model's less the other's.
        low: the lower end of its 95% interval.
        high: the upper end.
        within_noise: whether the interval holds 0: other samples might show no difference, or the opposite one.
        error: its standard error.
    """

    value: float
    low: float
    high: float
    within_noise: bool
    error: float = 0.0

    @classmethod
    def around(cls, value: float, interval: Interval, error: float) -> Difference:
        return cls(value, *interval, 0.0 in interval, error)

    @property
    def interval(self) -> Interval:
        return Interval(self.low, self.high)

    def __str__(self) -> str:
        noise = "inside the noise; " if self.within_noise else ""
        return f"{self.value:+.3f} ({noise}95%: {self.low:+.3f} to {self.high:+.3f})"


#: after minus before, by part and metric; None where either has no standard error
Differences = Mapping[Part, Mapping[str, Difference | None]]
