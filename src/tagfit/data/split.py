"""Which part each sample belongs to.

A person's own split is respected to the row. Otherwise rows are dealt by iterative stratification, in an order that
depends on the samples' content and the split seed alone, so that neither file order, folder nor training seed move it.
What is in one group, as byte-identical samples always are, comes into one part, and into one fold.

Shapes: N samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.data.groups import AUTO, BLOCKS, GIVEN, NONE, Groups, group, leaks, likeness, questions
from tagfit.data.stratification import deal, draw
from tagfit.data.unknown import unknown_notes
from tagfit.errors import DataError
from tagfit.options.data import MOST_FOLDS
from tagfit.records.data import PARTS, UNKNOWN, Dataset, Likeness, Part, Split

#: shares of train, val, calibrate and test unless given
DEFAULT_SHARES: Mapping[str, float] = {"train": 0.70, "val": 0.15, "test": 0.15}

#: the share of train that becomes val where a person's split has none, and calibrate where one is asked for
CARVED = 0.15

#: how far, as a fraction of all samples, a part may be from its share without a note
TOLERANCE = 0.02


def split(
    dataset: Dataset,
    *,
    shares: Mapping[str, float] | None = None,
    seed: int = 0,
    groups: str | Sequence[str] | None = None,
    calibrate: bool = False,
    folds: int | None = None,
) -> Split:
    """Deal every sample of `dataset` to a part, and those that are trained on to folds where these are asked for.

    Args:
        dataset: N samples; its `given_split`, where there is one, is kept to the row.
        shares: fraction a part, adding up to 1; train and val must be among them. Not with a person's own split.
        seed: the split seed.
        groups: `auto`, `blocks`, `none`, a metadata column or a value for each sample, as in `data.groups`. Where
            nothing is dealt, intervals go by them all the same.
        calibrate: whether there has to be a calibrate part; where neither the data nor `shares` bring one, it is
            carved out of train.
        folds: how many; train and val are dealt to them, so that no shares can be given.

    Raises:
        DataError: shares, groups or folds that make no sense, or a split that leaves a part empty.
    """
    own = dataset.given_split
    wanted = _wanted(own, shares, calibrate, folds)
    _check(own, wanted, shares, folds)
    by = AUTO if groups is None else groups
    group(dataset, by, Likeness())  # what cannot be is said before images are compared
    known = likeness(dataset)
    grouped = group(dataset, by, known)
    parts = np.zeros(len(dataset), dtype=np.int8) if own is None else own.copy()
    if folds is not None:
        parts[parts == PARTS.index("val")] = PARTS.index("train")
    notes = [] if own is None else ["The split is the data's own."]
    rows = np.flatnonzero(parts == PARTS.index("train"))
    if len(wanted) > 1:
        _check_count(grouped, rows, min(len(wanted), len(rows)), f"the {len(wanted)} parts {', '.join(wanted)}")
        parts[rows] = _dealt(dataset, rows, grouped.of, wanted, seed)
        notes += [] if own is None else _carved_notes(parts, wanted)
    if own is None or len(wanted) > 1 or folds is not None:
        notes += grouped.notes
    elif groups not in (None, NONE):
        notes.append(_given_note(parts, grouped.of))
    notes += _off_share(parts[rows], wanted)
    of_fold = None
    if folds is not None:
        of_fold = np.full(len(dataset), -1, dtype=np.int8)
        rows = np.flatnonzero(parts == PARTS.index("train"))
        _check_count(grouped, rows, folds, f"{folds} folds")
        of_fold[rows] = deal(dataset, rows, grouped.of, [1 / folds] * folds, seed)
        notes.append(
            f"{len(rows)} samples are in {folds} folds: each is scored by a network that was not trained on it."
        )
    if own is not None and not _has(parts, "test"):
        notes.append("The data has no test part: there are no test scores, and scores on val are optimistic.")
    notes += unknown_notes(dataset, parts)
    notes += leaks(dataset, parts, known)
    notes += _neighbour_note(parts, known) if own is None else ()
    notes += _cut_note(parts, known) if own is None and by == BLOCKS else ()
    asked = () if groups is not None else tuple(questions(dataset, parts if of_fold is None else of_fold))
    alone = len(np.unique(grouped.of)) == len(dataset)
    by = by if isinstance(by, str) else GIVEN
    of = None if alone else grouped.of
    return demand_filled(dataset, Split(parts, (*notes, *asked), known, of_fold, of, by, asked))


def _dealt(
    dataset: Dataset, rows: NDArray[np.intp], groups: NDArray[np.intp], wanted: Mapping[str, float], seed: int
) -> NDArray[np.int8]:
    """(n,) the part of each row: calibrate is drawn by chance, as new samples come; the others are stratified."""
    dealt = np.full(len(rows), PARTS.index("calibrate"), dtype=np.int8)
    left = np.ones(len(rows), dtype=np.bool_)
    if "calibrate" in wanted:
        left = ~draw(dataset, rows, groups, wanted["calibrate"], seed)
    shares = {part: share for part, share in wanted.items() if part != "calibrate"}
    codes, whole = np.array([PARTS.index(part) for part in shares], dtype=np.int8), sum(shares.values())
    dealt[left] = codes[deal(dataset, rows[left], groups, [share / whole for share in shares.values()], seed)]
    return dealt


def parse_shares(text: str) -> dict[str, float]:
    """Shares from `70/15/15` (train/val/test), `80/20` (train/val) or `60/15/10/15` (train/val/calibrate/test).

    Raises:
        DataError: anything else.
    """
    try:
        numbers = [float(piece) for piece in text.split("/")]
    except ValueError:
        numbers = []
    parts = {2: ("train", "val"), 3: ("train", "val", "test"), 4: PARTS}.get(len(numbers))
    if parts is None or not math.isclose(sum(numbers), 100, abs_tol=1e-6):
        raise DataError(f"a split must be percentages like 70/15/15 or 80/20 that add up to 100; got {text!r}")
    return {part: number / 100 for part, number in zip(parts, numbers, strict=True)}


def demand_split(split: str | Mapping[str, float]) -> None:
    """Raises DataError: it is not text as `parse_shares` takes it, nor the share of each part."""
    _check_shares(parse_shares(split) if isinstance(split, str) else split, None)


def _wanted(
    own: NDArray[np.int8] | None, shares: Mapping[str, float] | None, calibrate: bool, folds: int | None
) -> dict[str, float]:
    """Shares by part of the rows that are to be dealt: all of them, or train where the split is a person's own."""
    wanted: dict[str, float] = {"train": 1.0}
    if folds is None and own is None:
        wanted = dict(DEFAULT_SHARES if shares is None else shares)
    elif folds is None and own is not None and not _has(own, "val"):
        wanted = {"train": 1 - CARVED, "val": CARVED}
    if calibrate and "calibrate" not in wanted and (own is None or not _has(own, "calibrate")):
        wanted["calibrate"] = CARVED * wanted.get("train", 0.0)
        wanted["train"] = wanted.get("train", 0.0) - wanted["calibrate"]
    return wanted


def _carved_notes(parts: NDArray[np.int8], wanted: Mapping[str, float]) -> list[str]:
    """What was taken out of the train part of a person's own split."""
    notes = []
    for part in ("val", "calibrate"):
        if part in wanted:
            count = int((parts == PARTS.index(part)).sum())
            notes.append(f"The data has no {part} part: {wanted[part]:.0%} of train, {count} samples, became {part}.")
    return notes


def _off_share(parts: NDArray[np.int8], shares: Mapping[str, float]) -> tuple[str, ...]:
    """What to say where groups are too large for the shares to be met."""
    came = {part: float((parts == PARTS.index(part)).mean()) for part in shares}
    if all(abs(came[part] - share) * len(parts) <= max(2, TOLERANCE * len(parts)) for part, share in shares.items()):
        return ()
    asked = "/".join(f"{share:.0%}" for share in shares.values())
    return (
        f"The groups are too large for {'/'.join(shares)} {asked}: the shares are "
        f"{'/'.join(f'{share:.0%}' for share in came.values())}.",
    )


def _neighbour_note(parts: NDArray[np.int8], known: Likeness) -> tuple[str, ...]:
    neighbours = known.neighbours
    if neighbours is None or not neighbours.telling:
        return ()
    parted, count = len(neighbours.across(parts)), len(neighbours.pairs)
    if parted * 4 < count:
        return ()
    return (
        f"Images with neighbouring {neighbours.by} are more alike than chance ({neighbours.alike:.0%} of them, by "
        f"chance 50%), and {parted} of {count} such pairs are divided by the split, so scores on val and test "
        f"are optimistic. "
        "--groups blocks keeps them together.",
    )


def _given_note(parts: NDArray[np.int8], groups: NDArray[np.intp]) -> str:
    """What groups are good for under a person's own split."""
    pairs = np.unique(np.stack([groups, parts]), axis=1)[0]
    parted = int((np.unique(pairs, return_counts=True)[1] > 1).sum())
    said = f"{parted:,} of them lie in more than one part, so that scores flatter" if parted else "none is parted"
    return f"Nothing is moved into {len(np.unique(groups)):,} groups, but intervals go by them; {said}."


def _cut_note(parts: NDArray[np.int8], known: Likeness) -> tuple[str, ...]:
    """How many samples are beside one of train though blocks were kept together: a burst may go on where one ends."""
    neighbours = known.neighbours
    outside = parts != PARTS.index("train")
    if neighbours is None or not neighbours.telling or not outside.any():
        return ()
    one, other = outside[neighbours.pairs].T
    beside = np.unique(neighbours.pairs[one != other])
    share = outside[beside].sum() / outside.sum()
    if not share:
        return ()
    return (
        f"Blocks end where a burst may go on: {share:.0%} of the samples outside train are beside one in train by "
        f"their {neighbours.by}, so that scores may still flatter. A column that names each burst keeps it whole: "
        "--groups COLUMN.",
    )


def _has(parts: NDArray[np.int8], part: Part) -> bool:
    return bool((parts == PARTS.index(part)).any())


def _check(
    own: NDArray[np.int8] | None,
    wanted: Mapping[str, float],
    shares: Mapping[str, float] | None,
    folds: int | None,
) -> None:
    faults, options = [], []
    if own is not None and shares is not None:
        faults.append("the data has its own split, so you cannot give shares")
        options.append("--split")
    if own is None and folds is not None and shares is not None:
        faults.append("folds replace train and val, so you cannot give shares")
        options.append("--split")
    if faults:
        left = f"Remove {' and '.join(options)}"
        raise DataError(faults, f"{left}{'.' if own is None else ', or remove the split column from the label file.'}")
    if folds is not None and not 2 <= folds <= MOST_FOLDS:
        raise DataError(f"folds must be from 2 to {MOST_FOLDS}; got {folds}")
    if own is None:
        _check_shares(wanted, folds)


def _check_count(groups: Groups, rows: NDArray[np.intp], needed: int, what: str) -> None:
    count = len(np.unique(groups.of[rows]))
    if count < needed:
        raise DataError(
            f"the samples are {count} {'groups' if count > 1 else 'group'}, which cannot fill {what}",
            "Give a split of fewer parts (--split, --folds), or other groups (--groups).",
        )


def demand_filled(dataset: Dataset, split: Split) -> Split:
    """`split`, if it has what is needed.

    Raises:
        DataError: train, or val where there are no folds, is empty or has no known label.
    """
    parts: tuple[Part, ...] = ("train", "val") if split.folds is None else ("train",)
    faults = [
        f"the {part} part is empty: expected at least one sample in it" for part in parts if not split.counts[part]
    ]
    faults += [
        f"the {part} part has no known label in its {split.counts[part]} samples: expected at least one"
        for part in parts
        if split.counts[part] and (dataset.labels_NL[split.rows(part)] == UNKNOWN).all()
    ]
    if faults:
        raise DataError(faults, "Add labelled samples, or give a split with larger parts (--split).")
    return split


def _check_shares(shares: Mapping[str, float], folds: int | None) -> None:
    faults = [f"a split has no part {part!r}: expected {', '.join(PARTS)}" for part in shares if part not in PARTS]
    faults += [f"the share of {part} must be above 0; got {share!r}" for part, share in shares.items() if not share > 0]
    needed = ("train", "val") if folds is None else ("train",)
    faults += [f"a split needs a {part} part" for part in needed if part not in shares]
    if not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6):
        faults.append(f"the shares of a split must add up to 1; got {sum(shares.values()):g}")
    if faults:
        raise DataError(faults)
