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
from tagfit.records.scores import METRICS, ByPart, Difference, Interval, Scores

#: the row of an epoch: `epoch` from 1, `fold` where there are folds, `train_loss`, `val_loss`, `seconds`, and the
#: target's metric on val and, where train was scored, on train
Row = Mapping[str, int | float | None]


@dataclass(frozen=True)
class FoldRun:
    """What one fold's network came to.

    Attributes:
        scores: on `train`, the samples that it was trained on, and on `val`, the fold that it has not seen.
        delivered_epoch: the epoch whose weights were kept.
    """

    scores: ByPart
    delivered_epoch: int


@dataclass(frozen=True)
class Folds:
    """All folds.

    Attributes:
        each: one entry a fold.
        mean: by part, the mean of each metric over the folds.
        deviation: by part, its standard deviation over them.
    """

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

    With folds, it is one network a fold: `train` scores are of all that they were trained on, together, and `val`
    scores of every sample by the network that has not seen it.

    Attributes:
        recipe: the recipe; of an ensemble, one member's, called `ensemble of N`.
        lock: the lock that it was trained under.
        scores: by part, the scores of the delivered weights, uncalibrated and decided at 0.5, defined in
            [metrics.md](metrics.md). None for a part that is empty.
        constant: by part, what the best constant baseline scores, chosen on train.
        history: one row an epoch, of one fold after the other: `fold` if there are folds, `epoch` from 1, `train_loss`,
            `val_loss`, `seconds`, and the target's metric on val and, if train was scored, on train. `train_loss` is
            what a training log shows, the mean over the epoch with dropout on; the delivered weights have another.
        delivered_epoch: the epoch whose weights were delivered; None if each fold has its own.
        parameters: how many numbers the network has that training changes.
        seconds: how long it took to train.
        state: `finished`; `stopped` by you; `pruned`, stopped early by a search; `diverged`; or `failed`, with the
            machines of a cluster that it was trained on. The last two have no scores.
        engine: what trained it: the compiled loops or torch's.
        recalibration: the slope and shift of its [logit recalibration](probabilities.md#logit-recalibration), fitted
            on val; None if its loss needs none.
        decided: by part, the scores after calibration and rule. They equal `scores` if no rule was asked for. On the
            part that the rule was fitted on, each row is decided by a rule that has not seen it.
        left_out: by part and metric, how many labels or samples a mean leaves out.
        folds: the folds' own scores; None if there are none.
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
    """A recipe that was tried.

    Attributes:
        recipe: the recipe.
        scores: on train and val.
        lock: the lock that it was trained under.
        state: as that of a run.
        seconds: how long it took to train.
    """

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
    """How a search went.

    Attributes:
        generations: how many generations of recipes were trained.
        seconds: how long it took.
        overhead: which fraction of the seconds went neither into training nor into scoring.
    """

    generations: int
    seconds: float
    overhead: float


@dataclass(frozen=True)
class SeedSpread:
    """The target's metric over several seeds.

    Attributes:
        mean: its mean; None if no seed has a score.
        deviation: its standard deviation; None if fewer than two have one.
    """

    mean: float | None
    deviation: float | None


@dataclass(frozen=True)
class RepeatsRecord:
    """A recipe on several seeds.

    Attributes:
        recipe: the recipe.
        seeds: how many seeds it was trained with.
        train: its scores on train.
        val: its scores on val.
    """

    recipe: Recipe
    seeds: int
    train: SeedSpread
    val: SeedSpread


@dataclass(frozen=True)
class IngredientRecord:
    """What an ingredient of the chosen recipe brings.

    Attributes:
        ingredient: the field of the recipe and its value.
        change: the mean score on val with it less that without it; None if every run without it diverged.
        noise: twice the standard error of that difference, over seeds and val's samples. An ingredient that brings no
            more is not shown to help.
        without: the scores of the recipe without it.
    """

    ingredient: str
    change: float | None
    noise: float
    without: RepeatsRecord

    @property
    def remark(self) -> str:
        """What the seeds and val's samples show of it."""
        return "not shown to help" if self.change is not None and self.change <= self.noise else ""


@dataclass(frozen=True)
class GainRecord:
    """A change on the way from the baseline to what is delivered.

    Attributes:
        recipe: the recipe that it led to.
        networks: how many networks it has: above 1 for an ensemble.
        changed: the fields that differ from the recipe before it.
        change: by how much the target's metric on val moved, on one seed; None if val is too small to say.
        why: what the change that matters most does, in a sentence.
    """

    recipe: Recipe
    networks: int
    changed: tuple[str, ...]
    change: Difference | None
    why: str


# ------------------------------------------------------------------------------------------- diagnosis


@dataclass(frozen=True)
class Finding:
    """Something that a check of a diagnosis found.

    Attributes:
        check: the name of the check.
        strength: how bad it is, from 0 to 1; the worst is shown first.
        interval: the 95% interval of the strength; None if it is counted, not estimated.
        seen: what was seen, in figures.
        meaning: what that means.
        todo: what to do about it.
        names: the labels or samples concerned, the worst first.
        tries: candidates of the [ladder](recipes.md#the-ladder) that answer it: a cure tries them first.
        of: what it is about: in a run's record `after` or `before`, in a diagnosis `data` or `model`.
        code: the stable code of the check, such as TAG001. Empty in records of older versions.
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
