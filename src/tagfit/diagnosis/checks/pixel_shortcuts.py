"""Shortcuts in the pixels: a watermark, a caption or a border that the images of one label have, and others lack.

What an image shows lies elsewhere in the next image, and so do its edges. What somebody put on it lies in the same
place each time: there, edges of images with the label and without it differ by far more than a subject makes them. Such
a place is then masked, by what another image has there, in images that quick networks have not seen: the scores of the
label fall if it is told by the mark.

Shapes: M images, L labels, S = FINE pixels a side, E = S * S * 3 * 2 edges: down and across, in each colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.crossfitting import FOLDS, folds
from tagfit.diagnosis.evidence import CannotCheck, Evidence, frequent, within, without_copies
from tagfit.diagnosis.telling import auc_interval
from tagfit.images.near_copies import FINE, shrink
from tagfit.metrics.scores import Bools, Floats
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.records.data import NO, YES
from tagfit.records.runs import Finding, Fitting

#: so many images are looked at, of more every so many-th; and how many images or yes or no of a label say nothing
MOST, LEAST, LEAST_CELLS = 4000, 50, 10
#: by how many standard deviations of the edges, and of their means, an edge of a mark differs; how many edges it has
APART, SURE, EDGES = 0.6, 6.0, 6
#: an edge belongs to a mark that is as strong as this share of its strongest; so does a label
SHARE = 0.5
#: a border is no wider than this share of a side
BORDER = 0.25
#: by how much the AUC of a label falls where a mark is what tells it
FALL = 0.02
#: quick trainings at most: only where a mark was found
TRAININGS = FOLDS
#: trained briefly, on images of half as many pixels a side
RECIPE = Recipe(name="brief", model=DenseModel(widths=(64,)), training=Training(epochs=15, patience=0))
_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Mark:
    """Where images of a label differ in a fixed place.

    Attributes:
        label: number of the label.
        apart: by how many standard deviations the strongest edge differs.
        place: in words.
        mask_SS: (S, S) which pixels it covers.
    """

    label: int
    apart: float
    place: str
    mask_SS: Bools


def pixel_shortcuts(evidence: Evidence) -> list[Finding]:
    """Labels that are told by a mark in a fixed place.

    Raises:
        CannotCheck: there are no images, or too few; or a mark is there, and nothing may be trained.
    """
    data = evidence.locked
    images = data.dataset.images
    if images is None:
        raise CannotCheck("these are no images")
    rows = np.intersect1d(evidence.labelled, without_copies(data))
    rows = rows[:: -(-len(rows) // MOST)] if len(rows) else rows
    labels_ML = data.dataset.labels_NL[rows]
    labels = np.flatnonzero(frequent(labels_ML, LEAST_CELLS)) if len(rows) else np.array([], dtype=np.intp)
    if len(rows) < LEAST or not len(labels):
        raise CannotCheck(
            f"it takes {LEAST} images that are no copies, and a label that {LEAST_CELLS} have and {LEAST_CELLS} lack"
        )
    small = np.concatenate([shrink(images[some], FINE) for some in np.array_split(rows, -(-len(rows) // _AT_ONCE))])
    marks = list(_marks(small, labels_ML, labels))
    # labels that come with the marked one, or never do, differ as well, though less
    marks = [mark for mark in marks if mark.apart >= SHARE * max(other.apart for other in marks)]
    if not marks:
        return []
    fallen = _fallen(evidence, small, labels_ML, marks)
    return [found for mark, aucs in zip(marks, fallen, strict=True) for found in _finding(evidence, mark, aucs)]


# ----------------------------------------------------------------------------------------------- marks


def _marks(small: NDArray[np.float32], labels_ML: NDArray[np.int8], labels: NDArray[np.intp]) -> Iterator[Mark]:
    """At most one a label."""
    counts_2L, means_2LE, squares_2LE = _moments(small, labels_ML[:, labels])
    variance_2LE = np.maximum(squares_2LE - means_2LE**2, 1.0)
    moved_LE = np.abs(means_2LE[0] - means_2LE[1])
    apart_LE = moved_LE / np.sqrt(variance_2LE.mean(axis=0))
    sure_LE = moved_LE / np.sqrt((variance_2LE / counts_2L[:, :, None]).sum(axis=0))
    for label, apart_E, sure_E in zip(labels, apart_LE, sure_LE, strict=True):
        strong_E = (apart_E >= APART) & (sure_E >= SURE)
        if strong_E.sum() >= EDGES:
            strong_E &= apart_E >= SHARE * apart_E[strong_E].max()
            edges = strong_E.reshape(FINE, FINE, 3, 2).any(axis=2)
            yield Mark(int(label), float(apart_E[strong_E].max()), *_where(edges[..., 0] | edges[..., 1]))


def _moments(small: NDArray[np.float32], labels_ML: NDArray[np.int8]) -> tuple[Floats, Floats, Floats]:
    """(2, L) how many images have each label, and how many lack it; (2, L, E) means of their edges and of squares."""
    chosen = np.stack([labels_ML == YES, labels_ML == NO]).astype(np.float32)
    counts = chosen.sum(axis=1)
    sums = np.zeros((2, 2, labels_ML.shape[1], small[0].size * 2), dtype=np.float32)
    for start in range(0, len(small), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        edges_ME = _edges(small[some])
        for power, values_ME in enumerate((edges_ME, edges_ME**2)):
            sums[power] += chosen[:, some].swapaxes(1, 2) @ values_ME
    means, squares = sums / counts[:, :, None]
    return counts, means, squares


def _edges(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """(M, E) each pixel less the one above it, and less the one left of it."""
    down, across = np.diff(small, axis=1, prepend=small[:, :1]), np.diff(small, axis=2, prepend=small[:, :, :1])
    return np.stack([down, across], axis=-1).reshape(len(small), -1)


def _where(strong_SS: Bools) -> tuple[str, Bools]:
    """A place in words, and which pixels it covers."""
    rows, columns = np.flatnonzero(strong_SS.any(axis=1)), np.flatnonzero(strong_SS.any(axis=0))
    inside = np.s_[round(BORDER * FINE) : -round(BORDER * FINE)]
    mask_SS = np.zeros_like(strong_SS)
    edge = round(BORDER * FINE)
    sides = [rows[0] < edge, rows[-1] >= FINE - edge, columns[0] < edge, columns[-1] >= FINE - edge]
    if all(sides) and not strong_SS[inside, inside].any():
        mask_SS[:] = True
        mask_SS[inside, inside] = False
        return "the border", mask_SS
    top, bottom = max(int(rows[0]) - 1, 0), min(int(rows[-1]) + 1, FINE)
    left, right = max(int(columns[0]) - 1, 0), min(int(columns[-1]) + 1, FINE)
    mask_SS[top:bottom, left:right] = True
    percent = [round(100 * value / FINE) for value in (top, bottom, left, right)]
    return "from {}% to {}% of the height and {}% to {}% of the width".format(*percent), mask_SS


# -------------------------------------------------------------------------------------- whether it tells


def _fallen(
    evidence: Evidence, small: NDArray[np.float32], labels_ML: NDArray[np.int8], marks: list[Mark]
) -> list[tuple[float, float]]:
    """For each mark, the AUC of its label by unseen images as they are, and with the mark masked."""
    count, masked = len(small), [small]
    rng = np.random.default_rng(evidence.seed)
    for mark in marks:
        others = small[rng.permutation(count)]
        masked.append(np.where(mark.mask_SS[:, :, None], others, small))
    x_ND = np.concatenate([_halved(images) for images in masked])
    x_ND = ((x_ND - x_ND[:count].mean(axis=0)) / np.maximum(x_ND[:count].std(axis=0), 1e-3)).astype(np.float32)
    of_fold, versions = folds(count, seed=evidence.seed), np.arange(len(masked))
    held = [np.flatnonzero(of_fold == fold) for fold in np.unique(of_fold)]
    said = evidence.fit(
        [
            Fitting(
                labels_ML,
                np.flatnonzero(of_fold != fold),
                (versions[:, None] * count + here).ravel(),
                evidence.seed + fold,
                x_ND=x_ND,
                recipe=RECIPE,
            )
            for fold, here in enumerate(held)
        ]
    )
    p_VML = np.empty((len(masked), *labels_ML.shape), dtype=np.float32)
    for here, p in zip(held, said, strict=True):
        p_VML[:, here] = p.reshape(len(masked), len(here), -1)
    columns = [(number, mark.label) for number, mark in enumerate(marks, 1)]
    return [
        (_auc(p_VML[0, :, label], labels_ML[:, label]), _auc(p_VML[number, :, label], labels_ML[:, label]))
        for number, label in columns
    ]


def _halved(small: NDArray[np.float32]) -> NDArray[np.float32]:
    halved: NDArray[np.float32] = small.reshape(len(small), FINE // 2, 2, FINE // 2, 2, 3).mean(axis=(2, 4))
    return halved.reshape(len(small), -1)


def _auc(p_M: Floats, labels_M: NDArray[np.int8]) -> float:
    from scipy.stats import rankdata

    known = (labels_M == YES) | (labels_M == NO)
    ranks, yes = rankdata(p_M[known]), labels_M[known] == YES
    count = int(yes.sum())
    return float((ranks[yes].sum() - count * (count + 1) / 2) / (count * (len(yes) - count)))


def _finding(evidence: Evidence, mark: Mark, aucs: tuple[float, float]) -> Iterator[Finding]:
    whole, masked = aucs
    labels_N = evidence.locked.dataset.labels_NL[:, mark.label]
    fall = auc_interval(whole, int((labels_N == YES).sum()), int((labels_N == NO).sum()))
    if whole - masked < max(FALL, whole - fall.low):
        return
    name = evidence.label_names[mark.label]
    yield Finding(
        check="pixel_shortcuts",
        strength=within(2 * (whole - masked)),
        interval=None,
        seen=f"In one place, {mark.place}, the edges of images with {name} and without it are {mark.apart:.1f} "
        f"standard deviations apart. If that place is masked by that of another image, the AUC of {name} falls from "
        f"{whole:.2f} to {masked:.2f}, on images that a small network has not seen.",
        meaning=f"A mark on the images gives {name} away: a watermark, a caption or a border.",
        todo="Look at that place in a few images. Cut it off in all images, or collect images of each label with the "
        "mark and without it.",
        names=(name,),
    )
