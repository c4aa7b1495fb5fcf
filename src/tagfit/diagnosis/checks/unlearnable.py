"""Labels that cannot be learnt, or that say nothing new.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.decider import Predictions
from tagfit.diagnosis.evidence import CannotCheck, Evidence, frequent
from tagfit.diagnosis.telling import auc_interval
from tagfit.records.data import UNKNOWN, YES
from tagfit.records.runs import Finding
from tagfit.records.scores import Interval

#: fewer yes, or fewer no, in train teach nothing
FEW = 10
#: labels with so many yes and no on val are held against chance; an AUC that is surely below this is next to none
JUDGED, NEXT_TO_CHANCE = 10, 0.6
#: labels that agree so nearly (their correlation) are one
SYNONYM = 0.9
#: never seen without the other one, by chance as rarely as that
CHANCE = 0.001
#: labels that are held against each other, and how many at a time
MOST_COMPARED, BLOCK = 2000, 250


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
        raise CannotCheck(
            "no label is rare or the same as another; which ones are predicted only by chance is not known"
        )
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
        todo="Collect samples of them (tagfit inspect counts them), or remove those labels.",
        names=tuple(name for _, name in sorted(counts)),
    )


def _no_better(predictions: Predictions, few_L: NDArray[np.bool_], names: Sequence[str]) -> Iterator[Finding]:
    """Labels of which the model says on val what it might as well draw."""
    from sklearn.metrics import roc_auc_score

    found: list[tuple[float, Interval, str]] = []
    for label in np.flatnonzero(~few_L).tolist():
        known = predictions.labels_NL[:, label] != UNKNOWN
        yes = predictions.labels_NL[known, label] == YES
        if min(yes.sum(), (~yes).sum()) < JUDGED:
            continue
        value = float(roc_auc_score(yes, predictions.probabilities_NL[known, label]))
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
        seen=f"On val, {len(found)} of {len(few_L)} labels are predicted hardly better than by a constant baseline: "
        f"{listed} (AUC; 0.5 is chance; 95% of the first: {interval.low:.2f} to {interval.high:.2f}).",
        meaning="Some labels are not learnt: the model's input does not show them, or they were given at random.",
        todo="Look at their samples. Larger images (--size) show small objects. Remove labels that nobody can see.",
        names=tuple(name for _, _, name in sorted(found, key=lambda one: one[0])),
    )


def _together(labels_NL: NDArray[np.int8], few_L: NDArray[np.bool_], names: Sequence[str]) -> Iterator[Finding]:
    """Pairs of labels that are one, and labels that are never without another."""
    same: list[tuple[float, str, str]] = []
    inside: list[tuple[str, str]] = []
    for first, second, correlation, turned in sorted(_related(labels_NL, np.flatnonzero(~few_L))):
        if correlation is not None:
            same.append((correlation, names[first], names[second]))
        else:
            inside.append((names[second], names[first]) if turned else (names[first], names[second]))
    if same:
        listed = ", ".join(f"{a} and {b} ({value:+.2f})" for value, a, b in same[:4])
        yield Finding(
            check="unlearnable",
            strength=max(abs(value) for value, _, _ in same) * 2 * len(same) / max(len(few_L), 2 * len(same)),
            interval=None,
            seen=f"{len(same)} {'pair of labels goes' if len(same) == 1 else 'pairs of labels go'} together "
            f"nearly always, or never: "
            f"{listed} (correlation in train).",
            meaning="Labels are synonyms or opposites: one of the two adds nothing, and metrics count it twice.",
            todo="Keep one of each pair in the label file.",
            names=tuple(dict.fromkeys(name for _, a, b in same for name in (a, b))),
        )
    if inside:
        listed = ", ".join(f"{a} (only with {b})" for a, b in inside[:4])
        yield Finding(
            check="unlearnable",
            strength=0.05,
            interval=None,
            seen=f"Labels that never occur alone in train: {listed}{' and more' if len(inside) > 4 else ''}.",
            meaning="A label that only occurs with another may be learnt as the other one.",
            todo="If the labels mean different things, collect samples that have only the first.",
            names=tuple(dict.fromkeys(a for a, _ in inside)),
        )


def _related(labels_NL: NDArray[np.int8], labels: NDArray[np.intp]) -> Iterator[tuple[int, int, float | None, bool]]:
    """Pairs of `labels`, first < second, that are one, with their correlation; and those of which one, the second
    where the last value is True, never comes without the other.

    Of more than `MOST_COMPARED`, those with the most yes are compared, a block of them with another at a time.
    """
    commonest = np.argsort(-(labels_NL[:, labels] == YES).sum(axis=0), kind="stable")[:MOST_COMPARED]
    blocks = np.split(np.sort(labels[commonest]), range(BLOCK, len(commonest), BLOCK))
    for firsts, seconds in combinations_with_replacement(blocks, 2):
        count, first, second, both = _counts(labels_NL[:, firsts], labels_NL[:, seconds])
        with np.errstate(invalid="ignore"):  # of labels that are always, or never, yes
            correlation = (count * both - first * second) / np.sqrt(first * (count - first) * second * (count - second))
        fewest = np.minimum(np.minimum(first, second), count - np.maximum(first, second))
        same, within, around = (
            np.abs(correlation) >= SYNONYM,
            (both == first) & ((second / np.maximum(count, 1)) ** first <= CHANCE),
            (both == second) & ((first / np.maximum(count, 1)) ** second <= CHANCE),
        )
        for a, b in np.argwhere((firsts[:, None] < seconds) & (fewest >= FEW) & (same | within | around)).tolist():
            value = float(correlation[a, b]) if same[a, b] else None
            yield int(firsts[a]), int(seconds[b]), value, not (same[a, b] or within[a, b])


def _counts(first_NA: NDArray[np.int8], second_NB: NDArray[np.int8]) -> Iterator[NDArray[np.float64]]:
    """Four times (A, B): the samples of which both labels are known; those with the first, the second, both."""
    # float32 counts exactly up to 16 million samples, and multiplies fast
    (yes_NA, known_NA), (yes_NB, known_NB) = (
        ((labels == YES).astype(np.float32), (labels != UNKNOWN).astype(np.float32)) for labels in (first_NA, second_NB)
    )
    for one, other in ((known_NA, known_NB), (yes_NA, known_NB), (known_NA, yes_NB), (yes_NA, yes_NB)):
        yield (one.T @ other).astype(np.float64)
