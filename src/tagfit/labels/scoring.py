"""What models say of samples whose labels are reviewed, and which of those labels are likely wrong.

A known label is held against networks that have not seen the sample, or its near-copies; of an unknown one the run's
own model is asked, which was never told it.

Shapes: N samples, L labels, D features, M labelled samples, K likely errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.data.groups import AUTO, group, likeness
from tagfit.decisions.crossfitting import FOLDS, folds
from tagfit.diagnosis.checks.label_errors import LEAST_CELLS, RECIPE, ranked
from tagfit.diagnosis.evidence import Features, cheapest_features, frequent
from tagfit.errors import has_extra, install_line
from tagfit.inference.tagger import Tagger
from tagfit.labels.suggest import demand_same_labels, labelled_rows, scores_of
from tagfit.records.data import UNKNOWN, Dataset
from tagfit.records.runs import Fitting
from tagfit.training.quick import fit_all

#: foldings over which the networks' scores are averaged
FOLDINGS = 3


@dataclass(frozen=True, eq=False)
class Scored:
    """Samples, and what models say of them.

    Attributes:
        scores_NL: (N, L) float32.
        x_ND: (N, D) standardised features by which samples are alike.
        errors_K2: (K, 2) row and label of each known label that is likely wrong, the likeliest first.
        model: whose scores those of unknown labels are.
        notes: what is missing, and why.
    """

    dataset: Dataset
    scores_NL: NDArray[np.float32]
    x_ND: NDArray[np.float32]
    errors_K2: NDArray[np.intp]
    model: str
    notes: tuple[str, ...] = ()


def scored(dataset: Dataset, tagger: Tagger | None, seed: int) -> Scored:
    """Train what is needed, and ask.

    Args:
        tagger: of a run; without one, small networks are trained on the labelled samples.

    Raises:
        DataError: too few labelled samples, or other labels than the run's.
    """
    demand_same_labels(dataset, tagger)
    labelled = labelled_rows(dataset)
    features = cheapest_features(dataset.x, dataset.preprocessing)
    x_ND = _standardised(features.x_ND, labelled)
    scores_NL = np.full(dataset.labels_NL.shape, 0.5, np.float32)
    scores_NL[labelled] = _unseen(dataset, x_ND, labelled, seed)
    model = _fill_unknown(scores_NL, dataset, tagger, features, seed)
    errors_K2, notes = _errors(dataset, scores_NL, labelled)
    return Scored(dataset, scores_NL, x_ND, errors_K2, model, notes)


def _standardised(x_ND: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    scale_D = np.maximum(x_ND[rows].std(axis=0), 1e-6)
    x_ND = x_ND - x_ND[rows].mean(axis=0)
    x_ND /= scale_D
    return x_ND


def _unseen(dataset: Dataset, x_ND: NDArray[np.float32], labelled: NDArray[np.intp], seed: int) -> NDArray[np.float32]:
    """(M, L) what networks say of labelled samples that they were not trained on, nor on near-copies of them."""
    groups = group(dataset, AUTO, likeness(dataset, neighbours=False)).of[labelled]
    foldings = [folds(len(labelled), groups, number=FOLDS, seed=seed + number) for number in range(FOLDINGS)]
    held = [of_fold == fold for of_fold in foldings for fold in np.unique(of_fold)]
    fittings = [
        Fitting(dataset.labels_NL, labelled[~here], labelled[here], seed + number) for number, here in enumerate(held)
    ]
    scores_ML = np.zeros((len(labelled), len(dataset.label_names)), np.float32)
    for here, found in zip(held, fit_all(fittings, x_ND, RECIPE), strict=True):
        scores_ML[here] += found / FOLDINGS
    return scores_ML


def _fill_unknown(
    scores_NL: NDArray[np.float32], dataset: Dataset, tagger: Tagger | None, features: Features, seed: int
) -> str:
    """Set the scores of unknown labels; says whose they are."""
    open_NL = dataset.labels_NL == UNKNOWN
    rows = np.flatnonzero(open_NL.any(axis=1))
    model = "the run's model" if tagger is not None else f"networks on {features.name}, trained for this"
    if len(rows):
        found = scores_of(dataset, tagger, features.x_ND, rows, seed)
        scores_NL[rows] = np.where(open_NL[rows], found, scores_NL[rows])
    return model


def _errors(
    dataset: Dataset, scores_NL: NDArray[np.float32], labelled: NDArray[np.intp]
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    none = np.empty((0, 2), np.intp)
    if not has_extra("diagnosis"):
        return none, (f"To find labels that are likely wrong, install what it needs: {install_line('diagnosis')}",)
    labels_ML = dataset.labels_NL[labelled]
    counted = frequent(labels_ML, LEAST_CELLS)
    if not counted.any():
        needed = f"{LEAST_CELLS} samples have and {LEAST_CELLS} lack"
        return none, (f"To find labels that are likely wrong, a label is needed that {needed}.",)
    found = ranked(labels_ML, scores_NL[labelled], counted)
    return np.stack([labelled[found[:, 0]], found[:, 1]], axis=1), ()
