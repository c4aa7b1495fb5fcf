"""What val says of trained models: how they compare, which finalist is best over seeds, and who else had a claim.

Shapes: M models, B resamples of val.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tagfit.metrics.intervals import Answers, Resampling, Spread, difference, resample
from tagfit.records.runs import Run
from tagfit.records.scores import Difference, Target
from tagfit.records.verdict import PassedOver, Reason
from tagfit.search.repeats import Repeats
from tagfit.search.selection import Contest, deviations, meets, on_val
from tagfit.training.trained import TrainedModel


class ValScores:
    """Scores on val of trained models, on the same resamples, each resampled once."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._spreads: dict[Run, Spread] = {}

    def spread(self, trained: TrainedModel) -> Spread:
        """The target's metric and the log loss."""
        if trained.run not in self._spreads:
            val = trained.predictions["val"]
            answers = Answers(val.labels_NL, val.probabilities_NL)
            draw = Resampling.of(len(val), val.groups)
            self._spreads[trained.run] = resample(answers, draw, (self.target.metric, "log_loss"))
        return self._spreads[trained.run]

    def ahead(self, one: TrainedModel, other: TrainedModel) -> Difference | None:
        """The score of one less that of the other."""
        return difference(self.spread(one), self.spread(other))[self.target.metric]

    def within_noise(self, one: TrainedModel, other: TrainedModel) -> bool:
        ahead = self.ahead(one, other)
        return ahead is None or ahead.within_noise

    def preference(self, one: TrainedModel, other: TrainedModel) -> tuple[str, Difference] | None:
        """What val prefers one by, beyond noise: the target's metric or, where that can't tell, log loss.

        Log loss looks at every probability, and so tells a difference on far fewer samples.
        """
        moved = difference(self.spread(one), self.spread(other))
        score, loss = moved[self.target.metric], moved["log_loss"]
        if score is not None and not score.within_noise:
            return (self.target.metric, score) if score.value > 0 else None
        return ("log_loss", loss) if loss is not None and not loss.within_noise and loss.value < 0 else None

    def error_of_means(self, several: Sequence[TrainedModel], others: Sequence[TrainedModel]) -> float:
        """The standard error, over val's samples, of the difference between two mean scores; 0 where one is unknown."""
        scored = [[one for one in each if one.run.scores.get("val") is not None] for each in (several, others)]
        if not all(scored):
            return 0.0
        spreads = [self.spread(one) for each in scored for one in each]
        means_2B = [
            part_MB.mean(axis=0) for part_MB in np.split(deviations(spreads, self.target.metric), [len(scored[0])])
        ]
        return float(np.sqrt(np.mean((means_2B[0] - means_2B[1]) ** 2))) if means_2B[0].size else 0.0


@dataclass(frozen=True, eq=False)
class Final:
    """A finalist: its run on the session's seed, and on further ones."""

    leader: TrainedModel
    trained: tuple[TrainedModel, ...]
    repeats: Repeats

    @property
    def mean(self) -> float:
        mean = self.repeats.mean("val")
        return -1.0 if mean is None else mean

    @property
    def meets(self) -> bool:
        return self.repeats.target.train_ranks and self.repeats.meets

    def rank(self) -> tuple[bool, float]:
        return self.meets, self.mean


def best_final(finals: Sequence[Final], contest: Contest) -> Final:
    """The one whose mean over seeds is best or, of those within a standard error of it, the simplest."""
    best = max(finals, key=Final.rank)
    near = [
        one
        for one in finals
        if one.meets == best.meets
        and (one is best or best.mean - one.mean <= contest.error(best.leader.run, one.leader.run))
    ]
    return min(near, key=lambda one: (one.leader.run.parameters, -one.mean))


class Claim(NamedTuple):
    """A model that was not taken, why, and its mean over seeds beside that of the one that was."""

    model: TrainedModel
    reason: Reason
    means: tuple[float, float] | None = None


def lost(finals: Sequence[Final], taken: Final) -> Iterator[Claim]:
    """Why each other finalist is not taken."""
    best = max(finals, key=Final.rank)
    for final in finals:
        means = (final.mean, taken.mean)
        if final.meets < taken.meets:
            yield Claim(final.leader, "misses on seeds", means)
        elif final.mean < taken.mean:
            yield Claim(final.leader, "lower on seeds", means)
        elif final is best and final is not taken:
            yield Claim(final.leader, "simpler", means)


def passed_over(
    claims: Sequence[Claim], taken: TrainedModel, delivered: TrainedModel, scores: ValScores
) -> tuple[PassedOver, ...]:
    """Reason by reason, those that score more on val than what is delivered, or meet the target and it does not.

    Args:
        taken: what they lost to: what is delivered, or its best member where that is an ensemble.
    """
    target, by_reason = scores.target, dict[Reason, list[Claim]]()
    for claim in claims:
        run = claim.model.run
        higher = on_val(run, target) > on_val(delivered.run, target)
        if higher or meets(run, target) > meets(delivered.run, target):
            by_reason.setdefault(claim.reason, []).append(claim)
    return tuple(_best_of(several, taken, scores) for several in by_reason.values())


def _best_of(claims: Sequence[Claim], taken: TrainedModel, scores: ValScores) -> PassedOver:
    best = max(claims, key=lambda claim: on_val(claim.model.run, scores.target))
    return PassedOver(
        name=best.model.run.recipe.name,
        reason=best.reason,
        val=on_val(best.model.run, scores.target),
        instead=taken.run.recipe.name,
        ahead=scores.ahead(best.model, taken),
        means=best.means,
        others=len(claims) - 1,
    )
