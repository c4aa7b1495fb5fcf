"""What makes labels of a network's scores: a calibration, then a rule that was fitted or guaranteed.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.calibration import Calibration, fit_calibration
from tagfit.decisions.crossfitting import left_out
from tagfit.decisions.guarantees import FittedGuarantee, Guarantee, fit_guarantee
from tagfit.decisions.rule_fitting import fit_rule
from tagfit.decisions.rules import Objective, Rule
from tagfit.metrics.scores import THRESHOLD, Bools, Floats, Labels
from tagfit.records.data import Array, LockedData


@dataclass(frozen=True)
class DecisionObjective:
    """What a person asks of the decisions; neither is: yes above 0.5.

    Attributes:
        objective: the metric that a rule is fitted for.
        guarantee: what a threshold has to keep to on new samples.
    """

    objective: Objective | None = None
    guarantee: Guarantee | None = None

    def to_dict(self) -> dict[str, str]:
        """What was asked for, as text."""
        asked = {"decide_for": self.objective, "guarantee": self.guarantee}
        return {name: str(one) for name, one in asked.items() if one is not None}


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network says of N samples.

    Attributes:
        labels_NL: (N, L) int8 of YES, NO, UNKNOWN.
        probabilities_NL: (N, L) float32, its scores as they are.
        belongs_to: (N,) numbers of samples that belong together; one that stands alone has a number of its own.
    """

    labels_NL: Labels
    probabilities_NL: Floats
    belongs_to: NDArray[np.intp]

    @classmethod
    def of(cls, data: LockedData, rows: NDArray[np.intp], probabilities_NL: Floats) -> Predictions:
        """Of some rows of `data`, and what is said of them."""
        groups = data.split.groups
        return cls(data.dataset.labels_NL[rows], probabilities_NL, rows if groups is None else groups[rows])

    def __len__(self) -> int:
        return len(self.belongs_to)

    @property
    def groups(self) -> NDArray[np.intp] | None:
        """What belongs together; None where every sample stands alone."""
        return None if len(np.unique(self.belongs_to)) == len(self) else self.belongs_to

    def rows(self, chosen: Array) -> Predictions:
        return Predictions(self.labels_NL[chosen], self.probabilities_NL[chosen], self.belongs_to[chosen])


@dataclass(frozen=True, eq=False)
class Decider:
    """What makes labels of scores.

    Attributes:
        calibration: makes probabilities of scores.
        rule: decides by the calibrated probabilities; None if a label is given above 0.5.
        objective: what you asked the rule to be fitted for; None if you asked for nothing.
        fitted_on: the part that calibration and rule were fitted on; None if neither was.
        guaranteed: the guarantee whose threshold the rule is; None without one.
    """

    calibration: Calibration = field(default_factory=Calibration)
    rule: Rule | None = None
    objective: str | None = None
    fitted_on: str | None = None
    guaranteed: FittedGuarantee | None = None

    def probabilities(self, scores_NL: Floats) -> Floats:
        """(N, L) calibrated probabilities."""
        return self.calibration.apply(scores_NL)

    def decide(self, scores_NL: Floats) -> Bools:
        """(N, L) bool: the labels given."""
        if self.rule is None:
            decisions: Bools = scores_NL > THRESHOLD
            return decisions
        return self.rule.decide(self.probabilities(scores_NL))

    def label_faults(self, labels: int) -> list[str]:
        """Which of its parts are made for another number of labels."""
        counts = {"rule": None if self.rule is None else len(self.rule.thresholds)}
        counts["calibration"] = len(self.calibration.by_label) or None
        counts["guaranteed"] = None if self.guaranteed is None else self.guaranteed.labels
        return [
            f"decider.{name} is for {count:,} labels; {labels:,} are named"
            for name, count in counts.items()
            if count not in (None, labels)
        ]


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """A decider, and what deciders fitted on other rows make of each row that it was fitted on.

    Attributes:
        probabilities_NL, decisions_NL: (N, L) cross-fitted.
    """

    decider: Decider
    probabilities_NL: Floats
    decisions_NL: Bools


def fit_decider(
    on: Predictions, part: str, objective: Objective | None, *, seen_NL: Labels | None, seed: int = 0
) -> CrossFitted:
    """Calibrate and, where there is an objective, fit a rule for it.

    Args:
        on: the rows to fit on, which the network was not trained on.
        part: which part they are of.
        seen_NL: (M, L) the labels of train, not of these rows: the label sets that a rule may choose from. None where
            there are no others: sets are then taken from the rows, cross-fitted.
        seed: deals the folds.
    """

    def fit(rows: Predictions) -> Decider:
        calibration = fit_calibration(rows.labels_NL, rows.probabilities_NL, rows.groups, seed=seed)
        if objective is None:
            return Decider(calibration, fitted_on=part)
        calibrated = calibration.apply(rows.probabilities_NL)
        rule = fit_rule(objective, rows.labels_NL, calibrated, seen_NL=seen_NL, groups=rows.groups, seed=seed)
        return Decider(calibration, rule, str(objective), part)

    probabilities, decisions = np.empty_like(on.probabilities_NL), np.empty(on.labels_NL.shape, dtype=np.bool_)
    for here in left_out(len(on), on.groups, seed=seed + 1):
        decider = fit(on.rows(~here))
        probabilities[here] = decider.probabilities(on.probabilities_NL[here])
        decisions[here] = decider.decide(on.probabilities_NL[here])
    return CrossFitted(fit(on), probabilities, decisions)


def with_guarantee(decider: Decider, guarantee: Guarantee, on: Predictions, *, seed: int = 0) -> Decider:
    """`decider`, deciding by the threshold that keeps `guarantee` on samples such as `on`, which nothing else has used.

    Raises:
        DataError: it cannot be given; with the reason.
    """
    probabilities = decider.probabilities(on.probabilities_NL)
    kept = fit_guarantee(guarantee, on.labels_NL, probabilities, on.groups, seed=seed)
    rule = Rule.flat(on.labels_NL.shape[1], kept.threshold)
    return Decider(decider.calibration, rule, str(guarantee), decider.fitted_on, kept)
