"""Leakage: what is known of val and test because train holds its like.

Shapes: N samples, L labels, M samples that quick trainings look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.data.dataset import CAPTURE_TIME
from tagfit.data.groups import AUTO, BLOCKS, group, recurring
from tagfit.decisions.crossfitting import folds
from tagfit.diagnosis.evidence import Evidence
from tagfit.errors import DataError
from tagfit.images.neighbours import BLOCK, NEAR, Series, runs_of_neighbours
from tagfit.metrics.intervals import Answers, Resampling, difference, resample
from tagfit.metrics.titles import TITLES
from tagfit.records.data import PARTS, Dataset, LockedData, Neighbours, disagree, hash_keys
from tagfit.records.runs import Finding
from tagfit.records.scores import Difference

#: quick trainings: a network for each fold, of random samples and of blocks
TRAININGS = 10
#: a share of val and test, or of pairs, that is worth telling
PARTED = 0.1
NEIGHBOURS = "Tiles or bursts of one place lie on both sides of the split: expect lower scores on new places."
HARMLESS = "Images of one place may lie on both sides of the split, but a quick training shows no drop beyond noise."
#: sample names in a finding
NAMED = 100

_OWN = "Remove the split column from the label file and let tagfit split the data"


def leakage(evidence: Evidence) -> list[Finding]:
    """Copies, near-copies, groups and runs of neighbours that lie on both sides of a split.

    Raises:
        CannotCheck: the data is not there.
    """
    data = evidence.locked
    return [*_copies(data), *_groups(data), *_order(evidence, data)]


def _sides(data: LockedData) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """(N,) the part or, where there are folds, the fold of each sample; (N,) whether it scores."""
    split, train = data.split, data.split.parts == PARTS.index("train")
    if split.folds is None:
        return split.parts, ~train
    return np.where(train, len(PARTS) + split.folds, split.parts).astype(np.int8), np.ones(len(train), dtype=np.bool_)


def _known(data: LockedData, of_row: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rows that score and have one of their own group among what the scored network is trained on."""
    sides, scores = _sides(data)
    trained = sides >= len(PARTS) if data.split.folds is not None else sides == PARTS.index("train")
    numbers = np.unique(of_row, return_inverse=True)[1].ravel()
    trained_of_group = np.bincount(numbers, weights=trained, minlength=int(numbers.max()) + 1)
    own_side = np.unique(numbers * 128 + sides, return_inverse=True)[1].ravel()
    same = np.bincount(own_side, weights=trained)[own_side]
    others: NDArray[np.bool_] = trained_of_group[numbers] - same > 0
    return np.flatnonzero(scores & others)


# ----------------------------------------------------------------------------------------------- copies


def _copies(data: LockedData) -> Iterator[Finding]:
    identical_of = np.unique(hash_keys(data.dataset.hashes), return_inverse=True)[1].ravel()
    near_of = np.arange(len(data.dataset))
    for rows in data.split.likeness.near_copies:
        near_of[rows] = rows[0]
    known = np.zeros(len(data.dataset), dtype=np.bool_)
    scored = int(_sides(data)[1].sum())
    for of_row, what in ((identical_of, "byte-identical to"), (near_of, "near-copies of")):
        rows = np.setdiff1d(_known(data, of_row), np.flatnonzero(known))
        known[rows] = True
        if len(rows):
            yield Finding(
                check="leakage",
                strength=len(rows) / scored,
                interval=None,
                seen=f"{len(rows):,} of the {scored:,} scored samples are {what} a training sample, e.g. "
                f"{data.dataset.sample_names[rows[0]]}.",
                meaning="Copies lie on both sides of the split, so scores are too high.",
                todo=f"Run tagfit inspect to list them. {_deal(data)}",
                names=tuple(data.dataset.sample_names[row] for row in rows[:NAMED]),
            )
    if not known.any():
        yield from _counted_twice(data, [_together(identical_of), _together(near_of)])


def _counted_twice(data: LockedData, copies: Sequence[list[NDArray[np.intp]]]) -> Iterator[Finding]:
    """Copies that leak nothing, as they lie on one side."""
    groups = [rows for found in copies for rows in found]
    if not groups:
        return
    rows = np.unique(np.concatenate(groups))
    differing = sum(disagree(data.dataset.labels_NL[group]) for group in groups)
    told = f"; in {differing} of the {len(groups)} groups labels differ" if differing else ""
    yield Finding(
        check="leakage",
        strength=(len(rows) - len(groups)) / len(data.dataset) / 2 if len(rows) > len(groups) else 0.0,
        interval=None,
        seen=f"{len(rows):,} samples are copies or near-copies of each other, on one side of the split{told}.",
        meaning="These copies leak nothing, but what they show counts several times.",
        todo="Run tagfit inspect to list them. Keep one of each, the one that is labelled correctly.",
        names=tuple(data.dataset.sample_names[row] for row in rows[:NAMED]),
    )


def _together(of_row: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The rows of each group of several."""
    order = np.argsort(of_row, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(of_row[order])) + 1)
    return [rows for rows in groups if len(rows) > 1]


def _deal(data: LockedData, groups: str = "") -> str:
    """How tagfit keeps together what belongs together."""
    how = f", with --groups {groups}" if groups else ", which keeps copies together"
    return f"{_OWN}{how}." if data.dataset.given_split is not None else f"Let tagfit split the data{how}."


# ----------------------------------------------------------------------------------------------- groups


def _groups(data: LockedData) -> Iterator[Finding]:
    """Columns, folders and beginnings of names whose samples are alike, and which the split parts."""
    dataset = data.dataset
    if dataset.images is None:
        return
    for what, cells in _candidates(dataset).items():
        of_row = recurring(cells)
        if of_row is None:
            continue
        known = _known(data, of_row)
        scored = int(_sides(data)[1].sum())
        if len(known) < PARTED * scored:
            continue
        alike = _alike(dataset, dataset.images, of_row)
        if alike is None or not alike.telling:
            continue
        yield Finding(
            check="leakage",
            strength=min(1.0, 2 * (alike.alike - 0.5)) * len(known) / scored,
            interval=None,
            seen=f"Samples that share {what} are more alike than chance ({alike.alike:.0%} of pairs, by chance 50%), "
            f"and {len(known):,} of the {scored:,} scored samples share it with a training sample.",
            meaning="Groups lie on both sides of the split: the score holds for known groups, not for new ones.",
            todo=_deal(data, what.split("'")[1] if "'" in what else "COLUMN, if a column says what belongs together"),
            names=tuple(dataset.sample_names[row] for row in known[:NAMED]),
        )


def _candidates(dataset: Dataset) -> Mapping[str, Sequence[str]]:
    """What may say which samples belong together, and its (N,) cells."""
    found: dict[str, Sequence[str]] = {
        f"the column '{name}'": cells for name, cells in dataset.metadata.items() if name != CAPTURE_TIME
    }
    if dataset.files is not None:
        stems = [name.rpartition(".")[0] for name in dataset.sample_names]
        found["a folder"] = [stem.rpartition("/")[0] for stem in stems]
        beginnings = [re.fullmatch(r"(.*[^/_-])[_-]+[^/_-]*", stem) for stem in stems]
        found["the beginning of a file name"] = ["" if one is None else one[1] for one in beginnings]
    return found


def _alike(dataset: Dataset, images: NDArray[np.uint8], of_row: NDArray[np.intp]) -> Neighbours | None:
    """Whether samples of a group are more alike than others of the same labels: as neighbours are compared."""
    by = "file numbers"
    apart = of_row.astype(np.float64) * (2 * NEAR[by] + 1)
    place = np.argsort(np.argsort(np.array(dataset.sample_names), kind="stable"))
    grouped = Series(by, np.zeros(len(of_row), dtype=np.intp), apart, place)
    return runs_of_neighbours(images, dataset.labels_NL, grouped)


# ------------------------------------------------------------------------------------------------ order


def _order(evidence: Evidence, data: LockedData) -> Iterator[Finding]:
    """Runs of neighbours on both sides, and what a split by blocks would score."""
    neighbours = data.split.likeness.neighbours
    if neighbours is None or not neighbours.telling:
        return
    parted = neighbours.across(_sides(data)[0])
    if len(parted) < PARTED * len(neighbours.pairs):
        return
    seen = (
        f"Images with neighbouring {neighbours.by} are more alike than chance ({neighbours.alike:.0%} of pairs, by "
        f"chance 50%), and {len(parted):,} of {len(neighbours.pairs):,} such pairs are divided by the split."
    )
    strength, interval, scored = neighbours.alike - 0.5, None, ""
    if evidence.train is not None and (fallen := _by_blocks(evidence, data)) is not None:
        (random, blocked), fall = fallen
        metric = TITLES[evidence.target.metric]
        strength, interval = float(np.clip(fall.value, 0.0, 1.0)), fall.interval
        scored = (
            f" {evidence.quick_name} scores {metric} {random:.3f} on random folds and {blocked:.3f} on folds of whole "
            f"blocks: {fall.value:.3f} less (95%: {fall.interval.low:.3f} to {fall.interval.high:.3f})."
        )
    yield Finding(
        check="leakage",
        strength=strength,
        interval=interval,
        seen=seen + scored,
        meaning=NEIGHBOURS if interval is None or interval.low > 0 else HARMLESS,
        todo=_deal(data, BLOCKS),
        names=tuple(data.dataset.sample_names[row] for row in np.unique(parted)[:NAMED]),
    )


def _by_blocks(evidence: Evidence, data: LockedData) -> tuple[tuple[float, float], Difference] | None:
    """What the quick recipe scores on random folds and on folds of blocks, and how much less; test stays unseen."""
    metric = evidence.target.metric
    rows = evidence.labelled
    try:
        blocks, singles = (group(data.dataset, by, data.split.likeness).of[rows] for by in (BLOCKS, AUTO))
    except DataError:
        return None
    if len(np.unique(blocks)) < BLOCK:
        return None
    predictions = evidence.unseen(rows, [folds(len(rows), groups, seed=evidence.seed) for groups in (blocks, singles)])
    resampling = Resampling.of(len(rows), blocks, resamples=evidence.resamples, seed=evidence.seed)
    spreads = [resample(Answers(data.dataset.labels_NL[rows], p_ML), resampling) for p_ML in predictions]
    fall = difference(spreads[1], spreads[0])[metric]
    if fall is None:
        return None
    blocked, random = (float(getattr(spread.scores, metric)) for spread in spreads)
    return (random, blocked), fall
