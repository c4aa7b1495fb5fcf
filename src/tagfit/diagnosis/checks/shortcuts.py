"""Shortcuts: labels that can be told from what no model should use.

Shapes: N samples, L labels, M samples that are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tagfit.diagnosis.evidence import CannotCheck, Evidence, frequent, without_copies
from tagfit.diagnosis.telling import Told, auc_interval, tell
from tagfit.images.metadata import Traits, traits
from tagfit.images.neighbours import Series
from tagfit.records.data import NO, YES, Dataset, LockedData
from tagfit.records.runs import Finding
from tagfit.records.scores import Interval

#: so many samples are looked at, of more every so many-th
MOST = 20_000
#: fewer samples, or fewer yes or no of a label, say nothing
LEAST, LEAST_CELLS = 50, 10
#: values are sorted into so many bins, two together into as many pairs; rarer names than this make one bin
BINS, PAIRED, RARE = 16, 6, 5
#: what is told that well, with all of its interval, and by chance as rarely as that
TELLING, CHANCE = 0.6, 0.01
#: labels that are spelled out in a sentence
SHOWN = 4


@dataclass(frozen=True)
class Trait:
    """Something that samples have and no model should use.

    Attributes:
        said: the beginning of a sentence that ends in labels.
        meaning, todo: as in a Finding.
        weight: what its strength counts: less where it may come of what is to be seen, or where no model sees it.
    """

    sentence: str
    meaning: str
    todo: str
    weight: float = 1.0


_SESSIONS = "A model may learn whatever else differs between those days or places."
TRAITS = {
    "image size": Trait(
        "The original width and height alone predict",
        "The size of an image gives labels away. Resizing removes it, but how sharp images are still reveals it.",
        "Put width and height in a column of the label file and run tagfit evaluate --by COLUMN. Collect images "
        "of one size for every label.",
    ),
    "file size": Trait(
        "The number of bytes of a file alone predicts",
        "The size of a file gives labels away. Detail takes bytes, so this may be the images themselves, or they "
        "were saved at different qualities.",
        "Save all images the same way, at one quality, and check whether the score holds.",
        weight=0.5,
    ),
    "file format": Trait(
        "The format of a file alone predicts",
        "The format of a file gives labels away: images come from sources that differ in more than their labels.",
        "Collect images from each source for every label. If a column holds the source, --groups COLUMN scores "
        "sources that were not trained on.",
    ),
    "camera": Trait(
        "The camera in EXIF alone predicts",
        "The camera gives labels away: a model may learn its colours and its noise.",
        "Put the camera in a column of the label file: --groups COLUMN scores cameras that were not trained on, "
        "and tagfit evaluate --by COLUMN scores each by itself.",
    ),
    "folder": Trait(
        "The folder of a file alone predicts",
        f"The folder gives labels away: samples were collected label by label. {_SESSIONS}",
        "Put the folder in a column of the label file: --groups COLUMN scores folders that were not trained on.",
    ),
    "file name": Trait(
        "The letters of file names alone predict",
        f"File names give labels away: samples were collected label by label. {_SESSIONS}",
        "Never give a model file names. If a name holds the place or the day, put that in a column: --groups COLUMN "
        "scores those that were not trained on.",
        weight=0.3,
    ),
    "number": Trait(
        "The numbers in file names alone predict",
        f"File numbers give labels away: samples were collected label by label. {_SESSIONS}",
        "Train with --groups blocks, which keeps neighbouring numbers in one part.",
        weight=0.3,
    ),
    "order": Trait(
        "The order of the samples alone predicts",
        f"The samples are sorted by label. {_SESSIONS}",
        "Let tagfit split them at random, rather than taking the last ones as test. If a column holds the session, "
        "use --groups COLUMN.",
        weight=0.3,
    ),
}


def shortcuts(evidence: Evidence) -> list[Finding]:
    """Everything that tells labels and should not, by itself.

    Raises:
        CannotCheck: too few samples, or they differ in nothing of that kind.
    """
    data = evidence.locked
    rows = _rows(data)
    labels = np.flatnonzero(frequent(data.dataset.labels_NL[rows], LEAST_CELLS))
    if len(rows) < LEAST or not len(labels):
        raise CannotCheck(
            f"it needs {LEAST} samples that are not copies, and a label that {LEAST_CELLS} have and {LEAST_CELLS} lack"
        )
    bins = {name: of_row for name, of_row in _bins(data.dataset, rows).items() if of_row.max() > 0}
    if not bins:
        raise CannotCheck("the samples do not differ in size, format, camera, folder, name or order")
    labels_ML = data.dataset.labels_NL[np.ix_(rows, labels)]
    told = tell(list(bins.values()), labels_ML, seed=evidence.seed)
    names = [data.dataset.label_names[label] for label in labels]
    found = [_finding(name, one, labels_ML, names) for name, one in zip(bins, told, strict=True)]
    return [finding for finding in found if finding is not None]


def _rows(data: LockedData) -> NDArray[np.intp]:
    """(M,) without copies and near-copies, which would be told by each other."""
    rows = without_copies(data)
    return rows[:: -(-len(rows) // MOST)] if len(rows) else rows


def _finding(name: str, told: Told, labels_ML: NDArray[np.int8], names: Sequence[str]) -> Finding | None:
    """The labels that are told beyond chance, the best told first."""
    trait, aucs = TRAITS[name], np.nan_to_num(told.auc_L)
    concerned: list[int] = []
    for label in np.argsort(-aucs, kind="stable"):
        if told.p_L[label] <= CHANCE and _interval(aucs, labels_ML, int(label)).low > TELLING:
            concerned.append(int(label))
    if not concerned:
        return None
    best = _interval(aucs, labels_ML, concerned[0])
    listed = ", ".join(f"{names[label]} {aucs[label]:.2f}" for label in concerned[:SHOWN])
    more = f" and {len(concerned) - SHOWN} more" if len(concerned) > SHOWN else ""
    return Finding(
        check="shortcuts",
        strength=float(trait.weight * (2 * aucs[concerned[0]] - 1)),
        interval=Interval(trait.weight * (2 * best.low - 1), trait.weight * (2 * best.high - 1)),
        seen=f"{trait.sentence} {listed}{more} (AUC; 0.5 is chance, 95% of the first: {best.low:.2f} to "
        f"{best.high:.2f}; shuffled labels do as well in at most {told.p_L[concerned[0]]:.1%} of cases).",
        meaning=trait.meaning,
        todo=trait.todo,
        names=tuple(names[label] for label in concerned),
    )


def _interval(aucs: NDArray[np.float64], labels_ML: NDArray[np.int8], label: int) -> Interval:
    yes, no = int((labels_ML[:, label] == YES).sum()), int((labels_ML[:, label] == NO).sum())
    return auc_interval(float(aucs[label]), yes, no)


# ------------------------------------------------------------------------------------------------ bins


def _bins(dataset: Dataset, rows: NDArray[np.intp]) -> dict[str, NDArray[np.intp]]:
    """(M,) bin numbers by what they are made of; 0 everywhere where all samples are alike."""
    names = [dataset.sample_names[row] for row in rows]
    bins = {} if dataset.files is None else _of_files(traits([dataset.files[row] for row in rows]))
    bins["order"] = _sorted_into(rows.astype(np.float64), BINS)
    if dataset.files is not None:
        bins["folder"] = _named([name.rpartition("/")[0] for name in names])
        bins["file name"] = _named([re.sub(r"\d+", "#", name.rpartition("/")[2]) for name in names])
        numbered = Series.of(names)
        numbers = np.where(numbered.series < 0, np.nan, numbered.position)
        if not _says_the_same(numbers, rows):
            bins["number"] = _sorted_into(numbers, BINS)
    return bins


def _of_files(read: Sequence[Traits | None]) -> dict[str, NDArray[np.intp]]:
    width, height, size = (
        np.array([np.nan if one is None else getattr(one, name) for one in read], dtype=np.float64)
        for name in ("width", "height", "size")
    )
    wide, high = _sorted_into(width, PAIRED), _sorted_into(height, PAIRED)
    return {
        "image size": wide * (PAIRED + 1) + high if wide.any() or high.any() else wide,
        "file size": _sorted_into(size, BINS),
        "file format": _named(["" if one is None else one.format for one in read]),
        "camera": _named(["" if one is None else one.camera for one in read]),
    }


def _sorted_into(values: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Bin numbers of as many samples each as equal values allow; those that have no value are in a bin of their own."""
    known = ~np.isnan(values)
    of_row = np.zeros(len(values), dtype=np.intp)
    if known.any():
        edges = np.unique(np.quantile(values[known], np.arange(1, count) / count, method="lower"))
        of_row[known] = np.searchsorted(edges, values[known], side="left")
    of_row[~known] = of_row.max(initial=0) + 1 if known.any() else 0
    return np.unique(of_row, return_inverse=True)[1].ravel()


def _named(names: Sequence[str]) -> NDArray[np.intp]:
    """A bin a name; names that few samples have are in one together."""
    _, of_row, counts = np.unique(np.array(names), return_inverse=True, return_counts=True)
    bins = np.where(counts < RARE, 0, 1 + np.arange(len(counts)))[of_row.ravel()]
    return np.unique(bins, return_inverse=True)[1].ravel()


def _says_the_same(numbers: NDArray[np.float64], rows: NDArray[np.intp]) -> bool:
    """Whether file numbers only say once more in which order the samples come."""
    known = ~np.isnan(numbers)
    if known.sum() < LEAST or len(np.unique(numbers[known])) < 2:
        return True
    return bool(abs(stats.spearmanr(numbers[known], rows[known]).statistic) > 0.99)
