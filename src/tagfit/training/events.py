"""What happens during a training, for progress bars and for whoever wants to stop it.

A listener is called with each event; when it returns True, training stops cleanly after that step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RunStarted:
    """A recipe, or several at once, begins its training: run `number` of `of`."""

    recipe: str
    epochs: int
    number: int = 1
    of: int = 1


@dataclass(frozen=True)
class StepEnded:
    """One optimiser step is done; `step` counts from 1 over the whole run."""

    step: int


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of one training is done: its row of the history."""

    row: Mapping[str, float | None]
    recipe: str = ""
    number: int = 1


@dataclass(frozen=True)
class RunEnded:
    """A recipe's training is over: `finished`, `stopped` (asked), `pruned` (lagging behind), `diverged` or `failed`.

    Attributes:
        best: the best score on val before it, where there is one.
    """

    recipe: str
    state: str
    number: int = 1
    of: int = 1
    best: float | None = None


@dataclass(frozen=True)
class ImagesPassed:
    """`done` of `total` images have run through the blocks of a backbone that are not trained."""

    done: int
    total: int


@dataclass(frozen=True)
class StageStarted:
    """Something other than a training begins, such as scoring; it cannot be stopped."""

    what: str


@dataclass(frozen=True)
class Waiting:
    """Trainings are at work elsewhere; nothing is told, and whoever wants to stop can say so."""


Event = ImagesPassed | RunStarted | StepEnded | EpochEnded | RunEnded | StageStarted | Waiting
Listener = Callable[[Event], bool | None]
