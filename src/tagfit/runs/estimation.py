"""About how long training would take, from steps that are timed on this machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagfit.models.registry import count_weights
from tagfit.options.runs import CureOptions
from tagfit.options.shared import DEFAULT_BASELINE, DEFAULT_RECIPE
from tagfit.recipes import find_recipe
from tagfit.records.data import LockedData
from tagfit.records.scores import Target
from tagfit.runs.session import Session
from tagfit.search.campaign import FOLLOWING
from tagfit.search.candidates import losses_for
from tagfit.search.plan import Plan
from tagfit.search.sampler import Search
from tagfit.search.space import space
from tagfit.training.device import find_device


@dataclass(frozen=True)
class Estimate:
    """About what training would take without early stopping, which usually takes less; measured on this machine.

    Attributes:
        cure_seconds: with the search, its finalists and ingredients if a cure searches unless told otherwise.
        memory_bytes: the samples, unless they lie in a file, and the weights of every run with what an optimiser keeps
            of them.
    """

    fit_seconds: float
    cure_seconds: float
    memory_bytes: int


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
        memory_bytes=4 * floats + (0 if isinstance(data.dataset.x, np.memmap) else data.dataset.x.nbytes),
    )
