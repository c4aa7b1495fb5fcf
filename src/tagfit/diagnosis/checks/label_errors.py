"""Wrong labels: yes that should be no, and no that should be yes.

What a network says of samples that it has not seen is held against their labels, label by label as cleanlab does it for
several labels (Northcutt, Jiang and Chuang, Confident learning, JAIR 2021; Thyagarajan et al., Identifying incorrect
annotations in multi-label classification data, 2022). Hard samples look alike; so nothing is told unless labels also
contradict the network where it is surest, where labels without errors hardly do.

Shapes: N samples, L labels, M samples that are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.crossfitting import FOLDS, folds
from tagfit.diagnosis.evidence import CannotCheck, Evidence, frequent
from tagfit.errors import has_extra, install_line
from tagfit.metrics.intervals import wilson
from tagfit.metrics.scores import Bools, Floats
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.records.data import NO, UNKNOWN, YES
from tagfit.records.runs import Finding, Power

#: trained briefly: a network that knows its training set would learn the errors
RECIPE = Recipe(name="brief", model=DenseModel(widths=(128,)), training=Training(epochs=10, patience=0))
#: labels that fewer have, or lack, are left out
LEAST_CELLS = 10
#: the surest tenth of what the network says, where that is so many cells; contradicted more often than so, errors are
#: told
SUREST, LEAST_SURE, MOST_CONTRADICTED = 0.1, 30, 0.015
#: cells in a finding, and in its sentence
NAMED, SHOWN = 100, 3
#: the share of cells that is turned over, to see how many of those that are then named were turned, or whether it is
#: found at all; and how often, for the latter
PLANTED, PLANTINGS = 0.05, 200
#: quick trainings at most: those that look, and those that look again with planted errors
TRAININGS = 2 * FOLDS


def label_errors(evidence: Evidence) -> Sequence[Finding | Power]:
    """Likely missing labels, and likely false ones, the likeliest first; where there are none, the power.

    Raises:
        CannotCheck: nothing may be trained, cleanlab is not installed, or no label is frequent enough.
    """
    if not has_extra("diagnosis"):
        raise CannotCheck(f"it needs packages that are not installed: {install_line('diagnosis')}")
    rows = evidence.labelled
    labels_ML = evidence.locked.dataset.labels_NL[rows]
    counted = frequent(labels_ML, LEAST_CELLS)
    if not counted.any():
        raise CannotCheck(f"it needs a label that {LEAST_CELLS} samples have and {LEAST_CELLS} lack")
    p_ML = unseen(evidence, rows)
    order = ranked(labels_ML, p_ML, counted)
    found = list(_findings(evidence, rows, order, labels_ML, p_ML, counted))
    return found or [_power(evidence, rows, labels_ML, counted)]


def unseen(evidence: Evidence, rows: NDArray[np.intp]) -> Floats:
    """(M, L) what a brief network says of each of the rows that it was not trained on."""
    data = evidence.locked
    if evidence.features is None:
        raise CannotCheck("there are no features to look at")
    groups = data.split.groups
    of_fold = folds(len(rows), None if groups is None else groups[rows], number=FOLDS, seed=evidence.seed)
    x_ND = evidence.features.x_ND
    x_ND = ((x_ND - x_ND[rows].mean(axis=0)) / np.maximum(x_ND[rows].std(axis=0), 1e-6)).astype(np.float32)
    return evidence.unseen(rows, [of_fold], x_ND=x_ND, recipe=RECIPE)[0]


def ranked(labels_ML: NDArray[np.int8], p_ML: Floats, counted: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(K, 2) row and label of each cell that confident learning takes for an error, the likeliest first.

    Args:
        labels_ML: (M, L) int8; unknown cells are left out.
        p_ML: (M, L) what a network says that has not seen them.
        counted: (L,) which labels to look at.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    quality_ML = np.full(labels_ML.shape, np.inf)
    for label in np.flatnonzero(counted):
        known = np.flatnonzero(labels_ML[:, label] != UNKNOWN)
        given, p = labels_ML[known, label].astype(np.int64), np.asarray(p_ML[known, label], dtype=np.float64)
        both = np.stack([1 - p, p], axis=1)
        wrong = find_label_issues(given, both, filter_by="low_self_confidence", n_jobs=1)
        quality_ML[known[wrong], label] = get_label_quality_scores(given, both, method="self_confidence")[wrong]
    order = np.argsort(quality_ML.ravel(), kind="stable")[: int(np.isfinite(quality_ML).sum())]
    return np.stack(np.unravel_index(order, quality_ML.shape), axis=1)


def _findings(
    evidence: Evidence,
    rows: NDArray[np.intp],
    order: NDArray[np.intp],
    labels_ML: NDArray[np.int8],
    p_ML: Floats,
    counted: NDArray[np.bool_],
) -> Iterator[Finding]:
    dataset = evidence.locked.dataset
    features = "" if evidence.features is None else evidence.features.name
    named_right: dict[int, str] = {}
    for given, what, opposite in ((NO, "missing", "yes"), (YES, "false", "no")):
        rate, count = _contradicted(labels_ML[:, counted], p_ML[:, counted], given)
        if not _too_many(round(rate * count), count):
            continue
        within = wilson(round(rate * count), count)
        cells = [(row, label) for row, label in order if labels_ML[row, label] == given]
        named = [f"{dataset.sample_names[rows[row]]}: {dataset.label_names[label]}" for row, label in cells[:NAMED]]
        if not named:
            continue
        named_right = named_right or _precision(evidence, rows, order, labels_ML, counted)
        yield Finding(
            check="label_errors",
            strength=rate,
            interval=within,
            seen=f"Of the {count:,} labels that a network on {features} is surest are {opposite}, on held-out "
            f"samples, {rate:.1%} "
            f"are labelled otherwise (95%: {within.low:.1%} to {within.high:.1%}). Likeliest: "
            f"{', '.join(named[:SHOWN])}.{named_right[given]}",
            meaning=f"Labels are likely {what}, or {features} do not show what distinguishes them.",
            todo=f"Look at the {len(named)} that --json names, and correct the label file. label_smoothing tolerates "
            "errors that remain.",
            names=tuple(named),
            tries=("dense-label-smoothing",),
        )


def _precision(
    evidence: Evidence,
    rows: NDArray[np.intp],
    order: NDArray[np.intp],
    labels_ML: NDArray[np.int8],
    counted: NDArray[np.bool_],
) -> dict[int, str]:
    """By what is given, a sentence on how many of the cells named are wrong, where PLANTED of all are turned over.

    Those that were named without it, too, may be wrong or not, so that it is a lower bound and an upper one.
    """
    turned_ML, planted_ML, p_ML = _planted(evidence, rows, labels_ML)
    before_ML = np.zeros(labels_ML.shape, dtype=np.bool_)
    before_ML[tuple(order.T)] = True
    again = ranked(planted_ML, p_ML, counted)
    told = {}
    for given in (NO, YES):
        named = tuple(again[planted_ML[tuple(again.T)] == given][:NAMED].T)
        right, known = int(turned_ML[named].sum()), int((before_ML & ~turned_ML)[named].sum())
        told[given] = (
            f" To show how far you can trust this list, {PLANTED:.0%} of all labels were flipped: of the "
            f"{len(named[0])} "
            f"then named, {right} are flipped ones, and {known} were named before."
        )
    return told


def _power(evidence: Evidence, rows: NDArray[np.intp], labels_ML: NDArray[np.int8], counted: Bools) -> Power:
    """How often PLANTED of all cells would be found, turned over at random.

    The network is trained once on labels with such errors; what it says of a sample does not depend on that sample's
    own labels, so that the same answers serve for other draws of errors.
    """
    p_ML = _planted(evidence, rows, labels_ML)[2]
    rng = np.random.default_rng((evidence.seed, 1))
    surest = [(given, _surest(labels_ML[:, counted], p_ML[:, counted], given)) for given in (NO, YES)]
    found = 0
    for _ in range(PLANTINGS):
        wrong = [int(((cells == given) ^ (rng.random(len(cells)) < PLANTED)).sum()) for given, cells in surest]
        found += any(_too_many(count, len(cells)) for count, (_, cells) in zip(wrong, surest, strict=True))
    probability = found / PLANTINGS
    return Power(
        check="label_errors",
        probability=probability,
        seen=f"If {PLANTED:.0%} of your labels were flipped, this check would find it with probability "
        f"{probability:.2f} ({PLANTINGS} plantings on these samples).",
    )


def _planted(
    evidence: Evidence, rows: NDArray[np.intp], labels_ML: NDArray[np.int8]
) -> tuple[Bools, NDArray[np.int8], Floats]:
    """Which of all cells are turned over, the labels then, and what a network says that was trained on those."""
    rng, data = np.random.default_rng(evidence.seed), evidence.locked
    turned_ML = (labels_ML != UNKNOWN) & (rng.random(labels_ML.shape) < PLANTED)
    planted_ML = np.where(turned_ML, 1 - labels_ML, labels_ML).astype(np.int8)
    labels_NL = data.dataset.labels_NL.copy()
    labels_NL[rows] = planted_ML
    planted = replace(evidence, data=replace(data, dataset=replace(data.dataset, labels_NL=labels_NL)))
    return turned_ML, planted_ML, unseen(planted, rows)


def _too_many(wrong: int, count: int) -> bool:
    """Whether more cells are contradicted than in labels without errors, with all of the interval."""
    return count >= LEAST_SURE and wilson(wrong, count).low > MOST_CONTRADICTED


def _contradicted(labels_ML: NDArray[np.int8], p_ML: Floats, given: int) -> tuple[float, int]:
    """How often cells are labelled `given` where the network is surest of the opposite, and of how many cells."""
    cells = _surest(labels_ML, p_ML, given)
    return (float((cells == given).mean()) if len(cells) else 0.0), len(cells)


def _surest(labels_ML: NDArray[np.int8], p_ML: Floats, given: int) -> NDArray[np.int8]:
    """The labels of the cells where the network is surest of the opposite of `given`."""
    sure = (labels_ML != UNKNOWN) & ((p_ML > 0.5) if given == NO else (p_ML <= 0.5))
    how_sure, cells = np.abs(p_ML - 0.5)[sure], labels_ML[sure]
    surest: NDArray[np.int8] = cells[np.argsort(-how_sure, kind="stable")[: round(SUREST * len(cells))]]
    return surest
