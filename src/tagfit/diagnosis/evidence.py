"""What checks are given: the model that is diagnosed, what it says, the data, and quick trainings.

Shapes: N samples, L labels, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from tagfit.data.folds import trainings
from tagfit.decisions.decider import Predictions
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.metrics.intervals import RESAMPLES, Answers, Resampling, Spread, resample
from tagfit.metrics.scores import Floats
from tagfit.recipes import Recipe
from tagfit.records.data import NO, PARTS, UNKNOWN, YES, Array, LockedData, Part, Preprocessing, hash_keys
from tagfit.records.runs import Fitting, Row, Units
from tagfit.records.scores import Target

#: images are brought to so many cells a side where quick trainings look at them
CELLS = 8


def within(value: float) -> float:
    """A strength, or an end of its interval: no less than 0, no more than 1."""
    return min(1.0, max(0.0, value))


class CannotCheck(Exception):  # noqa: N818 (nothing went wrong)
    """A check cannot run on the evidence given; says why."""


@dataclass(frozen=True, eq=False)
class Features:
    """(N, D) float32 of every sample of the data, the cheapest that serve, and how findings call them."""

    x_ND: NDArray[np.float32]
    name: str


#: trains, many at once, and gives for each its probabilities (len(ask), L)
Trainer = Callable[[Sequence[Fitting]], list[Floats]]


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that checks may look at; what is missing has its reason in `lacks`.

    Attributes:
        recipe: of the model that is diagnosed; of an ensemble, of its best member.
        history: a row an epoch, as in a Run; none where it is not known.
        samples: how many it was trained on.
        data: what it was trained and scored on.
        said: what it says of each part; of folds, of samples that its network has not seen as val.
        constant: the best constant baseline, chosen on train.
        diverged: how its training ended, where it did not come to weights.
        units: looks for dead units; None where the network cannot be asked.
        features: what quick trainings look at.
        quick_recipe: what they train; its own where it is a dense one.
        quick_seconds: about how long one takes at most, where that is known.
        train: does them; None where nothing may be trained.
        resamples: how many, at most, an interval is made from.
        lacks: why an attribute is empty or None, by its name.
        spreads: scores that were resampled before, by part.
    """

    target: Target
    recipe: Recipe
    label_names: tuple[str, ...]
    history: Sequence[Row] = ()
    samples: int = 0
    data: LockedData | None = None
    predictions: Mapping[Part, Predictions] = field(default_factory=dict)
    constant: ConstantBaseline | None = None
    diverged: str | None = None
    units: Callable[[], Sequence[Units]] | None = None
    features: Features | None = None
    quick_recipe: Recipe | None = None
    quick_seconds: float | None = None
    train: Trainer | None = None
    seed: int = 0
    resamples: int = RESAMPLES
    lacks: Mapping[str, str] = field(default_factory=dict)
    spreads: Mapping[Part, Spread] = field(default_factory=dict)

    def answers(self, part: Part) -> Predictions:
        """What the model says of a part.

        Raises:
            CannotCheck: it is not known, or the part is empty.
        """
        if not self.predictions:
            raise self._without("predictions", "the model's predictions on train and val are not known")
        if part not in self.predictions or not len(self.predictions[part]):
            raise CannotCheck(f"there is no {part} part")
        return self.predictions[part]

    @cached_property
    def spread(self) -> Callable[[Part], Spread]:
        """Every score of a part, and on resamples; each part is resampled once.

        Raises (when called):
            CannotCheck: as in `answers`.
        """
        return cache(self._spread)

    def _spread(self, part: Part) -> Spread:
        predictions = self.answers(part)
        if part in self.spreads:
            return self.spreads[part]
        return resample(Answers(predictions.labels_NL, predictions.probabilities_NL), self.resampling(part))

    def resampling(self, part: Part) -> Resampling:
        """The resamples of a part: the same for everything that is compared on it."""
        predictions = self.answers(part)
        return Resampling.of(len(predictions), predictions.groups, resamples=self.resamples, seed=self.seed)

    @property
    def locked(self) -> LockedData:
        """The data.

        Raises:
            CannotCheck: it is not there.
        """
        if self.data is None:
            raise self._without("data", "the data is not available")
        return self.data

    def rows(self, part: Part) -> NDArray[np.intp]:
        """The rows of a part; where there are folds, of the first: what its network learns from, and as val the fold.

        Raises:
            CannotCheck: the data is not there, or the part is empty.
        """
        split = trainings(self.locked)[0].split
        if self.locked.split.folds is not None and part == "val":
            part = "test"
        if not len(split.rows(part)):
            raise CannotCheck(f"there is no {part} part")
        return split.rows(part)

    @property
    def quick_name(self) -> str:
        """What quick trainings train, and on what."""
        recipe = self.recipe if self.quick_recipe is None else self.quick_recipe
        return f"{recipe.name} on {'the features' if self.features is None else self.features.name}"

    def fit(self, fittings: Sequence[Fitting]) -> list[Floats]:
        """Train, and ask.

        Raises:
            CannotCheck: nothing may be trained, or there is nothing to train on.
        """
        if self.train is None:
            raise self._without("train", "it needs training")
        return self.train(fittings)

    def unseen(
        self,
        rows: NDArray[np.intp],
        foldings: Sequence[NDArray[np.intp]],
        *,
        x_ND: NDArray[np.float32] | None = None,
        recipe: Recipe | None = None,
    ) -> list[Floats]:
        """For each folding (M,) of `rows`, (M, L) what networks say of the rows of a fold, trained on the others.

        Args:
            x_ND, recipe: as in `Fitting`.

        Raises:
            CannotCheck: as in `fit`.
        """
        labels_NL = self.locked.dataset.labels_NL
        held = [(place, of_fold == fold, fold) for place, of_fold in enumerate(foldings) for fold in np.unique(of_fold)]
        predictions = self.fit(
            [
                Fitting(labels_NL, rows[~here], rows[here], self.seed + int(fold), x_ND=x_ND, recipe=recipe)
                for _, here, fold in held
            ]
        )
        found = [np.empty((len(rows), labels_NL.shape[1]), dtype=np.float32) for _ in foldings]
        for (place, here, _), p in zip(held, predictions, strict=True):
            found[place][here] = p
        return list(found)

    @property
    def labelled(self) -> NDArray[np.intp]:
        """Rows outside of test of which some cell is known.

        Raises:
            CannotCheck: the data is not there.
        """
        labels_NL, parts = self.locked.dataset.labels_NL, self.locked.split.parts
        return np.flatnonzero((parts != PARTS.index("test")) & (labels_NL != UNKNOWN).any(axis=1))

    def _without(self, name: str, usual: str) -> CannotCheck:
        return CannotCheck(self.lacks.get(name, usual))


def without_copies(data: LockedData) -> NDArray[np.intp]:
    """Rows of which none is a copy or a near-copy of another."""
    kept = np.zeros(len(data.dataset), dtype=np.bool_)
    kept[np.unique(hash_keys(data.dataset.hashes), return_index=True)[1]] = True
    for rows in data.split.likeness.near_copies:
        kept[rows[1:]] = False
    return np.flatnonzero(kept)


def frequent(labels_ML: NDArray[np.int8], least: int) -> NDArray[np.bool_]:
    """(L,) whether so many rows have a label, and so many lack it."""
    enough: NDArray[np.bool_] = np.minimum((labels_ML == YES).sum(axis=0), (labels_ML == NO).sum(axis=0)) >= least
    return enough


def cheapest_features(x: Array, preprocessing: Preprocessing) -> Features:
    """Features as they are; images as 8 x 8 cells of mean colours from 0 to 1."""
    if preprocessing.kind == "features":
        name = "the features" if preprocessing.backbone is None else "the backbone's features"
        return Features(np.asarray(x, dtype=np.float32), name)
    height, width = x.shape[1:3]
    rows, columns = min(CELLS, height), min(CELLS, width)
    cells = np.empty((len(x), rows, columns, x.shape[3]), dtype=np.float32)
    tops, lefts = (np.arange(count) * side // count for count, side in ((rows, height), (columns, width)))
    areas = np.diff([*tops, height])[:, None] * np.diff([*lefts, width])
    for start in range(0, len(x), 512):
        sums = np.add.reduceat(np.asarray(x[start : start + 512], dtype=np.float32), tops, axis=1)
        cells[start : start + 512] = np.add.reduceat(sums, lefts, axis=2) / areas[..., None]
    return Features(cells.reshape(len(x), -1) * np.float32(preprocessing.scale), f"{rows} x {columns} pixels")
