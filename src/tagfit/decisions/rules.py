"""Decision rules: which labels to give, made of probabilities. `rule_fitting` fits them.

Shapes: N samples, L labels, S label sets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from msgspec import Meta

from tagfit.errors import DataError, did_you_mean
from tagfit.io.ranges import Count, CountOrNone, Finite, Fraction
from tagfit.metrics.scores import CLIP, THRESHOLD, Bools, Floats

#: the metrics that a rule can be fitted for, and those whose level a person may ask for
METRIC_OBJECTIVES = ("micro_f1", "macro_f1", "sample_f1", "subset_accuracy")
LEVEL_OBJECTIVES = ("recall", "precision")

#: a rule knows no more label sets than these
MOST_SETS = 1024

_Note = Annotated[str, Meta(max_length=200, description="at most 200 printable characters")]
_Sets = Annotated[
    tuple[tuple[CountOrNone, ...], ...],
    Meta(max_length=MOST_SETS, description=f"a list of at most {MOST_SETS} lists of label indexes"),
]

_CELLS_A_BLOCK = 1 << 22


@dataclass(frozen=True)
class Objective:
    """What a rule is fitted for: a metric, or the best precision at a recall, or the best recall at a precision.

    Attributes:
        metric: one of METRIC_OBJECTIVES or LEVEL_OBJECTIVES.
        level: what recall or precision, of all cells together, is to be at least; None for a metric.
    """

    metric: str
    level: float | None = None

    @classmethod
    def parse(cls, text: str) -> Objective:
        """`macro_f1`, `recall>=0.9` and the like.

        Raises:
            DataError: anything else.
        """
        known = (*METRIC_OBJECTIVES, *(f"{name}>=R" for name in LEVEL_OBJECTIVES))
        found = re.fullmatch(r"\s*(\w+)\s*(?:>=\s*(\S+)\s*)?", text)
        metric, level = found.groups() if found else (text, None)
        if metric not in (METRIC_OBJECTIVES if level is None else LEVEL_OBJECTIVES):
            if metric in LEVEL_OBJECTIVES:
                raise _without_level(metric, text)
            hint = did_you_mean(metric, (*METRIC_OBJECTIVES, *LEVEL_OBJECTIVES))
            raise DataError(f"rules are fitted for one of {', '.join(known)}; got {text!r}.{hint}")
        if level is None:
            return cls(metric)
        try:
            fraction = float(level)
        except ValueError:
            fraction = math.nan
        if not 0 < fraction < 1:
            percent = f" Write {fraction:g}% as {fraction / 100:g}." if 1 < fraction < 100 else ""
            raise DataError(
                f"{metric} must be at least a fraction between 0 and 1, e.g. {metric}>=0.9; got {text!r}.{percent}"
            )
        return cls(metric, fraction)

    def __str__(self) -> str:
        return self.metric if self.level is None else f"{self.metric}>={self.level!r}"


def _without_level(metric: str, text: str) -> DataError:
    """A shell takes an unquoted `recall>=0.9` for `recall`, and writes stdout to a file called `=0.9`."""
    return DataError(
        f"rules for {metric} need a level, such as {metric}>=0.9; got {text!r}",
        f"Quote it, because a shell takes > for a redirection: --decide-for '{metric}>=0.9'. Without quotes, the "
        "shell has written a file whose name begins with '='; delete it.",
    )


@dataclass(frozen=True)
class Rule:
    """Which labels a sample gets, as plain numbers.

    Attributes:
        thresholds: (L,) a label is given if its probability is above its threshold.
        at_least_one: whether a sample without a label is given the one with the highest probability; of equal ones the
            first.
        at_most: the most labels of a sample: those with the highest probabilities stay. None if all stay.
        label_sets: (S,) the label indexes of each set. If there are sets, they decide instead: a sample gets the set
            with the highest product of p of its labels and 1 - p of the others.
        set_weights: (S,) for each set, what is added to the logarithm of that product.
        note: what you should know about how it was fitted.

    Raises:
        DataError: fields that do not fit each other; all faults at once.
    """

    thresholds: tuple[Fraction, ...]
    at_least_one: bool = False
    at_most: Count | None = None
    label_sets: _Sets = ()
    set_weights: tuple[Finite, ...] = ()
    note: _Note = ""

    def __post_init__(self) -> None:
        if faults := list(self._disagreements()):
            raise DataError(faults)

    def _disagreements(self) -> Iterator[str]:
        L = len(self.thresholds)
        if self.at_most is not None and self.at_most > L:
            yield f"at_most must be at most the number of labels, {L}; got {self.at_most}"
        if not all(_are_ascending(members, L) for members in self.label_sets):
            yield f"label_sets must be lists of ascending label indexes below {L}"
        if len(set(self.label_sets)) < len(self.label_sets):
            yield "label_sets must all be different"
        if len(self.set_weights) != len(self.label_sets):
            yield f"set_weights must be {len(self.label_sets)} numbers, one a label set; got {len(self.set_weights)}"
        if not self.note.isprintable():
            yield "note must be printable characters"

    @classmethod
    def flat(cls, L: int, threshold: float = THRESHOLD, *, note: str = "") -> Rule:
        """One threshold for all labels and nothing else."""
        return cls((threshold,) * L, note=note)

    def decide(self, probabilities_NL: Floats) -> Bools:
        """(N, L) True for the labels that are given.

        Args:
            probabilities_NL: (N, L) floats from 0 to 1; a cell that is NaN is not given, and of label sets a row with a
                NaN gets none.

        Raises:
            DataError: another number of labels.
        """
        p_NL = np.asarray(probabilities_NL)
        if p_NL.ndim != 2 or p_NL.shape[1] != len(self.thresholds):
            raise DataError(f"this rule is for {len(self.thresholds)} labels; got probabilities of shape {p_NL.shape}")
        if self.label_sets:
            return self._likeliest_sets(p_NL)
        decisions_NL: Bools = p_NL > np.array(self.thresholds)
        if self.at_most is not None:
            _keep_highest(decisions_NL, p_NL, self.at_most)
        if self.at_least_one:
            _give_highest(decisions_NL, p_NL)
        return decisions_NL

    def _likeliest_sets(self, p_NL: Floats) -> Bools:
        sets_SL = np.zeros((len(self.label_sets), len(self.thresholds)), dtype=np.bool_)
        for members_L, labels in zip(sets_SL, self.label_sets, strict=True):
            members_L[list(labels)] = True
        decisions_NL = np.zeros(p_NL.shape, dtype=np.bool_)
        step = max(1, _CELLS_A_BLOCK // len(sets_SL))
        for start in range(0, len(p_NL), step):
            p = np.clip(p_NL[start : start + step].astype(np.float64), CLIP, 1 - CLIP)
            # the logarithm of the product, less that of the empty set, which is the same for all sets of a row
            likelihood = np.log(p / (1 - p)) @ sets_SL.T + np.array(self.set_weights)
            decisions_NL[start : start + step] = sets_SL[likelihood.argmax(axis=1)]
        decisions_NL[np.isnan(p_NL).any(axis=1)] = False
        return decisions_NL

    def describe(self, label_names: Sequence[str]) -> str:
        """In plain words, e.g. `thresholds from 0.21 (beach) to 0.55 (sea), at least one label`."""
        words = self._sets_in_words() if self.label_sets else self._thresholds_in_words(label_names)
        return f"{words}; {self.note}" if self.note else words

    def _sets_in_words(self) -> str:
        sooner = ", the common ones sooner" if any(self.set_weights) else ""
        count = len(self.label_sets)
        return f"the likeliest of {count:,} label {'set' if count == 1 else 'sets'} seen in training{sooner}"

    def _thresholds_in_words(self, label_names: Sequence[str]) -> str:
        low, high = (pick(range(len(self.thresholds)), key=self.thresholds.__getitem__) for pick in (min, max))
        texts = [f"{self.thresholds[label]:.2g}" for label in (low, high)]
        if self.thresholds[low] == self.thresholds[high]:
            words = f"above {texts[0]}"
        else:
            words = f"thresholds from {texts[0]} ({label_names[low]}) to {texts[1]} ({label_names[high]})"
        if self.at_least_one and self.at_most == 1:
            return f"{words}, exactly one label"
        at_most = (
            "" if self.at_most is None else f", at most {self.at_most} {'label' if self.at_most == 1 else 'labels'}"
        )
        return words + (", at least one label" if self.at_least_one else "") + at_most


def _keep_highest(decisions_NL: Bools, p_NL: Floats, at_most: int) -> None:
    """Take back all but the `at_most` highest of each row; of equal ones the first stay."""
    rows = np.flatnonzero(decisions_NL.sum(axis=1) > at_most)
    order = np.argsort(-np.where(decisions_NL[rows], p_NL[rows], -1), axis=1, kind="stable")
    decisions_NL[rows[:, np.newaxis], order[:, at_most:]] = False


def _give_highest(decisions_NL: Bools, p_NL: Floats) -> None:
    """Give each row without a label its highest; nothing where there is no probability."""
    rows = np.flatnonzero(~decisions_NL.any(axis=1) & ~np.isnan(p_NL).all(axis=1))
    known = p_NL[rows]
    decisions_NL[rows, np.where(np.isnan(known), -1, known).argmax(axis=1)] = True


def _are_ascending(indexes: tuple[int, ...], L: int) -> bool:
    return all(first < second for first, second in pairwise((-1, *indexes, L)))
