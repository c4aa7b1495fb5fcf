"""What became of recipes: runs, findings, the verdict.

Shapes: N samples, L labels, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagfit.recipes import Recipe
from tagfit.records.scores import METRICS, Interval, Scores

ByPart = Mapping[str, Scores | None]


@dataclass(frozen=True)
class FoldRun:
    """What one fold's network came to.

    Attributes:
        scores: on `train`, what it was trained on, and on `val`, the fold it has not seen.
        delivered_epoch: whose weights stayed.
    """

    scores: ByPart
    delivered_epoch: int


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
        state: finished, stopped, pruned (it lagged behind in a search), diverged, or failed (with the machines that it
            was trained on); neither of the last two has scores.
        engine: what trained it: the compiled loops or torch's.
        level: slope and shift that the network's logits were given, fitted on val, where its loss shifts probabilities.
        decided: what calibration and rules make of the same probabilities; empty where none were fitted.
        folds: one record a fold; none where there are no folds.
    """

    recipe: Recipe
    lock: str
    scores: ByPart
    constant: ByPart
    history: tuple[Mapping[str, float | None], ...]
    delivered_epoch: int | None
    parameters: int
    seconds: float
    state: Literal["finished", "stopped", "pruned", "diverged", "failed"] = "finished"
    engine: Literal["compiled", "torch"] = "torch"
    level: tuple[float, float] | None = None
    decided: ByPart = field(default_factory=dict)
    folds: tuple[FoldRun, ...] = ()

    @classmethod
    def without_weights(
        cls, recipe: Recipe, lock: str, seconds: float, state: Literal["diverged", "failed"] = "diverged"
    ) -> Run:
        """A run that there is nothing to score of."""
        nothing: ByPart = {"train": None, "val": None}
        return cls(recipe, lock, nothing, nothing, (), 0, 0, seconds, state)

    def to_dict(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.to_dict(),
            "scores": _scores_dict(self.scores),
            "decided": _scores_dict(self.decided or self.scores),
            "constant": _scores_dict(self.constant),
            "left_out": {part: dict(scores.left_out) for part, scores in self.scores.items() if scores is not None},
            "history": [dict(row) for row in self.history],
            "delivered_epoch": self.delivered_epoch,
            "folds": _folds_dict(self.folds),
            "parameters": self.parameters,
            "lock": self.lock,
            "state": self.state,
            "engine": self.engine,
            "level": None if self.level is None else list(self.level),
            "seconds": round(self.seconds, 3),
        }

    def to_trial(self) -> dict[str, Any]:
        """The short form, for the list of all that was tried."""
        return {
            "recipe": self.recipe.to_dict(),
            "scores": _scores_dict({part: self.scores.get(part) for part in ("train", "val")}),
            "lock": self.lock,
            "state": self.state,
            "seconds": round(self.seconds, 3),
        }


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
    """

    check: str
    strength: float
    interval: Interval | None
    seen: str
    meaning: str
    todo: str
    names: tuple[str, ...] = ()
    tries: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "strength": round(self.strength, 4),
            "interval": None if self.interval is None else [self.interval.low, self.interval.high],
            "seen": self.seen,
            "meaning": self.meaning,
            "todo": self.todo,
            "names": list(self.names),
            "tries": list(self.tries),
        }


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


Condition = Literal["cured", "fine", "overfit", "underfit", "out of reach"]


@dataclass(frozen=True)
class Verdict:
    """What a cure came to, in plain words; `fine` is a baseline that had nothing to cure."""

    state: Condition
    sentences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"state": self.state, "sentences": list(self.sentences)}


def _scores_dict(by_part: ByPart) -> dict[str, Any]:
    return {part: None if scores is None else scores.to_dict() for part, scores in by_part.items()}


def _folds_dict(folds: Sequence[FoldRun]) -> dict[str, Any] | None:
    """Each fold, and by part and metric the mean and the standard deviation over folds."""
    if not folds:
        return None
    spreads: dict[str, dict[str, Any]] = {"mean": {}, "deviation": {}}
    for part in ("train", "val"):
        by_metric = {name: [_of(fold, part, name) for fold in folds] for name in METRICS}
        known = {name: [value for value in values if value is not None] for name, values in by_metric.items()}
        spreads["mean"][part] = {name: float(np.mean(values)) if values else None for name, values in known.items()}
        spreads["deviation"][part] = {
            name: float(np.std(values, ddof=1)) if len(values) > 1 else None for name, values in known.items()
        }
    each = [{"scores": _scores_dict(fold.scores), "delivered_epoch": fold.delivered_epoch} for fold in folds]
    return {"each": each, **spreads}


def _of(fold: FoldRun, part: str, metric: str) -> float | None:
    scores = fold.scores[part]
    return None if scores is None else getattr(scores, metric)
