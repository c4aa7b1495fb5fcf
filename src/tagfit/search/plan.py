"""What a cure tries unless its options say otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from tagfit.options.runs import CureOptions
from tagfit.recipes import Recipe
from tagfit.records.data import LockedData
from tagfit.records.scores import Target
from tagfit.search.candidates import ladder, losses_for


@dataclass(frozen=True)
class Plan:
    """What a cure tries unless its options say otherwise.

    Attributes:
        candidates: the recipes to try, in order; None: the ladder for the data.
        trials: how many recipes to try on features, candidates included; None: the candidates alone, as on images.
    """

    candidates: tuple[Recipe, ...] | None = None
    trials: int | None = 48

    def recipes(self, data: LockedData, target: Target, options: CureOptions) -> tuple[Recipe, ...]:
        """The candidates for `data`."""
        if self.candidates is not None:
            return self.candidates
        return ladder(
            data.dataset.preprocessing,
            target,
            augmentation="augmentation" in options.allow,
            fine_tune=options.fine_tune,
            losses=losses_for(data),
        )

    def usual_trials(self, data: LockedData) -> int | None:
        """How many recipes to try unless that is given; None: the candidates alone."""
        return self.trials if data.dataset.kind == "features" else None
