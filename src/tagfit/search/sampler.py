"""The search: generations of recipes, proposed by a tree-structured Parzen estimator, told in the order of asking.

A generation is asked for as a whole and told as a whole, each by a sampler of its own, seeded by (seed, number): what
is proposed depends on what came before, and neither on how many workers train it nor on when it was interrupted.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (2011), as optuna has it; what lags behind at a quarter
or a half of its training is stopped there, as in asynchronous successive halving (Li et al. 2020).
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import TrialState

from tagfit.io.typed_json import to_plain
from tagfit.recipes import Changes, Recipe
from tagfit.records.runs import Run
from tagfit.records.scores import Target
from tagfit.search.space import OneOf, Range, Space

#: recipes that are asked for at once
GENERATION = 8

#: at which fractions of a training what lags behind is stopped
RUNGS = (0.25, 0.5)

#: what a recipe is worth that diverged: less than any score
WORTHLESS = -1.0

_STUDY = "cure"


@dataclass(frozen=True)
class Asked:
    """A recipe that was proposed."""

    recipe: Recipe
    trial: int


class Search:
    """A study of one space; kept in a journal where one is given, from which an interrupted one goes on."""

    def __init__(self, space: Space, target: Target, seed: int, journal: Path | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._target, self._seed = space, target, seed
        self._journal = _Journal(journal)
        self._study = optuna.create_study(
            storage=JournalStorage(self._journal), study_name=_STUDY, direction="maximize", load_if_exists=True
        )
        self._distributions = {name: _distribution(one) for name, one in space.dimensions.items()}

    def learn(self, runs: Iterable[Run]) -> None:
        """Take note of runs of known recipes, those that lie in the space; what is known already is passed over."""
        known = {trial.user_attrs.get("recipe") for trial in self._study.get_trials(deepcopy=False)}
        for run in runs:
            values = self._space.values_of(run.recipe)
            if values is None or run.recipe.name in known:
                continue
            params = {name: _written(self._space.dimensions[name], held) for name, held in values.items()}
            self._study.add_trial(
                optuna.trial.create_trial(
                    params=params,
                    distributions=self._distributions,
                    value=worth(run, self._target),
                    user_attrs={"recipe": run.recipe.name, "generation": 0},
                )
            )

    def generation(self, number: int, size: int = GENERATION) -> list[Asked]:
        """The recipes of generation `number`, from 1: asked for now, or as they were before an interruption."""
        trials = self._trials(number)
        if len(trials) < size:
            self._give_up(trials)
            self._study.sampler = _sampler(self._seed, number)
            for _ in range(size):
                trial = self._study.ask(self._distributions)
                trial.set_user_attr("generation", number)
            self._journal.write()
            trials = self._trials(number)
        return [
            Asked(self._recipe(f"search-{number}-{place}", trial.params), trial.number)
            for place, trial in enumerate(trials[:size], start=1)
        ]

    def tell(self, asked: Sequence[Asked], runs: Sequence[Run]) -> None:
        """How a generation went, in the order of asking; who was told is not told again."""
        for one, run in zip(asked, runs, strict=True):
            trial = self._study.get_trials(deepcopy=False)[one.trial]
            if trial.state is not TrialState.RUNNING:
                continue
            self._study.set_user_attr(one.recipe.name, to_plain(run.trial))
            self._study.tell(one.trial, worth(run, self._target))
        self._journal.write()

    def _recipe(self, name: str, params: Changes) -> Recipe:
        dimensions = self._space.dimensions
        return self._space.recipe(name, {name: _read(dimensions[name], written) for name, written in params.items()})

    def _trials(self, number: int) -> list[optuna.trial.FrozenTrial]:
        """Those of a generation that were not given up."""
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.user_attrs.get("generation") == number and trial.state is not TrialState.FAIL
        ]

    def _give_up(self, trials: Sequence[optuna.trial.FrozenTrial]) -> None:
        """Forget a generation that was interrupted while it was asked for: asked for anew, it comes out the same."""
        for trial in self._study.get_trials(deepcopy=False):
            if trial in trials or (trial.state is TrialState.RUNNING and "generation" not in trial.user_attrs):
                self._study.tell(trial.number, state=TrialState.FAIL)


#: what optuna notes
Note = dict[str, Any]


class _Journal(BaseJournalBackend):
    """What optuna notes, in memory, and in a file where one is given: written at once, not at each of its notes.

    A generation has some hundred of them, and each would wait for the disk.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else JournalFileBackend(str(path))
        self._notes: list[Note] = [] if self._file is None else list(self._file.read_logs(0))
        self._written = len(self._notes)

    def read_logs(self, log_number_from: int) -> Iterator[Note]:
        return iter(self._notes[log_number_from:])

    def append_logs(self, logs: list[Note]) -> None:
        self._notes += logs

    def write(self) -> None:
        if self._file is not None and len(self._notes) > self._written:
            self._file.append_logs(self._notes[self._written :])
        self._written = len(self._notes)


def worth(run: Run, target: Target) -> float:
    """What the search looks for: the score on val, less what the score on train is above its band, where that ranks."""
    train, val = run.score("train", target.metric), run.score("val", target.metric)
    if val is None or (train is None and target.train_ranks):
        return WORTHLESS
    return val if train is None else val - (max(0.0, train - target.train_below) if target.train_ranks else 0.0)


class MedianPruner:
    """The median stopping rule (Golovin et al. 2017): a run ends that, at a rung, a share of its epochs, lies below the
    median of what earlier runs had reached there.

    Args:
        earlier: runs of earlier generations only, so that it does not matter who trains at the same time.
        deadline: of `time.perf_counter`; whoever trains after it lags behind, too.
    """

    def __init__(self, earlier: Iterable[Run], metric: str, deadline: float = math.inf) -> None:
        self._deadline = deadline
        self._column = f"val_{metric}"
        runs = [run for run in earlier if run.state not in ("diverged", "failed")]
        self._bars: dict[float, float] = {}
        for rung in RUNGS:
            reached = [at for run in runs if (at := _reached(run, rung, self._column)) is not None]
            if reached:
                self._bars[rung] = median(reached)

    def __getstate__(self) -> Changes:
        """The clock of another machine shows something else: what is sent there is the time left."""
        return {**vars(self), "_deadline": self._deadline - time.perf_counter()}

    def __setstate__(self, state: Changes) -> None:
        vars(self).update(state, _deadline=state["_deadline"] + time.perf_counter())

    def prunes(self, history: Sequence[Mapping[str, float | None]], epochs: int) -> bool:
        """Whether a run of `epochs` with these rows so far is to be stopped now."""
        if time.perf_counter() > self._deadline:
            return True
        best = max((row.get(self._column) or 0.0 for row in history), default=0.0)
        return any(len(history) == math.ceil(rung * epochs) and best < bar for rung, bar in self._bars.items())


def _reached(run: Run, rung: float, column: str) -> float | None:
    """The best score until a rung; what stopped before it by itself counts, what was stopped there does not."""
    place = math.ceil(rung * run.recipe.training.epochs)
    if run.state == "pruned" and len(run.history) < place:
        return None
    return max((row.get(column) or 0.0 for row in run.history[:place]), default=None)


def _sampler(seed: int, generation: int) -> optuna.samplers.BaseSampler:
    mixed = hashlib.sha256(f"{seed} {generation}".encode()).digest()
    return optuna.samplers.TPESampler(seed=int.from_bytes(mixed[:4], "little"), n_startup_trials=GENERATION)


def _distribution(dimension: OneOf | Range) -> BaseDistribution:
    if isinstance(dimension, OneOf):
        return CategoricalDistribution([_written(dimension, value) for value in dimension.values])
    return FloatDistribution(dimension.low, dimension.high, log=dimension.step is None, step=dimension.step)


def _written(dimension: OneOf | Range, value: Any) -> Any:
    """A value as optuna keeps it: lists of numbers as text."""
    return "-".join(map(str, value)) if isinstance(value, tuple) else value


def _read(dimension: OneOf | Range, written: object) -> Any:
    """The inverse; numbers are rounded to what a person would write."""
    if isinstance(dimension, OneOf):
        return next(value for value in dimension.values if _written(dimension, value) == written)
    return float(f"{written:.3g}")
