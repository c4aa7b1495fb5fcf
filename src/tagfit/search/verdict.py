"""What decides the verdict on a fit or a cure. `search.wording` puts it into sentences.

The target counts as met where what is to be expected of new samples supports it: the score on test, which chose
nothing, or where there is no test part the score on val less what the choice adds to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tagfit.decisions.rules import METRIC_OBJECTIVES
from tagfit.metrics.intervals import Spread
from tagfit.records.data import Part
from tagfit.records.runs import Run
from tagfit.records.scores import Difference, Differences, Interval, Target
from tagfit.records.verdict import Choice, Comparison, Expectation, State
from tagfit.search.selection import in_train_band, on_val

#: how probable it has to be that new samples score at least what was asked
SURE = 0.95

#: a train score that is above val's by more, with all of the interval, is overfitting
SMALL_GAP = 0.05


@dataclass(frozen=True, eq=False)
class Case:
    """What a verdict is passed on.

    Attributes:
        before: the baseline; None for a fit.
        after: what is delivered.
        gap: its score on train less that on val; None where either has no standard error.
        intervals: of its scores on val, by metric.
        differences: after less before, paired.
        tried: each further recipe that was trained.
    """

    target: Target
    before: Run | None
    after: Run
    expected: Expectation
    gap: Difference | None = None
    intervals: Mapping[str, Interval | None] = field(default_factory=dict)
    differences: Differences = field(default_factory=dict)
    choice: Choice | None = None
    tried: Sequence[Run] = ()

    @property
    def cured(self) -> bool:
        """Whether something else than the baseline is delivered."""
        return self.before is not None and self.after is not self.before

    @property
    def optimism(self) -> float:
        return 0.0 if self.choice is None else self.choice.optimism


def state_of(case: Case) -> State:
    """The verdict in a word."""
    expected, asked = case.expected, case.target.val_at_least
    if expected.value is None or expected.probability is None:
        return "cannot tell"
    if case.target.train_ranks and not in_train_band(case.after, case.target):
        return condition(case)
    if expected.probability >= SURE:
        return "cured" if case.cured else "fine"
    if expected.value >= asked:
        return "cannot tell"
    return "not confirmed" if on_val(case.after, case.target) >= asked else condition(case)


def condition(case: Case) -> State:
    """What keeps a model from the target."""
    if case.gap is not None and overfits(case.gap):
        return "overfit"
    train = case.after.score("train", case.target.metric)
    return "underfit" if train is not None and train < case.target.val_at_least else "out of reach"


def overfits(gap: Difference) -> bool:
    """Whether train's score is above val's beyond noise, by more than a trifle."""
    return gap.interval.low > SMALL_GAP


def ranks_better(metric: str, ranking: Interval | None, constant: float | None) -> bool:
    """Whether a model that decides no better than a constant baseline at 0.5 may decide better by other thresholds.

    Args:
        ranking, constant: the interval of mAP, and what the constant baseline has of it.
    """
    return metric in METRIC_OBJECTIVES and ranking is not None and constant is not None and ranking.low > constant


def comparison_of(case: Case) -> Comparison | None:
    """How the delivered model compares with the baseline on what is expected; None where it is the baseline."""
    moved = gain(case)
    if moved is None:
        return None
    return "better" if moved.low > 0 else "worse" if moved.high < 0 else "alike"


def gain(case: Case) -> Difference | None:
    """After less before on the part that is quoted: on val, less what the choice adds."""
    moved = case.differences.get(case.expected.part, {}).get(case.target.metric)
    if moved is None or case.expected.part == "test" or not case.optimism:
        return moved
    interval = Interval(moved.low - case.optimism, moved.high - case.optimism)
    return Difference.around(moved.value - case.optimism, interval, moved.error)


def expectation(
    spreads: Mapping[Part, Spread], target: Target, optimism: float = 0.0, averaged: Spread | None = None
) -> Expectation:
    """What the delivered model is to be expected to score on new samples.

    Args:
        spreads: its resampled scores; those of test, where there are any, chose nothing.
        optimism: what the choice adds to val.
        averaged: of folds, what the mean of their networks is estimated to score; val scores single ones.
    """
    part: Part = "test" if "test" in spreads else "val"
    spread = spreads[part]
    single = spread.scores[target.metric]
    if part == "val" and averaged is not None and averaged.scores[target.metric] is not None:
        spread = averaged
    score = spread.scores[target.metric]
    value = score if score is None or part == "test" else max(0.0, score - optimism)
    likely = None if value is None else spread.likely(target.metric, value, target.val_at_least)
    interval, probability = (None, None) if likely is None else likely
    draw = spread.resampling
    averaging = 0.0 if score is None or single is None else score - single
    return Expectation(part, value, interval, probability, len(draw.of_row), draw.groups, averaging)
