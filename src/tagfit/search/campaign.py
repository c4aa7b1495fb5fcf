"""A cure at work: the baseline, the ladder, the search, finalists on several seeds, and what each ingredient brings."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from pathlib import Path
from typing import Protocol

import numpy as np

from tagfit.recipes import CnnModel, DenseModel, Recipe
from tagfit.records.runs import Finding, GainRecord, Run, SearchSummary
from tagfit.records.scores import Difference, Target
from tagfit.records.verdict import Choice
from tagfit.search.candidates import first_of
from tagfit.search.finals import Claim, Final, ValScores, best_final, lost, passed_over
from tagfit.search.gains import gains
from tagfit.search.ingredients import ingredients
from tagfit.search.repeats import Ingredient, Repeats
from tagfit.search.sampler import GENERATION, MedianPruner, Search
from tagfit.search.selection import Contest, meets, on_val, ranked
from tagfit.search.space import Space
from tagfit.training.job import TrainingJob
from tagfit.training.trained import TrainedModel

#: how many recipes are trained again, and on how many seeds each finalist and each ingredient is judged
FINALISTS, SEEDS = 3, 3

#: how many ingredients are reckoned with
EXPECTED_INGREDIENTS = 6

#: how many trainings follow a search
FOLLOWING = FINALISTS * (SEEDS - 1) + EXPECTED_INGREDIENTS * SEEDS

#: the share of the minutes that is kept for finalists and ingredients, at most
MOST_FOR_FINALS = 0.4


@dataclass(frozen=True)
class Budget:
    """How much a cure may try.

    Attributes:
        trials: recipes to try after the baseline, those of the ladder included; None: the ladder alone.
        until_met: whether that is enough as soon as one meets the target: where nobody asked for more.
        minutes: nothing further is tried where it, and what has to follow, would take longer; None: no limit.
        single: whether one network has to be delivered, and no ensemble.
        refit: whether it is trained again on all labelled rows but test, once test was scored.
    """

    trials: int | None = None
    minutes: float | None = None
    until_met: bool = True
    single: bool = False
    refit: bool = False

    @property
    def searches(self) -> bool:
        """Whether more was asked for than the ladder."""
        return self.trials is not None or self.minutes is not None


class Bench(Protocol):
    """Where recipes are trained and scored: `runs.session.Session`."""

    target: Target
    seed: int
    best: float | None
    began: float

    @property
    def stopped(self) -> bool: ...
    @property
    def journal(self) -> Path | None: ...
    def job(self, recipe: Recipe) -> TrainingJob: ...
    def run(self, job: TrainingJob) -> TrainedModel: ...
    def attempt(self, jobs: Sequence[TrainingJob]) -> list[TrainedModel]: ...
    def ensemble(self, several: Sequence[TrainedModel], like: TrainedModel) -> TrainedModel: ...
    def findings(self, trained: TrainedModel) -> tuple[Finding, ...]: ...
    def appraise(self, trained: TrainedModel) -> TrainedModel: ...
    def refit(self, trained: TrainedModel) -> TrainedModel | None: ...


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a fit or a cure came to, before it is written down.

    Attributes:
        before: None where there was nothing to compare with.
        choice: how `after` was chosen; None where there was nothing to choose.
        complete: False where it was asked to stop before all was done.
        finalists: the best recipes, each on several seeds.
        ingredients: what each ingredient of the chosen recipe brings.
        gains: what each change on the way from the baseline brought.
        untried: ingredients that there was no time for.
        refit: the chosen recipe, trained on all labelled rows but test, to be handed over instead; it was not scored.
    """

    before: TrainedModel | None
    after: TrainedModel
    choice: Choice | None = None
    tried: tuple[Run, ...] = ()
    complete: bool = True
    finalists: tuple[Repeats, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    search: SearchSummary | None = None
    gains: tuple[GainRecord, ...] = ()
    untried: tuple[str, ...] = ()
    refit: TrainedModel | None = None


class Campaign:
    """One cure in one session.

    Args:
        first: the baseline.
        candidates: the ladder, in order.
        start: what is tried before the ladder, whatever the baseline's findings.
        space: what is searched after it, where the budget asks for more.
    """

    def __init__(
        self,
        session: Bench,
        first: Recipe,
        candidates: Sequence[Recipe],
        space: Space,
        budget: Budget,
        start: Sequence[Recipe] = (),
    ) -> None:
        self._start = start
        self._session, self._target = session, session.target
        self._first, self._candidates, self._space, self._budget = first, candidates, space, budget
        self._tried: list[TrainedModel] = []
        self._searched: SearchSummary | None = None
        self._number = 0
        self._floor = 0.0  # the baseline's score on val: what is below is never delivered
        self._val_scores = ValScores(self._target)

    def work(self) -> Outcome:
        """Try, choose, and score what is delivered on test."""
        before = self._session.run(replace(self._job(self._first), curve=True))
        self._floor = on_val(before.run, self._target)
        findings = self._session.findings(before)
        tries = [name for finding in findings for name in finding.tries]
        self._candidates = (*self._start, *first_of(self._candidates, tries))
        self._climb()
        if self._budget.searches:
            self._search()
        runs = [trained.run for trained in self._tried]
        chosen = self._choose(before, runs)
        after = chosen.model
        brought, untried = self._ingredients(chosen.final) if chosen.final is not None else ((), ())
        scored = self._session.appraise(before)
        appraised = scored if after is before else self._session.appraise(after)
        refit = self._session.refit(appraised) if self._budget.refit and not self._session.stopped else None
        return Outcome(
            before=scored,
            after=appraised,
            choice=chosen.choice,
            tried=tuple(runs),
            complete=not self._session.stopped,
            finalists=chosen.finalists,
            ingredients=brought,
            search=self._searched,
            gains=gains(before, self._tried, chosen.single, after, self._val_scores.ahead),
            untried=untried,
            refit=refit,
        )

    # ------------------------------------------------------------------------------------------- trying

    def _climb(self) -> None:
        """The ladder: its dense candidates at the same time, CNNs one after the other."""
        candidates = self._candidates if self._budget.trials is None else self._candidates[: self._budget.trials]
        for dense, several in groupby(candidates, key=lambda candidate: isinstance(candidate.model, DenseModel)):
            for recipes in [list(several)] if dense else [[candidate] for candidate in several]:
                if self._session.stopped or self._affordable < 1 or self._done:
                    return
                self._try(recipes)

    def _search(self) -> None:
        began = time.perf_counter()
        search = Search(self._space, self._target, self._session.seed, self._session.journal)
        search.learn(trained.run for trained in self._tried)
        number, training = 0, 0.0
        while (size := self._left()) and not (self._session.stopped or self._done):
            number += 1
            asked = search.generation(number, size)
            pruner = MedianPruner([trained.run for trained in self._tried], self._target.metric, self._deadline)
            started = time.perf_counter()
            told = self._try([one.recipe for one in asked], pruner)
            training += time.perf_counter() - started
            if len(told) == size and not self._session.stopped:
                search.tell(asked, [trained.run for trained in told])
        whole = time.perf_counter() - began
        self._searched = SearchSummary(number, round(whole, 3), round(1 - training / whole, 4))

    @property
    def _done(self) -> bool:
        """Whether what meets the target can be delivered: nothing is left then. Without a train band val can gain."""
        if not (self._budget.until_met and self._target.train_ranks):
            return False
        runs = [trained.run for trained in self._tried]
        return any(meets(run, self._target) and on_val(run, self._target) >= self._floor for run in runs)

    def _left(self) -> int:
        """How many recipes the next generation may have."""
        left = GENERATION if self._budget.trials is None else self._budget.trials - len(self._tried)
        return max(0, min(GENERATION, left, self._affordable))

    @property
    def _affordable(self) -> int:
        """How many more recipes there is time for, with what finalists and ingredients need set aside."""
        if self._budget.minutes is None or not self._tried:
            return GENERATION
        seconds = [trained.run.seconds for trained in self._tried[-GENERATION:]]
        return int((self._deadline - time.perf_counter()) / max(float(np.mean(seconds)), 1e-3))

    @property
    def _deadline(self) -> float:
        """When finalists and ingredients have to begin."""
        leaders = [run.seconds for run in ranked([one.run for one in self._tried], self._target)[:FINALISTS]]
        follows = SEEDS * (sum(leaders) + EXPECTED_INGREDIENTS * max(leaders, default=0.0))
        return self._session.began + self._limit - min(follows, MOST_FOR_FINALS * self._limit)

    @property
    def _spent(self) -> float:
        return time.perf_counter() - self._session.began

    @property
    def _limit(self) -> float:
        """Seconds that all of it may take."""
        return math.inf if self._budget.minutes is None else 60 * self._budget.minutes

    def _try(self, recipes: Sequence[Recipe], pruner: MedianPruner | None = None) -> list[TrainedModel]:
        trained = self._session.attempt([self._job(recipe, pruner=pruner) for recipe in recipes])
        self._tried += trained
        scores = [one.run.score("val", self._target.metric) for one in self._tried if one.run.state == "finished"]
        self._session.best = max((score for score in scores if score is not None), default=None)
        return trained

    def _job(self, recipe: Recipe, *, seed: int | None = None, pruner: MedianPruner | None = None) -> TrainingJob:
        self._number += 1
        planned = 1 + max(self._budget.trials or 0, len(self._candidates))
        job = self._session.job(recipe)
        return replace(
            job,
            number=self._number,
            of=max(planned, self._number),
            seed=job.seed if seed is None else seed,
            pruner=pruner,
        )

    # ----------------------------------------------------------------------------------------- choosing

    def _choose(self, before: TrainedModel, runs: Sequence[Run]) -> _Chosen:
        """What val chooses: among all that finished, then among the best of them on further seeds, where searched."""
        of_run = {trained.run: trained for trained in (before, *self._tried)}
        contest = Contest.of(before.run, runs, self._target, lambda run: self._val_scores.spread(of_run[run]))
        taken, final, finals = of_run[contest.winner], None, list[Final]()
        if self._budget.searches and taken is not before and not self._session.stopped:
            finals = self._finals([of_run[run] for run in ranked(runs, self._target)], contest)
            final = best_final(finals, contest)
            taken = final.leader
        repeated = [one.leader.run for one in finals]
        claims = [Claim(of_run[run], why) for run, why in contest.claims(taken.run) if run not in repeated]
        claims += [] if final is None else lost(finals, final)
        delivered, preference = self._single_or_ensemble(taken, finals, contest)
        choice = Choice(
            among=len(contest.runs) - 1,
            optimism=contest.optimism,
            passed_over=passed_over(claims, taken, delivered, self._val_scores),
            ensemble=preference,
        )
        return _Chosen(delivered, taken, choice, final, tuple(one.repeats for one in finals))

    def _finals(self, order: Sequence[TrainedModel], contest: Contest) -> list[Final]:
        """The best recipes on several seeds."""
        order = [one for one in order if contest.goes_before_the_baseline(one.run)]
        leaders = [order[0], *(one for one in order[1:] if self._val_scores.within_noise(order[0], one))][:FINALISTS]
        return [self._repeated(leader) for leader in leaders]

    def _repeated(self, leader: TrainedModel) -> Final:
        recipe = leader.run.recipe
        trained = (leader, *self._session.attempt([self._job(recipe, seed=seed) for seed in self._seeds[1:]]))
        return Final(leader, trained, self._repeats(recipe, trained))

    def _single_or_ensemble(
        self, single: TrainedModel, finals: Sequence[Final], contest: Contest
    ) -> tuple[TrainedModel, tuple[str, Difference] | None]:
        """All networks together where val prefers that, it goes before the baseline, and meets the target no less.

        Returns:
            What is delivered, and what val prefers the ensemble by.
        """
        several = [one for final in finals for one in final.trained if one.run.state == "finished"]
        if self._budget.single or self._budget.refit or len(several) < 2:
            return single, None
        ensemble = self._session.ensemble(several, single)
        if not contest.goes_before_the_baseline(ensemble.run):
            return single, None
        if self._target.train_ranks and meets(single.run, self._target) > meets(ensemble.run, self._target):
            return single, None
        preference = self._val_scores.preference(ensemble, single)
        return (single, None) if preference is None else (ensemble, preference)

    # -------------------------------------------------------------------------------------- ingredients

    def _ingredients(self, final: Final) -> tuple[tuple[Ingredient, ...], tuple[str, ...]]:
        """What each ingredient of the chosen recipe brings, on the seeds of the finalists; and those without time."""
        whole = final.repeats
        every = ingredients(whole.recipe)
        seconds = sum(run.seconds for run in whole.runs)
        costs = [seconds * _views(recipe) / _views(whole.recipe) for _, recipe in every]
        left_out = every[: sum(cost <= self._limit - self._spent for cost in accumulate(costs))]
        trained = self._session.attempt(
            [self._job(recipe, seed=seed) for _, recipe in left_out for seed in self._seeds]
        )
        by_recipe = [trained[first : first + SEEDS] for first in range(0, len(trained) - SEEDS + 1, SEEDS)]
        brought = tuple(
            Ingredient.of(
                name, whole, self._repeats(recipe, without), self._val_scores.error_of_means(final.trained, without)
            )
            for without, (name, recipe) in zip(by_recipe, left_out, strict=False)
        )
        return brought, tuple(name for name, _ in every[len(brought) :])

    @property
    def _seeds(self) -> list[int]:
        return [self._session.seed + number for number in range(SEEDS)]

    def _repeats(self, recipe: Recipe, trained: Sequence[TrainedModel]) -> Repeats:
        return Repeats(recipe, tuple(one.run for one in trained), self._target)


@dataclass(frozen=True, eq=False)
class _Chosen:
    """What is delivered, `single` of it if it is an ensemble, and how it was chosen; of a search, its recipe on several
    seeds, and all finalists.
    """

    model: TrainedModel
    single: TrainedModel
    choice: Choice
    final: Final | None
    finalists: tuple[Repeats, ...]


def _views(recipe: Recipe) -> int:
    """How many views of an image a step looks at."""
    return recipe.model.views if isinstance(recipe.model, CnnModel) and not recipe.training.draws_a_view else 1
