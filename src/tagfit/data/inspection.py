"""What there is to know about a data set before anything is trained on it.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.records.data import NO, PARTS, UNKNOWN, YES, Dataset, LockedData, disagree, hash_keys
from tagfit.records.scores import SCORED_PARTS

#: pairs of labels that are listed
PAIRS = 8


@dataclass(frozen=True)
class LabelCount:
    """How often a label is yes, no and unknown, and its yes cells by part."""

    name: str
    yes: int
    no: int
    unknown: int
    yes_by_part: dict[str, int]


@dataclass(frozen=True)
class LabelPair:
    """Two labels that occur together `together` times, `lift` times as often as chance would have it."""

    first: str
    second: str
    together: int
    lift: float


@dataclass(frozen=True)
class NeighbourReport:
    """Pairs of images that follow each other by file number or capture time.

    Attributes:
        alike: how often they are more alike than a random pair of the same series and labels; 0.5 by chance.
        more_than_chance: whether that is more than chance and worth acting on.
        across: pairs of (sample name, part) that lie in two parts.
    """

    by: str
    pairs: int
    alike: float
    p_value: float
    more_than_chance: bool
    across: tuple[tuple[tuple[str, str], tuple[str, str]], ...]


@dataclass(frozen=True)
class StoredFile:
    """The file in the cache that holds the samples as they are trained on, and its size in bytes."""

    file: str
    bytes: int


@dataclass(frozen=True)
class InspectionRecord:
    """Counts, labels, co-occurrence, unreadable samples, copies and whatever looks suspicious.

    Attributes:
        labels_per_sample: number of samples by number of yes labels.
        set_aside: (sample, reason) of unreadable images.
        copies: groups of sample names whose bytes are identical.
        near_copies: groups of (sample name, part) of images that are nearly the same.
        neighbours: whether images that follow each other are alike; None where there are too few.
        reading: how the source was read: which column or file gave what, what was left out and why.
        unlabelled: images that nobody labelled; they are no samples.
        notes: what else is to be known of how the data was read and split.
        suspicions: sentences on what looks wrong.
        backbone: what makes features of the images, in words; empty for none.
        stored: where the samples lie that are trained on; None where they are in memory.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    samples: int
    parts: dict[str, int]
    labels: tuple[LabelCount, ...]
    labels_per_sample: dict[int, int]
    pairs: tuple[LabelPair, ...]
    set_aside: tuple[tuple[str, str], ...]
    copies: tuple[tuple[str, ...], ...]
    near_copies: tuple[tuple[tuple[str, str], ...], ...]
    neighbours: NeighbourReport | None
    reading: tuple[str, ...]
    unlabelled: int
    notes: tuple[str, ...]
    suspicions: tuple[str, ...]
    lock: str
    backbone: str
    stored: StoredFile | None


def look(data: LockedData) -> InspectionRecord:
    """Inspect `data`; nothing is trained."""
    dataset, split, images = data.dataset, data.split, data.dataset.images
    per_sample, samples = np.unique((dataset.labels_NL == YES).sum(axis=1), return_counts=True)
    copies = _copies(dataset)
    labels = tuple(_label_counts(data))
    return InspectionRecord(
        name=dataset.name,
        kind=dataset.kind if images is None else "images",
        shape=dataset.x.shape[1:] if images is None else images.shape[1:],
        samples=len(dataset),
        parts=split.counts,
        labels=labels,
        labels_per_sample={int(count): int(times) for count, times in zip(per_sample, samples, strict=True)},
        pairs=tuple(_pairs(dataset)),
        set_aside=dataset.set_aside,
        copies=tuple(tuple(dataset.sample_names[row] for row in rows) for rows in copies),
        near_copies=tuple(tuple(_place(data, row) for row in rows) for rows in split.likeness.near_copies),
        neighbours=_neighbours(data),
        reading=dataset.reading,
        unlabelled=len(dataset.unlabelled),
        notes=(*dataset.notes, *split.notes),
        suspicions=tuple(_suspicions(data, labels, copies)),
        lock=data.lock,
        backbone=_backbone(dataset),
        stored=_stored(dataset),
    )


def _label_counts(data: LockedData) -> Iterator[LabelCount]:
    labels_NL = data.dataset.labels_NL
    yes_PL = [(data.labels(part) == YES).sum(axis=0) for part in PARTS]
    for column, name in enumerate(data.dataset.label_names):
        cells = labels_NL[:, column]
        yes, unknown = int((cells == YES).sum()), int((cells == UNKNOWN).sum())
        by_part: dict[str, int] = {part: int(yes_L[column]) for part, yes_L in zip(PARTS, yes_PL, strict=True)}
        yield LabelCount(name, yes, len(cells) - yes - unknown, unknown, by_part)


def _pairs(dataset: Dataset) -> Iterator[LabelPair]:
    """The pairs of labels that occur together most often."""
    yes_NL = (dataset.labels_NL == YES).astype(np.float32)
    together_LL, counts_L = yes_NL.T @ yes_NL, yes_NL.sum(axis=0)
    firsts, seconds = np.triu_indices(len(counts_L), k=1)
    order = np.argsort(-together_LL[firsts, seconds], kind="stable")[:PAIRS]
    for first, second in zip(firsts[order], seconds[order], strict=True):
        together = float(together_LL[first, second])
        if together > 0:
            by_chance = float(counts_L[first]) * float(counts_L[second]) / len(dataset)
            names = dataset.label_names
            yield LabelPair(names[first], names[second], int(together), together / by_chance)


def _stored(dataset: Dataset) -> StoredFile | None:
    x = dataset.x if dataset.images is None else dataset.images
    return StoredFile(str(x.filename), x.nbytes) if isinstance(x, np.memmap) else None


def _backbone(dataset: Dataset) -> str:
    backbone = dataset.preprocessing.backbone
    return "" if backbone is None else f"{backbone}: {backbone.features:,} features of each image"


def _copies(dataset: Dataset) -> list[NDArray[np.intp]]:
    """Row numbers of byte-identical samples, group by group."""
    keys = hash_keys(dataset.hashes)
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.r_[True, keys[order][1:] != keys[order][:-1], True])
    several = np.flatnonzero(np.diff(starts) > 1)
    return [order[starts[run] : starts[run + 1]] for run in several]


def _neighbours(data: LockedData) -> NeighbourReport | None:
    neighbours = data.split.likeness.neighbours
    if neighbours is None:
        return None
    return NeighbourReport(
        by=neighbours.by,
        pairs=len(neighbours.pairs),
        alike=round(neighbours.alike, 4),
        p_value=round(neighbours.p_value, 4),
        more_than_chance=neighbours.telling,
        across=tuple(
            (_place(data, first), _place(data, second)) for first, second in neighbours.across(data.split.parts)
        ),
    )


def _place(data: LockedData, row: int) -> tuple[str, str]:
    return data.dataset.sample_names[row], PARTS[data.split.parts[row]]


def _suspicions(data: LockedData, labels: tuple[LabelCount, ...], copies: list[NDArray[np.intp]]) -> Iterator[str]:
    yield from _label_suspicions(data.dataset, labels)
    dataset, parts = data.dataset, data.split.parts
    disagreeing = sum(disagree(dataset.labels_NL[rows]) for rows in copies)
    if disagreeing:
        yield f"{disagreeing} groups of byte-identical samples carry different labels."
    leaking = sum(len(np.unique(parts[rows])) > 1 for rows in copies)
    if leaking:
        yield (
            f"{leaking} groups of byte-identical samples lie in more than one part of the split: scores "
            "there are too high."
        )
    parted = sum(len(np.unique(parts[rows])) > 1 for rows in data.split.likeness.near_copies)
    if parted:
        yield f"{parted} groups of near-copies lie in more than one part of the split: scores there are too high."
    if dataset.images is None:
        if pixels := _pixels(dataset):
            yield pixels
        constant = int((dataset.x == dataset.x[:1]).all(axis=0).sum())
        if constant:
            yield f"{constant} of the {dataset.x.shape[1]} features have the same value in every row."


#: sides and channels of images that are often stored as rows
_SIDES, _CHANNELS = (8, 16, 28, 32, 48, 64, 96, 128, 224, 256), (3, 1)

#: rows that are looked at, and distinct values beyond which they are no bytes
_LOOKED_AT, _BYTE = 256, 255


def _pixels(dataset: Dataset) -> str:
    """What to do if rows of features look like images laid out flat: square, of whole numbers from 0 to 255, or the
    same scaled to 0 to 1, and never read by a backbone; else nothing.
    """
    D = dataset.x.shape[1]
    shapes = [(side, channels) for channels in _CHANNELS for side in _SIDES if side * side * channels == D]
    if not shapes or dataset.preprocessing.backbone is not None:
        return ""
    values = np.asarray(dataset.x[:_LOOKED_AT], np.float64)
    bytes_like = [np.abs(scaled - np.round(scaled)).max() < 1e-3 for scaled in (values, values * _BYTE)]
    most = float(values.max())
    if values.min() < 0 or not ((bytes_like[0] and 1 < most <= _BYTE) or (bytes_like[1] and most <= 1)):
        return ""
    side, channels = shapes[0]
    return (
        f"Rows of {D:,} values from 0 to {most:g} look like {side} x {side} x {channels} images laid out flat. To "
        f"train a CNN on them, give them as images: X.reshape(-1, {side}, {side}, {channels})."
    )


def _label_suspicions(dataset: Dataset, labels: tuple[LabelCount, ...]) -> Iterator[str]:
    for part in SCORED_PARTS:
        missing = [label.name for label in labels if not label.yes_by_part[part]]
        if missing and any(label.yes_by_part[part] for label in labels):
            yield (
                f"No sample of {part} is known to have: {', '.join(missing)}. Metrics that need one leave "
                "these labels out."
            )
    always = [label.name for label in labels if label.yes and not label.no]
    if always:
        yield f"Labels that are never no: {', '.join(always)}."
    unlabelled = int((dataset.labels_NL == NO).all(axis=1).sum())
    if unlabelled:
        yield f"{unlabelled} of {len(dataset)} samples have no label at all."
    twins: dict[bytes, list[str]] = {}
    for column, label in enumerate(labels):
        if label.yes:
            twins.setdefault(dataset.labels_NL[:, column].tobytes(), []).append(label.name)
    for names in twins.values():
        if len(names) > 1:
            yield f"{' and '.join(names)} are always the same: one of them adds nothing."
