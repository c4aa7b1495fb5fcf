"""What one label says of another: `sunset` comes with `sky`, where the data holds to it.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.records.data import NO, UNKNOWN, YES

#: a rule is held to so often, by so many samples, and says more than that nearly all samples have the label
HELD, LEAST, MOST_COMMON = 0.99, 50, 0.9
#: rules at most, those that most samples hold to
MOST_RULES = 300


@dataclass(frozen=True)
class LabelRule:
    """Samples with the label `cause` have the label `effect`: `held` of `count`, where both are known."""

    cause: int
    effect: int
    held: int
    count: int

    def sentence(self, label_names: tuple[str, ...]) -> str:
        """What is said where a sample breaks it."""
        cause, effect = label_names[self.cause], label_names[self.effect]
        return f"{cause} without {effect}: {self.held:,} of {self.count:,} with {cause} also have {effect}."


def find_rules(labels_NL: NDArray[np.int8]) -> tuple[LabelRule, ...]:
    """The rules that the data holds to, those first that most samples hold to."""
    yes_NL, known_NL = ((labels_NL == YES).astype(np.float32), (labels_NL != UNKNOWN).astype(np.float32))
    count_LL, held_LL = yes_NL.T @ known_NL, yes_NL.T @ yes_NL
    rate_L = yes_NL.sum(axis=0) / np.maximum(known_NL.sum(axis=0), 1)
    rules_LL = (count_LL >= LEAST) & (held_LL >= HELD * count_LL) & (rate_L <= MOST_COMMON)
    np.fill_diagonal(rules_LL, False)
    found = [
        LabelRule(int(cause), int(effect), int(held_LL[cause, effect]), int(count_LL[cause, effect]))
        for cause, effect in np.argwhere(rules_LL)
    ]
    return tuple(sorted(found, key=lambda rule: -rule.held)[:MOST_RULES])


def broken(rules: tuple[LabelRule, ...], labels_L: NDArray[np.int8]) -> list[LabelRule]:
    """The rules whose `effect` a sample lacks, or is not known to have."""
    return [rule for rule in rules if labels_L[rule.cause] == YES and labels_L[rule.effect] != YES]


def exceptions(rules: tuple[LabelRule, ...], labels_NL: NDArray[np.int8]) -> list[tuple[int, int]]:
    """Row and label of each sample that has `cause` and is known to lack `effect`."""
    cells = [
        (int(row), rule.effect)
        for rule in rules
        for row in np.flatnonzero((labels_NL[:, rule.cause] == YES) & (labels_NL[:, rule.effect] == NO))
    ]
    return list(dict.fromkeys(cells))
