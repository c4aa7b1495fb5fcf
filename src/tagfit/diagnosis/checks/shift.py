"""Shift: train and val differ in what they show, or in how frequent labels are.

Shapes: N samples, L labels, G groups, M samples of train and val.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.crossfitting import left_out
from tagfit.diagnosis.evidence import CannotCheck, Evidence
from tagfit.diagnosis.telling import auc_interval
from tagfit.records.data import UNKNOWN, YES
from tagfit.records.runs import Finding
from tagfit.records.scores import Interval

#: fewer groups in train or in val say nothing; of more samples in all every so many-th is looked at
LEAST, MOST = 20, 10_000
#: the two are apart where they are told apart that well, with all of the interval
APART = 0.55
#: what is learnt from: so many principal components, and their squares
COMPONENTS = 32
#: shuffles of train and val, and what is no chance
SHUFFLES, CHANCE = 999, 0.01
#: labels that are spelled out in a sentence
SHOWN = 4


def shift(evidence: Evidence) -> list[Finding]:
    """Whether train and val can be told apart by their features, or by their labels.

    Raises:
        CannotCheck: there is no val, or too little of it.
    """
    data = evidence.locked
    train, val = data.split.rows("train"), data.split.rows("val")
    if not len(val):
        raise CannotCheck("there is no val part: folds are drawn alike")
    rows = np.concatenate([train, val])
    of_row = rows if data.split.groups is None else data.split.groups[rows]
    in_val = np.arange(len(rows)) >= len(train)
    counts = len(np.unique(of_row[~in_val])), len(np.unique(of_row[in_val]))
    if min(counts) < LEAST:
        raise CannotCheck(
            f"train and val need at least {LEAST} samples, or groups of samples, each; there are {min(counts)}"
        )
    return [
        *_apart(evidence, rows, of_row, in_val),
        *_frequencies(
            LabelShift.between(data.dataset.labels_NL[rows], of_row, in_val, evidence.seed), evidence.label_names
        ),
    ]


# --------------------------------------------------------------------------------------------- features


def _apart(
    evidence: Evidence, rows: NDArray[np.intp], of_row: NDArray[np.intp], in_val: NDArray[np.bool_]
) -> Iterator[Finding]:
    if evidence.features is None:
        return
    from sklearn.metrics import roc_auc_score

    looked_at = slice(None, None, -(-len(rows) // MOST))
    rows, of_row, in_val = rows[looked_at], of_row[looked_at], in_val[looked_at]
    predictions = _told_apart(evidence.features.x_ND[rows], of_row, in_val, evidence.seed)
    value = float(roc_auc_score(in_val, predictions))
    # groups are what there is of independent samples
    within = auc_interval(value, len(np.unique(of_row[in_val])), len(np.unique(of_row[~in_val])))
    if within.low <= APART:
        return
    yield Finding(
        check="shift",
        strength=2 * value - 1,
        interval=Interval(2 * within.low - 1, 2 * within.high - 1),
        seen=f"A classifier distinguishes val from train by {evidence.features.name} with an AUC of {value:.2f} (95%: "
        f"{within.low:.2f} to {within.high:.2f}) on held-out samples; 0.5 is chance.",
        meaning="Train and val differ: scores on val may hold neither for data like train nor for other new data.",
        todo="Remove the split column from the label file and let tagfit split the data. If val is what you "
        "expect in use, collect "
        "training samples like it.",
    )


def _told_apart(
    x_MD: NDArray[np.float32], of_row: NDArray[np.intp], in_val: NDArray[np.bool_], seed: int
) -> NDArray[np.float64]:
    """(M,) how much each sample looks like val, to a classifier that has not seen it or its group."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    # what is learnt without knowing which is val needs no cross-fitting
    scaled = StandardScaler().fit_transform(np.asarray(x_MD, dtype=np.float64))
    found = PCA(min(COMPONENTS, *scaled.shape), random_state=seed).fit_transform(scaled)
    features = StandardScaler().fit_transform(np.hstack([found, found**2]))
    predictions = np.full(len(x_MD), 0.5)
    for held in left_out(len(x_MD), of_row, seed=seed):
        if len(np.unique(in_val[~held])) == 2:
            model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=500).fit(features[~held], in_val[~held])
            predictions[held] = model.predict_proba(features[held])[:, 1]
    return predictions


# ---------------------------------------------------------------------------------------------- labels


@dataclass(frozen=True, eq=False)
class LabelShift:
    """How label shares differ between two sides, against 999 deals of whole groups, of all labels at once.

    Attributes:
        there_L, here_L: the shares on the one and on the other side.
        spread_L: how far deals by chance lead, in standard deviations of here less there.
        p_L: how many deals lead as far with any label.
    """

    there_L: NDArray[np.float64]
    here_L: NDArray[np.float64]
    spread_L: NDArray[np.float64]
    p_L: NDArray[np.float64]

    @classmethod
    def between(
        cls, labels_ML: NDArray[np.int8], of_row: NDArray[np.intp], here: NDArray[np.bool_], seed: int
    ) -> LabelShift:
        """Args:
        of_row: (M,) the group of each row.
        here: (M,) whether a row is on the second side.
        """
        groups, number = np.unique(of_row, return_inverse=True)
        number = number.ravel()
        yes_GL, known_GL = np.zeros((2, len(groups), labels_ML.shape[1]))
        np.add.at(yes_GL, number, labels_ML == YES)
        np.add.at(known_GL, number, labels_ML != UNKNOWN)
        here_G = np.zeros(len(groups))
        np.maximum.at(here_G, number, here)
        rng = np.random.default_rng(seed)
        dealt_SG = np.stack([here_G, *(rng.permutation(here_G) for _ in range(SHUFFLES))])
        here_SL, there_SL = (_share(dealt, yes_GL, known_GL) for dealt in (dealt_SG, 1 - dealt_SG))
        moved_SL = here_SL - there_SL
        spread_L = np.maximum(moved_SL[1:].std(axis=0), 1e-9)
        greatest_S = np.abs(moved_SL[1:] / spread_L).max(axis=1)
        reached_SL = greatest_S[:, None] >= np.abs(moved_SL[0]) / spread_L - 1e-9
        return cls(there_SL[0], here_SL[0], spread_L, (1 + reached_SL.sum(axis=0)) / (1 + SHUFFLES))

    @property
    def moved_L(self) -> NDArray[np.float64]:
        return np.abs(self.here_L - self.there_L)

    @property
    def concerned(self) -> list[int]:
        """The labels that differ by more than chance explains, the farthest first."""
        order = np.argsort(-self.moved_L / self.spread_L, kind="stable")
        return [int(label) for label in order if self.p_L[label] <= CHANCE]

    def listed(self, names: Sequence[str]) -> str:
        """The first of them, with both shares."""
        shown = (f"{names[one]} {self.there_L[one]:.1%} and {self.here_L[one]:.1%}" for one in self.concerned[:SHOWN])
        return ", ".join(shown) + (" and more" if len(self.concerned) > SHOWN else "")


def _frequencies(shift: LabelShift, names: tuple[str, ...]) -> Iterator[Finding]:
    """Labels whose share differs more than it does where whole groups are dealt anew, of all labels at once."""
    concerned = shift.concerned
    if not concerned:
        return
    widest = max(concerned, key=lambda label: shift.moved_L[label])
    value, reach = float(shift.moved_L[widest]), 1.96 * float(shift.spread_L[widest])
    yield Finding(
        check="shift",
        strength=value,
        interval=Interval(max(0.0, value - reach), min(1.0, value + reach)),
        seen=f"{len(concerned)} of {len(names)} labels differ in frequency between train and val: "
        f"{shift.listed(names)} "
        f"(random splits differ as much in at most {shift.p_L[concerned[0]]:.1%} of cases).",
        meaning="Labels are more frequent on one side: scores and thresholds from val hold for a different mix "
        "of labels.",
        todo="Remove the split column from the label file: tagfit splits every label evenly. If val is what you expect "
        "in use, --decide-for fits thresholds to it.",
        names=tuple(names[label] for label in concerned),
    )


def _share(
    dealt_SG: NDArray[np.float64], yes_GL: NDArray[np.float64], known_GL: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(S, L) the share of yes among what is known in the groups that are dealt to a side."""
    return dealt_SG @ yes_GL / np.maximum(dealt_SG @ known_GL, 1)
