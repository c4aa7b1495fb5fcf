"""Labels that cannot be learnt, or that say nothing new.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.decider import Predictions
from tagfit.diagnosis.evidence import CannotCheck, Evidence, frequent
from tagfit.diagnosis.telling import auc, auc_interval
from tagfit.records.data import UNKNOWN, YES
from tagfit.records.runs import Finding
from tagfit.records.scores import Interval

#: fewer yes, or fewer no, in train teach nothing
FEW = 10
#: labels with so many yes and no on val are held against chance; an AUC that is surely below this is next to none
JUDGED, NEXT_TO_CHANCE = 10, 0.6
#: labels that agree so nearly (their correlation) are one
SYNONYM = 0.95
#: never seen without the other one, by chance as rarely as that
CHANCE = 0.001


def unlearnable(evidence: Evidence) -> list[Finding]:
    """Labels with too few samples, that are never alone, that are told no better than by chance, and synonyms.

    Raises:
        CannotCheck: the data is not there.
    """
    data = evidence.locked
    labels_NL = data.labels("train")
    names = data.dataset.label_names
    few_L = ~frequent(labels_NL, FEW)
    found = [*_few(labels_NL, few_L, names), *_together(labels_NL, few_L, names)]
    predictions = evidence.predictions.get("val")
    if predictions is not None and len(predictions):
        found += _no_better(predictions, few_L, names)
    elif not found:
        raise CannotCheck("no label is rare or the same as another; which ones are told by chance alone is not known")
    return found


def _few(labels_NL: NDArray[np.int8], few_L: NDArray[np.bool_], names: Sequence[str]) -> Iterator[Finding]:
    if not few_L.any():
        return
    counts = [(int((labels_NL[:, label] == YES).sum()), names[label]) for label in np.flatnonzero(few_L).tolist()]
    listed = ", ".join(f"{name} {count}" for count, name in sorted(counts)[:5])
    yield Finding(
        check="unlearnable",
        strength=float(few_L.mean()),
        interval=None,
        seen=f"{len(counts)} of {len(few_L)} labels have fewer than {FEW} yes or fewer than {FEW} no in train: "
        f"{listed}{' and more' if len(counts) > 5 else ''} yes.",
        meaning="Some labels have too few samples to be learnt, or to be scored.",
        todo="Collect samples of them (tagfit inspect counts them), or leave those labels away.",
        names=tuple(name for _, name in sorted(counts)),
    )


def _no_better(predictions: Predictions, few_L: NDArray[np.bool_], names: Sequence[str]) -> Iterator[Finding]:
    """Labels of which the model says on val what it might as well draw."""
    found: list[tuple[float, Interval, str]] = []
    for label in np.flatnonzero(~few_L).tolist():
        known = predictions.labels_NL[:, label] != UNKNOWN
        yes = predictions.labels_NL[known, label] == YES
        if min(yes.sum(), (~yes).sum()) < JUDGED:
            continue
        value = auc(predictions.probabilities_NL[known, label], yes)
        interval = auc_interval(value, int(yes.sum()), int((~yes).sum()))
        if interval.high < NEXT_TO_CHANCE:
            found.append((value, interval, names[label]))
    if not found:
        return
    value, interval, _ = min(found)
    listed = ", ".join(f"{name} {value:.2f}" for value, _, name in sorted(found, key=lambda one: one[0])[:5])
    yield Finding(
        check="unlearnable",
        strength=len(found) / len(few_L),
        interval=None,
        seen=f"On val, {len(found)} of {len(few_L)} labels are told next to no better than by a constant baseline: "
        f"{listed} (AUC; 0.5 is chance; 95% of the first: {interval.low:.2f} to {interval.high:.2f}).",
        meaning="Some labels are not learnt: what the model looks at does not show them, or chance labels them.",
        todo="Look at their samples; larger images (--size) show small things. Leave away what nobody can see.",
        names=tuple(name for _, _, name in sorted(found, key=lambda one: one[0])),
    )


def _together(labels_NL: NDArray[np.int8], few_L: NDArray[np.bool_], names: Sequence[str]) -> Iterator[Finding]:
    """Pairs of labels that are one, and labels that are never without another."""
    same: list[tuple[float, str, str]] = []
    inside: list[tuple[str, str]] = []
    frequent = np.flatnonzero(~few_L).tolist()
    for place, first in enumerate(frequent):
        for second in frequent[place + 1 :]:
            known = (labels_NL[:, [first, second]] != UNKNOWN).all(axis=1)
            one, other = (labels_NL[known, label] == YES for label in (first, second))
            if min(one.sum(), (~one).sum(), other.sum(), (~other).sum()) < FEW:
                continue
            correlation = float(np.corrcoef(one, other)[0, 1])
            if abs(correlation) >= SYNONYM:
                same.append((correlation, names[first], names[second]))
            elif not (one & ~other).any() and other.mean() ** one.sum() <= CHANCE:
                inside.append((names[first], names[second]))
            elif not (other & ~one).any() and one.mean() ** other.sum() <= CHANCE:
                inside.append((names[second], names[first]))
    if same:
        listed = ", ".join(f"{a} and {b} ({value:+.2f})" for value, a, b in same[:4])
        yield Finding(
            check="unlearnable",
            strength=max(abs(value) for value, _, _ in same) * 2 * len(same) / max(len(few_L), 2 * len(same)),
            interval=None,
            seen=f"{len(same)} {'pair goes' if len(same) == 1 else 'pairs go'} together nearly always, or never: "
            f"{listed} (correlation in train).",
            meaning="Labels are synonyms or opposites: one of the two says nothing new, and metrics count it twice.",
            todo="Keep one of each pair in the label file.",
            names=tuple(dict.fromkeys(name for _, a, b in same for name in (a, b))),
        )
    if inside:
        listed = ", ".join(f"{a} (only with {b})" for a, b in inside[:4])
        yield Finding(
            check="unlearnable",
            strength=0.05,
            interval=None,
            seen=f"Labels that are never alone in train: {listed}{' and more' if len(inside) > 4 else ''}.",
            meaning="A label that only comes with another may be learnt as that other one.",
            todo="Where that is not what the labels mean, collect samples that have only the first.",
            names=tuple(dict.fromkeys(a for a, _ in inside)),
        )
