"""Rate and schedule: what a training's history and its units say of how it was trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tagfit.diagnosis.evidence import CannotCheck, Evidence, within
from tagfit.recipes import CnnModel, Recipe
from tagfit.records.runs import Finding
from tagfit.records.scores import Interval

#: fewer epochs show no course
FEWEST = 4

#: what a loss has to fall further, or to have risen, in shares of itself, to be told
WORTH_GOING_ON, RISEN = 0.02, 0.10

#: a rise of train's loss, as a share of its first epoch's
DIVERGING = 0.10

#: how many times the jitter from epoch to epoch a rise has to be
BEYOND_JITTER = 4.0

#: the share of dead units of a layer that is told
DEAD = 0.5

#: fewer samples a step make moments that are mostly noise; of a CNN, every place of a map counts
SMALLEST_BATCH, SMALLEST_BATCH_OF_MAPS = 8, 2

Losses = NDArray[np.float64]


def schedule(evidence: Evidence) -> list[Finding]:
    """Trainings that ended too early or too late, or diverged; dead units; too small batches.

    Raises:
        CannotCheck: no history is known.
    """
    if evidence.diverged is not None:
        return [_diverged(evidence, evidence.diverged), *_batches(evidence)]
    courses = [list(rows) for _, rows in groupby(evidence.history, key=lambda row: row.get("fold"))]
    if not courses:
        raise CannotCheck("the history of its training is not known")
    return [*_batches(evidence), *_courses(evidence.recipe, courses), *_dead(evidence)]


def _courses(recipe: Recipe, courses: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[Finding]:
    """What most of the courses (one, or one a fold) show."""
    looks: tuple[Callable[[Recipe, Losses, Losses], Finding | None], ...] = (_rising, _falling, _past_its_best)
    for look in looks:
        found = [
            look(
                recipe,
                *(np.array([row[f"{part}_loss"] for row in rows], dtype=np.float64) for part in ("train", "val")),
            )
            for rows in courses
            if len(rows) >= FEWEST
        ]
        told = [finding for finding in found if finding is not None]
        if told and 2 * len(told) > len(found):
            yield sorted(told, key=lambda finding: finding.strength)[len(told) // 2]
            return  # a training that diverges does not fall, and one that still falls is not past its best


def _falling(recipe: Recipe, train: Losses, val: Losses) -> Finding | None:
    """Where the epochs ran out while val's loss still fell; a rate that goes down to 0 says nothing of that."""
    training = recipe.training
    if len(val) < training.epochs or training.schedule != "constant" or training.train_ceiling < 1:
        return None
    last = val[-max(FEWEST, len(val) // 5) :]
    times = np.arange(len(last)) - (len(last) - 1) / 2
    slope = float(times @ last / (times @ times))
    rest = last - last.mean() - slope * times
    error = float(np.sqrt(rest @ rest / max(1, len(last) - 2) / (times @ times)))
    reach = float(special.stdtrit(len(last) - 2, 0.975)) * error
    # what as many epochs again would bring, in shares of the loss
    fall, noise = -slope * len(last) / last.mean(), reach * len(last) / last.mean()
    if fall - noise <= WORTH_GOING_ON:
        return None
    return Finding(
        check="schedule",
        strength=within(fall),
        interval=Interval(within(fall - noise), within(fall + noise)),
        seen=f"Val's loss fell by {fall:.1%} in the last {len(last)} of {len(val)} epochs, and was still falling "
        f"({val[0]:.3f} at first, {val[-1]:.3f} at the end).",
        meaning="Training was cut short.",
        todo=f"Train longer: epochs = {2 * len(val)} in the recipe, with patience = 5. Or raise the rate.",
    )


def _past_its_best(recipe: Recipe, train: Losses, val: Losses) -> Finding | None:
    """Where val's loss had long been lower than in the end, and the last weights are what is delivered."""
    if recipe.training.patience or recipe.training.averaging:
        return None
    means = _smooth(val)
    best, late = float(means.min()), float(means[-1])
    if late - best <= max(RISEN * best, BEYOND_JITTER * _jitter(val)):
        return None
    share, noise = 1 - best / late, 2 * _jitter(val) / late
    return Finding(
        check="schedule",
        strength=within(share) / 2,
        interval=Interval(within(share - noise) / 2, within(share + noise) / 2),
        seen=f"Val's loss was lowest at epoch {int(val.argmin()) + 1} of {len(val)}, {val.min():.3f}; "
        f"at the end it is {val[-1]:.3f}.",
        meaning="The model was trained past its best.",
        todo="Stop early: patience = 5 in the recipe restores the best weights. tagfit cure does this.",
        tries=("dense-regularised",),
    )


def _rising(recipe: Recipe, train: Losses, val: Losses) -> Finding | None:
    """Where train's own loss rises: steps too long to settle."""
    tail = max(3, len(train) // 10)
    middles = np.array([np.median(train[start : start + tail]) for start in range(len(train) - tail + 1)])
    rise = float(middles[-1] - middles.min()) / float(train[0])
    noise = BEYOND_JITTER * _jitter(train[-3 * tail :]) / float(train[0]) / tail**0.5
    if rise - noise <= DIVERGING:
        return None
    return Finding(
        check="schedule",
        strength=within(rise),
        interval=Interval(within(rise - noise), within(rise + noise)),
        seen=f"The loss on train rises: {train.min():.3f} at epoch {int(train.argmin()) + 1}, {middles[-1]:.3f} at the "
        "end.",
        meaning="Training diverges: the rate is too high.",
        todo=f"Lower the rate: rate = {recipe.training.rate / 3:.1g} in the recipe, or clip = 1.",
        tries=("dense-lower-rate",),
    )


def _diverged(evidence: Evidence, how: str) -> Finding:
    return Finding(
        check="schedule",
        strength=1.0,
        interval=None,
        seen=f"{how[0].upper()}{how[1:]}.",
        meaning="Training diverged: there is no model.",
        todo=f"Lower the rate: rate = {evidence.recipe.training.rate / 10:.1g} in the recipe; look for extreme values "
        "in the features (tagfit inspect DATA).",
        tries=("dense-lower-rate",),
    )


def _dead(evidence: Evidence) -> Iterator[Finding]:
    layers = [] if evidence.units is None else [one for one in evidence.units() if one.dead > DEAD * one.count]
    if not layers:
        return
    worst = max(layers, key=lambda one: one.dead / one.count)
    whole = worst.dead == worst.count
    yield Finding(
        check="schedule",
        strength=1.0 if whole else worst.dead / worst.count - DEAD,  # what lives may learn all the same
        interval=None,
        seen="; ".join(f"{one.dead} of {one.count} units of {one.layer}" for one in layers)
        + " output 0 for every training sample that was tried.",
        meaning="The network is dead: it gives every sample the same output."
        if whole
        else "Much of the network is dead.",
        todo="Lower the rate, and bring the inputs to one scale: standardise = true in the recipe.",
        names=tuple(one.layer for one in layers),
        # a network that lives in part learns all the same: the usual candidates come first
        tries=("dense-lower-rate", "dense-wide") if whole else (),
    )


def _batches(evidence: Evidence) -> Iterator[Finding]:
    model, size = evidence.recipe.model, evidence.recipe.training.batch_size
    maps = isinstance(model, CnnModel)
    normed = maps or getattr(model, "batch_norm", False)
    if not normed or size >= (SMALLEST_BATCH_OF_MAPS if maps else SMALLEST_BATCH):
        return
    yield Finding(
        check="schedule",
        strength=1 / (1 + size),
        interval=None,
        seen=f"BatchNorm computes its statistics from {size} sample{'s' * (size > 1)} a step.",
        meaning="The batches are too small for BatchNorm: its statistics are mostly noise.",
        todo="Set batch_size = 32 in the recipe, or batch_norm = false.",
    )


def _smooth(losses: Losses) -> Losses:
    """Means of three epochs."""
    return np.convolve(losses, np.full(3, 1 / 3), mode="valid")


def _jitter(losses: Losses) -> float:
    """The deviation from epoch to epoch that is no trend, from second differences."""
    bends = np.diff(losses, 2)
    return float(np.median(np.abs(bends)) / 0.6745 / 6**0.5) if len(bends) else 0.0
