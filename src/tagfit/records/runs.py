"""What became of recipes: runs, searches, findings.

Shapes: N samples, L labels, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tagfit.recipes import Recipe
from tagfit.records.scores import METRICS, ByPart, Interval, Scores

#: the row of an epoch: `epoch` from 1, `fold` where there are folds, `train_loss`, `val_loss`, `seconds`, and the
#: target's metric on val and, where train was scored, on train
Row = Mapping[str, int | float | None]


@dataclass(frozen=True)
class FoldRun:
    """What one fold's network came to.

    Attributes:
        scores: on `train`, what it was trained on, and on `val`, the fold it has not seen.
        delivered_epoch: whose weights stayed.
    """

    scores: ByPart
    delivered_epoch: int


@dataclass(frozen=True)
class Folds:
    """All folds, and by part the mean and the standard deviation of each metric over them."""

    each: tuple[FoldRun, ...]
    mean: Mapping[str, Scores]
    deviation: Mapping[str, Scores]

    @classmethod
    def over(cls, each: Sequence[FoldRun]) -> Folds:
        by_part = {part: [scores for fold in each if (scores := fold.scores[part])] for part in ("train", "val")}

        def pooled(least: int, pool: Callable[[list[float]], float]) -> dict[str, Scores]:
            return {part: _pooled(several, least, pool) for part, several in by_part.items()}

        return cls(tuple(each), pooled(1, mean), pooled(2, stdev))


def _pooled(several: Sequence[Scores], least: int, pool: Callable[[list[float]], float]) -> Scores:
    """Each metric over the scores that have it; None where fewer than `least` do."""
    known = {metric: [value for one in several if (value := one[metric]) is not None] for metric in METRICS}
    return Scores(**{metric: float(pool(values)) if len(values) >= least else None for metric, values in known.items()})


@dataclass(frozen=True, eq=False)
class Run:
    """One recipe trained on one lock.

    Where there are folds, it is a network for each: its `train` scores are of all that they were trained on, together,
    its `val` scores of every sample by the network that has not seen it.

    Attributes:
        scores: by part, of the delivered weights in inference mode, uncalibrated, decided at 0.5.
        constant: what the best constant baseline, chosen on train, would get.
        history: a row an epoch, of one fold after the other.
        delivered_epoch: whose weights were delivered; None where each fold has its own.
        state: finished, stopped, pruned (stopped early by a search), diverged, or failed (with the machines that it
            was trained on); neither of the last two has scores.
        engine: what trained it: the compiled loops or torch's.
        recalibration: slope and shift that the network's logits were given, fitted on val, where its loss shifts
            probabilities.
        decided: what calibration and rules make of the same probabilities; `scores` where nothing was asked for.
        left_out: by part and metric, how many labels or samples the mean leaves out.
        folds: None where there are none.
    """

    recipe: Recipe
    lock: str
    scores: ByPart
    constant: ByPart = field(default_factory=dict)
    history: tuple[Row, ...] = ()
    delivered_epoch: int | None = None
    parameters: int = 0
    seconds: float = 0.0
    state: Literal["finished", "stopped", "pruned", "diverged", "failed"] = "finished"
    engine: Literal["compiled", "torch"] = "torch"
    recalibration: tuple[float, float] | None = None
    decided: ByPart = field(default_factory=dict)
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    folds: Folds | None = None

    def score(self, part: str, metric: str) -> float | None:
        """A metric of a part; None where the part was not scored, or the metric is undefined there."""
        scores = self.scores.get(part)
        return None if scores is None else scores[metric]

    @property
    def trial(self) -> Trial:
        """Its short form."""
        scores = {part: self.scores.get(part) for part in ("train", "val")}
        return Trial(self.recipe, scores, self.lock, self.state, round(self.seconds, 3))


@dataclass(frozen=True)
class Trial:
    """A recipe that was tried; see Run."""

    recipe: Recipe
    scores: ByPart
    lock: str
    state: Literal["finished", "stopped", "pruned", "diverged", "failed"]
    seconds: float

    def score(self, part: str, metric: str) -> float | None:
        """As that of a Run."""
        scores = self.scores.get(part)
        return None if scores is None else scores[metric]


@dataclass(frozen=True)
class SearchSummary:
    """How many generations were searched, in how many seconds, and the overhead: what fraction of these went neither
    into training nor into scoring.
    """

    generations: int
    seconds: float
    overhead: float


@dataclass(frozen=True)
class SeedSpread:
    """The mean and the standard deviation of the target's metric over seeds; None where there are too few."""

    mean: float | None
    deviation: float | None


@dataclass(frozen=True)
class RepeatsRecord:
    """A recipe on several seeds."""

    recipe: Recipe
    seeds: int
    train: SeedSpread
    val: SeedSpread


@dataclass(frozen=True)
class IngredientRecord:
    """What an ingredient brings, as in Ingredient."""

    ingredient: str
    change: float | None
    noise: float
    without: RepeatsRecord

    @property
    def remark(self) -> str:
        """What the seeds and val's samples show of it."""
        return "not shown to help" if self.change is not None and self.change <= self.noise else ""


# ------------------------------------------------------------------------------------------- diagnosis


@dataclass(frozen=True)
class Finding:
    """Something that a check of a diagnosis saw, in plain sentences.

    Attributes:
        check: which check saw it.
        strength: from 0 to 1; the worst is told first.
        interval: where the strength lies with 95% confidence; None where it is counted, not estimated.
        seen: what was seen, in figures.
        meaning: what follows from it.
        todo: the command or the ingredient that answers it.
        names: the labels or samples concerned, the worst first.
        tries: candidates of the ladder that answer it: a cure tries them first.
        of: what is accused: data or model, or in the record of a run `after` or `before`.
        code: the stable code of the check, such as TAG001; empty in records of older versions.
    """

    check: str
    strength: float
    interval: Interval | None
    seen: str
    meaning: str
    todo: str
    names: tuple[str, ...] = ()
    tries: tuple[str, ...] = ()
    of: str = ""
    code: str = ""


@dataclass(frozen=True)
class Power:
    """What a check that found nothing would have found in this data, in a sentence.

    Attributes:
        probability: with which it finds the fault that the sentence names.
    """

    check: str
    probability: float
    seen: str


@dataclass(frozen=True)
class Units:
    """How many hidden units a layer has, and how many of them answer 0 to every sample that was asked for."""

    layer: str
    dead: int
    count: int


@dataclass(frozen=True, eq=False)
class Fitting:
    """A quick training that a check asks for; what comes of it are probabilities (len(ask), L).

    Attributes:
        labels_NL: (N, L) int8 of YES, NO, UNKNOWN: whatever is to be told, one row a sample of the data.
        rows: the rows to train on.
        ask: the rows to give probabilities for.
        stop: the rows that a recipe with patience stops by; those of `ask` unless given.
        x_ND: (N, D) float32 in place of the evidence's own features.
        recipe: in place of the evidence's own: a dense one.
    """

    labels_NL: NDArray[np.int8]
    rows: NDArray[np.intp]
    ask: NDArray[np.intp]
    seed: int = 0
    stop: NDArray[np.intp] | None = None
    x_ND: NDArray[np.float32] | None = None
    recipe: Recipe | None = None
