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
    """What a fit or a cure came to, in plain words; the first sentence is the headline.

    Attributes:
        comparison: with the baseline; None where there is none, where it is what is delivered, or in old records.
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
    """What the delivered model is to be expected to score on new samples: the number to quote.

    Attributes:
        part: test where there is one, since it chose nothing; else val, its score less the choice's optimism.
        value: the target's metric; None where it is undefined.
        interval: where the truth lies with 95% confidence; None where the samples are too few to say.
        probability: that the truth is at least what the target asks of val; None where the interval is.
        averaging: of folds without a test part, what the mean of their networks is estimated to score above single
            ones, which val scores; it is in `value`.
        samples, groups: how many the part has; as many groups as samples where each stands alone.
    """

    part: Part
    value: float | None
    interval: Interval | None
    probability: float | None
    samples: int
    groups: int
    averaging: float = 0.0


#: why a run that scores more on val, or meets the target there, is not delivered. Train band: it is outside, what is
#: delivered is within. Below the baseline: on val. Simpler: it is ahead by at most a standard error, and larger. Misses
#: on seeds, lower on seeds: on most further seeds it misses the target, or its mean over them is lower.
Reason = Literal["train band", "below the baseline", "simpler", "misses on seeds", "lower on seeds"]


@dataclass(frozen=True)
class PassedOver:
    """Runs that had a claim to be delivered, but are not, for one reason: the best of them.

    Attributes:
        instead: the recipe that was preferred; of an ensemble, its best member.
        ahead: its score on val less that recipe's, paired; None where that has no standard error.
        means: its mean on val over seeds and that recipe's; None unless both were repeated.
        others: how many more there are.
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
        optimism: how much better than new samples val makes the chosen one look, by luck alone.
        passed_over: runs that had a claim, reason by reason.
        ensemble: what decided for an ensemble and against its best member: the score or log_loss, ensemble less member.
    """

    among: int
    optimism: float
    passed_over: tuple[PassedOver, ...] = ()
    ensemble: tuple[str, Difference] | None = None
