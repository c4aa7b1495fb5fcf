"""The course of the learning rate over a training."""

from __future__ import annotations

import math
from collections.abc import Callable

#: the share of a one-cycle training in which the rate rises, and what it rises from
RISE, FLOOR = 0.25, 0.04


def constant(progress: float) -> float:
    """1 all along."""
    return 1.0


def cosine(progress: float) -> float:
    """Half a cosine from 1 down to 0 (Loshchilov & Hutter 2017, without restarts)."""
    return 0.5 + 0.5 * math.cos(math.pi * progress)


def one_cycle(progress: float) -> float:
    """Up along a cosine, then down along one (Smith & Topin 2019)."""
    if progress < RISE:
        return FLOOR + (1 - FLOOR) * (1 - cosine(progress / RISE))
    return cosine((progress - RISE) / (1 - RISE))


#: share of the highest rate by progress from 0 to 1, by the name that a recipe writes
SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "cosine": cosine, "one-cycle": one_cycle}
