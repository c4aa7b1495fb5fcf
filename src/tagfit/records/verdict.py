"""The verdict on a fit or a cure, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tagfit.records.data import Part
from tagfit.records.scores import Difference, Interval

#: cured and fine: the target is met, by another recipe or by the one that there was. Not confirmed: met on val, but not
#: on test, or not once the choice is allowed for. Cannot tell: too few samples. The others say why it is not met.
State = Literal["cured", "fine", "not confirmed", "cannot tell", "overfit", "underfit", "out of reach"]

#: the states in which the target is met
MET: tuple[State, ...] = ("cured", "fine")

#: how the delivered model compares with the baseline on what chose neither; "alike" is what noise cannot tell apart
Comparison = Literal["better", "alike", "worse"]


@dataclass(frozen=True)
class Verdict:
    """What a fit or a cure came to, in plain words.

    Attributes:
        state: whether the target is met and, if not, why.
        sentences: the first is the headline.
        comparison: how the delivered model compares with the baseline on new samples; `alike` if noise cannot tell them
            apart. None if there is no baseline, if it is what is delivered, and in old records.
    """

    state: State
    sentences: tuple[str, ...]
    comparison: Comparison | None = None


@dataclass(frozen=True)
class NextStep:
    """Something worth doing next.

    Attributes:
        reason: why, as a sentence.
        command: what to type.
    """

    reason: str
    command: str


@dataclass(frozen=True)
class Expectation:
    """What to expect of the delivered model on new samples: the number to quote.

    Attributes:
        part: `test` if there is one, since it chose nothing; else `val`.
        value: the target's metric. On val, it is the score less the choice's `optimism` and, with folds, plus
            `averaging`. None if it is undefined.
        interval: the 95% interval of the value; None if there are too few samples.
        probability: the probability that the truth is at least what the target asks of val; None without an interval.
        samples: how many samples the part has.
        groups: how many groups of samples it has; as many as samples if each stands alone.
        averaging: with folds and without a test part, how much more the mean of their networks is estimated to score
            than single ones; else 0.
    """

    part: Part
    value: float | None
    interval: Interval | None
    probability: float | None
    samples: int
    groups: int
    averaging: float = 0.0


#: why a run that scores more on val, or meets the target there, is not delivered: see PassedOver
Reason = Literal["train band", "below the baseline", "simpler", "misses on seeds", "lower on seeds"]


@dataclass(frozen=True)
class PassedOver:
    """The best of the runs that could have been delivered, but were not for one reason.

    Attributes:
        name: the name of its recipe.
        reason: why it was not delivered: `train band`, it is outside of the train band, and what is delivered is
            within; `below the baseline` on val; `simpler`, it is ahead by at most a standard error, and larger;
            `misses on seeds`, on most further seeds it misses the target; `lower on seeds`, its mean over them is
            lower.
        val: its score on val.
        instead: the recipe that was preferred; of an ensemble, its best member.
        ahead: its score on val less that of `instead`, on the same samples; None if that has no standard error.
        means: its mean on val over seeds and that of `instead`; None unless both were repeated.
        others: how many more runs were passed over for this reason.
    """

    name: str
    reason: Reason
    val: float
    instead: str
    ahead: Difference | None
    means: tuple[float, float] | None = None
    others: int = 0


@dataclass(frozen=True)
class Choice:
    """How val chose what is delivered.

    Attributes:
        among: how many recipes it chose among, without the baseline.
        optimism: how much better than on new samples the chosen recipe looks on val, by luck alone.
        passed_over: for each reason, the best run that was not delivered for it.
        ensemble: what decided for an ensemble and against its best member: a metric, and the ensemble's less the
            member's. None for a single network.
    """

    among: int
    optimism: float
    passed_over: tuple[PassedOver, ...] = ()
    ensemble: tuple[str, Difference] | None = None
