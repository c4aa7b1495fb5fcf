"""What further labels are expected to bring, from the learning curve of those that are there."""

from __future__ import annotations

import math
from functools import partial
from threading import Thread

import numpy as np

from tagfit.data.dataset import rows_of
from tagfit.data.lock import lock
from tagfit.data.split import split
from tagfit.diagnosis.checks.more_data import Curve, learning_curve
from tagfit.diagnosis.evidence import CannotCheck, Evidence, cheapest_features
from tagfit.errors import TagfitError
from tagfit.metrics.titles import TITLES
from tagfit.recipes import find_recipe
from tagfit.records.data import UNKNOWN, Dataset
from tagfit.records.scores import Target
from tagfit.training.quick import fit_all

#: labelled samples with more of which the curve takes too long to draw while somebody works
MOST = 5_000

_RECIPE = "dense-baseline"


class ExpectedGain:
    """Draws the curve in a thread of its own, once it is asked for the first time."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self._rows = np.flatnonzero((dataset.labels_NL != UNKNOWN).any(axis=1))
        self._dataset, self._seed, self._metric = dataset, seed, Target().metric
        self._curve: Curve | str | None = None
        self._thread: Thread | None = None

    def of_minutes(self, minutes: int, pace: float | None) -> str:
        """What so many minutes of labelling bring, as a sentence.

        Args:
            pace: samples a minute.
        """
        if pace is None:
            return "What further labels bring is estimated once your pace is known."
        if len(self._rows) > MOST:
            return f"What further labels bring is not known: it takes too long for more than {MOST:,} labelled samples."
        self._start()
        if self._curve is None:
            return "What further labels bring is being estimated."
        if isinstance(self._curve, str):
            return f"What further labels bring is not known: {self._curve}."
        return self._sentence(self._curve, minutes, pace)

    def _sentence(self, curve: Curve, minutes: int, pace: float) -> str:
        """By the gain of twice the samples, which few more have in proportion to the logarithm."""
        count = round(minutes * pace)
        share = math.log2(1 + count / len(self._rows))
        low, high = (share * end for end in curve.interval)
        return (
            f"At your pace, {minutes} more minutes label {count:,} new samples, which add about "
            f"{share * curve.gain:.3f} to {TITLES[self._metric]} on val (95%: {low:.3f} to {high:.3f})."
        )

    def _start(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._draw, name="learning curve", daemon=True)
            self._thread.start()

    def _draw(self) -> None:
        try:
            self._curve = learning_curve(self._evidence())
        except (CannotCheck, TagfitError) as error:
            self._curve = str(error).rstrip(".")

    def _evidence(self) -> Evidence:
        labelled = rows_of(self._dataset, self._rows)
        data = lock(labelled, split(labelled, seed=self._seed))
        features, recipe = cheapest_features(labelled.x, labelled.preprocessing), find_recipe(_RECIPE)
        train = partial(fit_all, x_ND=features.x_ND, recipe=recipe)
        return Evidence(
            Target(), recipe, labelled.label_names, data=data, features=features, train=train, seed=self._seed
        )
