"""About how long training would take, from steps that are timed on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from tagfit.decisions.calibration import fit_calibration
from tagfit.metrics.intervals import Answers, Resampling, bytes_taken, resample
from tagfit.models.registry import count_weights
from tagfit.options.runs import CureOptions
from tagfit.options.shared import DEFAULT_BASELINE, DEFAULT_RECIPE
from tagfit.recipes import find_recipe
from tagfit.records.data import LockedData
from tagfit.records.scores import SCORED_PARTS, Target
from tagfit.runs.session import Session, scored_samples
from tagfit.search.campaign import FOLLOWING
from tagfit.search.candidates import losses_for
from tagfit.search.plan import Plan
from tagfit.search.sampler import Search
from tagfit.search.space import space
from tagfit.training.device import find_device

#: how many models a cure gives intervals: the baseline, the delivered one and an ensemble
SCORED = 3

#: what of the scoring is timed: at most so many rows, labels and resamples; calibration is fitted on folds as well
_ROWS, _LABELS, _RESAMPLES, _CALIBRATIONS = 512, 32, 256, 2
#: of the labels that are yes
_SHARE = 0.2


@dataclass(frozen=True)
class Estimate:
    """About what training would take without early stopping, which usually takes less; measured on this machine.

    Attributes:
        fit_seconds, cure_seconds: of the trainings; of a cure with the search, its finalists and ingredients if it
            searches unless told otherwise.
        memory_bytes: the samples, unless they lie in a file, the weights of every run with what an optimiser keeps of
            them, and what the intervals of the scores take.
        scoring_seconds: of one model's intervals and decisions, in addition: `fit` computes them once, `cure` up to
            SCORED times.
    """

    fit_seconds: float
    cure_seconds: float
    memory_bytes: int
    scoring_seconds: float = 0.0

    @property
    def whole_fit_seconds(self) -> float:
        """Training and scoring."""
        return self.fit_seconds + self.scoring_seconds

    @property
    def whole_cure_seconds(self) -> float:
        """The same of a cure."""
        return self.cure_seconds + SCORED * self.scoring_seconds


def estimate(data: LockedData, device: str, plan: Plan) -> Estimate:
    """Time a few steps of every recipe, and of some that a search would propose; scale them up to `fit` and `cure`."""
    session = Session(data, Target(), 0, find_device(device), lambda event: None)
    target, trials = session.target, plan.usual_trials(data)
    first, candidates = find_recipe(DEFAULT_BASELINE), plan.recipes(data, target, CureOptions())
    cure_seconds = session.longest([first]) + session.longest(candidates)
    if trials is not None and trials > len(candidates):
        searched = space(data.dataset.preprocessing, target, losses=losses_for(data))
        proposed = [one.recipe for one in Search(searched, target, 0).generation(1)]
        cure_seconds += session.longest(proposed) / len(proposed) * (trials - len(candidates) + FOLLOWING)
    parameters = max(count_weights(recipe, data.dataset) for recipe in (first, *candidates))
    # a run keeps its weights; the one in training has gradients, two moments and the best weights so far as well
    floats = parameters * (1 + len(candidates) + 4)
    return Estimate(
        fit_seconds=session.longest([find_recipe(DEFAULT_RECIPE)]),
        cure_seconds=cure_seconds,
        memory_bytes=4 * floats
        + (0 if isinstance(data.dataset.x, np.memmap) else data.dataset.x.nbytes)
        + bytes_taken(scored_samples(data), len(data.dataset.label_names)),
        scoring_seconds=_scoring_seconds(data),
    )


def _scoring_seconds(data: LockedData) -> float:
    """From some rows, labels and resamples, with answers at random."""
    labels, counts = len(data.dataset.label_names), data.split.counts
    return sum(_appraised(counts[part], labels) for part in SCORED_PARTS if counts[part])


def _appraised(samples: int, labels: int) -> float:
    some, few = min(samples, _ROWS), min(labels, _LABELS)
    rng = np.random.default_rng(0)
    labels_NL, p_NL = (rng.random((some, few)) < _SHARE).astype(np.int8), rng.random((some, few), dtype=np.float32)
    drawn = Resampling.of(samples)
    began = time.perf_counter()
    resample(Answers(labels_NL, p_NL), Resampling.of(some, resamples=_RESAMPLES))
    resampled = time.perf_counter()
    fit_calibration(labels_NL, p_NL)
    fitted = time.perf_counter()
    scale = samples * labels / (some * few)
    return scale * ((resampled - began) * drawn.resamples / _RESAMPLES + (fitted - resampled) * _CALIBRATIONS)
