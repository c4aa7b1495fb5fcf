"""Wrong labels: yes that should be no, and no that should be yes.

What a network says of samples that it has not seen is held against their labels, label by label as cleanlab does it for
several labels (Northcutt, Jiang and Chuang, Confident learning, JAIR 2021; Thyagarajan et al., Identifying incorrect
annotations in multi-label classification data, 2022). Hard samples look alike; so nothing is told unless labels also
contradict the network where it is surest, where labels without errors hardly do.

Shapes: N samples, L labels, M samples that are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.crossfitting import FOLDS, folds
from tagfit.diagnosis.evidence import CannotCheck, Evidence, frequent
from tagfit.errors import has_extra
from tagfit.metrics.intervals import wilson
from tagfit.metrics.scores import Floats
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.records.data import NO, UNKNOWN, YES
from tagfit.records.runs import Finding

#: trained briefly: a network that knows its training set would learn the errors
RECIPE = Recipe(name="brief", model=DenseModel(widths=(128,)), training=Training(epochs=10, patience=0))
#: labels that fewer have, or lack, are left out
LEAST_CELLS = 10
#: the surest tenth of what the network says, and not fewer cells; contradicted more often than so, errors are told
SUREST, LEAST_SURE, MOST_CONTRADICTED = 0.1, 30, 0.015
#: cells in a finding, and in its sentence
NAMED, SHOWN = 100, 3


def label_errors(evidence: Evidence) -> list[Finding]:
    """Likely missing labels, and likely false ones, the likeliest first.

    Raises:
        CannotCheck: nothing may be trained, cleanlab is not installed, or no label is frequent enough.
    """
    if not has_extra("diagnosis"):
        raise CannotCheck("it needs packages that are not installed: pip install 'tagfit[diagnosis]'")
    rows = evidence.labelled
    labels_ML = evidence.locked.dataset.labels_NL[rows]
    counted = frequent(labels_ML, LEAST_CELLS)
    if not counted.any():
        raise CannotCheck(f"it takes a label that {LEAST_CELLS} samples have and {LEAST_CELLS} lack")
    p_ML = unseen(evidence, rows)
    order = ranked(labels_ML, p_ML, counted)
    return list(_findings(evidence, rows, order, labels_ML, p_ML, counted))


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
    for given, what, opposite in ((NO, "missing", "yes"), (YES, "false", "no")):
        rate, count = _contradicted(labels_ML[:, counted], p_ML[:, counted], given)
        if count < LEAST_SURE or (within := wilson(round(rate * count), count)).low <= MOST_CONTRADICTED:
            continue
        cells = [(row, label) for row, label in order if labels_ML[row, label] == given]
        named = [f"{dataset.sample_names[rows[row]]}: {dataset.label_names[label]}" for row, label in cells[:NAMED]]
        if not named:
            continue
        yield Finding(
            check="label_errors",
            strength=rate,
            interval=within,
            seen=f"Of the {count:,} cells that a network on {features} is surest are {opposite}, unseen, {rate:.1%} "
            f"are labelled otherwise (95%: {within.low:.1%} to {within.high:.1%}). Likeliest: "
            f"{', '.join(named[:SHOWN])}.",
            meaning=f"Labels are likely {what}, or {features} do not show what tells them.",
            todo=f"Look at the {len(named)} named with --json, and mend the label file. label_smoothing bears with "
            "what stays wrong.",
            names=tuple(named),
            tries=("dense-label-smoothing",),
        )


def _contradicted(labels_ML: NDArray[np.int8], p_ML: Floats, given: int) -> tuple[float, int]:
    """How often cells are labelled `given` where the network is surest of the opposite, and of how many cells."""
    sure = (labels_ML != UNKNOWN) & ((p_ML > 0.5) if given == NO else (p_ML <= 0.5))
    how_sure, cells = np.abs(p_ML - 0.5)[sure], labels_ML[sure]
    count = min(len(cells), max(LEAST_SURE, round(SUREST * len(cells))))
    surest = np.argsort(-how_sure, kind="stable")[:count]
    return (float((cells[surest] == given).mean()) if count else 0.0), count
