"""One recipe on several seeds: what it scores, and how much of that is luck."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tagfit.recipes import Recipe
from tagfit.records.data import Part
from tagfit.records.runs import IngredientRecord, RepeatsRecord, Run, SeedSpread
from tagfit.records.scores import Target
from tagfit.search.selection import meets


@dataclass(frozen=True, eq=False)
class Repeats:
    """Runs of one recipe, each with a seed of its own; diverged ones among them."""

    recipe: Recipe
    runs: tuple[Run, ...]
    target: Target

    def scores(self, part: Part) -> list[float]:
        """The target's metric of each run that has one."""
        found = [run.score(part, self.target.metric) for run in self.runs]
        return [score for score in found if score is not None]

    def mean(self, part: Part) -> float | None:
        scores = self.scores(part)
        return float(np.mean(scores)) if scores else None

    def deviation(self, part: Part) -> float | None:
        """Standard deviation over seeds; None of fewer than two."""
        scores = self.scores(part)
        return float(np.std(scores, ddof=1)) if len(scores) > 1 else None

    def error(self, part: Part) -> float:
        """Standard error of the mean over seeds; 0 where it is unknown."""
        return (self.deviation(part) or 0.0) / math.sqrt(max(len(self.scores(part)), 1))

    @property
    def meets(self) -> bool:
        """Whether most of the runs meet the target."""
        return sum(meets(run, self.target) for run in self.runs) * 2 > len(self.runs)

    @property
    def record(self) -> RepeatsRecord:
        train, val = (SeedSpread(self.mean(part), self.deviation(part)) for part in _PARTS)
        return RepeatsRecord(self.recipe, len(self.runs), train, val)


_PARTS: tuple[Part, ...] = ("train", "val")


@dataclass(frozen=True, eq=False)
class Ingredient:
    """What one field of a recipe brings: the recipe without it, trained again on the same seeds.

    Attributes:
        name: the field and its value, as in the recipe's TOML.
        change: the mean score on val with it, less that without it; None where every run without it diverged.
        noise: twice the standard error of that difference, over seeds and over val's samples.
    """

    name: str
    without: Repeats
    change: float | None
    noise: float

    @classmethod
    def of(cls, name: str, whole: Repeats, without: Repeats, error_on_val: float = 0.0) -> Ingredient:
        with_it, without_it = whole.mean("val"), without.mean("val")
        change = None if with_it is None or without_it is None else with_it - without_it
        return cls(name, without, change, 2 * math.hypot(whole.error("val"), without.error("val"), error_on_val))

    @property
    def record(self) -> IngredientRecord:
        return IngredientRecord(self.name, self.change, self.noise, self.without.record)
