"""The names that people give to the parts of a split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults
from tagfit.errors import did_you_mean
from tagfit.records.data import PARTS, YES, Part

PART_NAMES: Mapping[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "calibrate": "calibrate",
    "calibration": "calibrate",
    "test": "test",
    "testing": "test",
}


def part_codes(cells: Sequence[object], where: Sequence[str], faults: Faults) -> NDArray[np.int8]:
    """(N,) int8 index into PARTS; an empty or unknown part name is a fault, and coded 0."""
    known = {name: PARTS.index(part) for name, part in PART_NAMES.items()}
    texts = ["" if cell is None else str(cell).strip().lower() for cell in cells]
    complaints = {text: _complaint(text) for text in set(texts) - set(known)}
    for row, text in enumerate(texts):
        if text in complaints:
            faults.add(f"{where[row]}: {complaints[text]}", "Write train, val, calibrate or test in each `split` cell.")
    return np.array([known.get(text, 0) for text in texts], np.int8)


def by_numbers(cells: Sequence[object]) -> list[Part] | None:
    """The parts of 0, 1 and 2 as CelebA numbers them, train being the largest; None of anything else."""
    numbers = Counter(str(cell).strip() for cell in cells)
    if set(numbers) != {"0", "1", "2"} or max(numbers.values()) > numbers["0"]:
        return None
    order: tuple[Part, ...] = ("train", "val", "test")
    return [order[int(str(cell))] for cell in cells]


def by_flags(flagged: Sequence[tuple[Part, Sequence[int | None]]]) -> list[Part]:
    """The part of each row by columns of yes and no, such as `is_valid`; without yes, the part that has no column."""
    said = {part for part, _ in flagged}
    rest: Part = "train" if "train" not in said else "test" if "test" not in said else "val"
    rows = zip(*(codes for _, codes in flagged), strict=True)
    return [next((part for (part, _), code in zip(flagged, row, strict=True) if code == YES), rest) for row in rows]


@cache
def _part_of_folder(folder: str) -> tuple[Part | None, bool]:
    base, part = part_in_stem(folder)
    return part, not base.strip("0123456789")


def part_of_folders(folders: Sequence[str], *, exact: bool = False) -> Part | None:
    """The part of the last folder that is called as one, such as `train`, `train2017` or `train_images`.

    Args:
        exact: whether the folder has to be called as the part alone, with a year at most.
    """
    found = (_part_of_folder(folder) for folder in reversed(folders))
    return next((part for part, is_exact in found if part is not None and (is_exact or not exact)), None)


#: a part's name, with the year that COCO writes behind it: `train2017`
_PIECE = re.compile(rf"({'|'.join(PART_NAMES)})((?:19|20)\d\d)?", re.IGNORECASE)


def _complaint(text: str) -> str:
    if not text:
        return "split must be train, val, calibrate or test; got an empty cell."
    return f"split must be train, val, calibrate or test; got {text!r}.{did_you_mean(text, PART_NAMES)}"


def parts_in(stem: str) -> list[Part]:
    """The parts that a name speaks of: `train_val_list` is train and val."""
    return [PART_NAMES[match[1].lower()] for piece in re.split(r"[-_. ]+", stem) if (match := _PIECE.fullmatch(piece))]


def part_in_stem(stem: str) -> tuple[str, Part | None]:
    """The stem without its part name, and the part: `scene-train` is `scene`, train. Two part names are none.

    A year behind it stays with the stem, as it tells one data set from another: `train2017` is `2017`, train.
    """
    pieces = re.split(r"([-_. ]+)", stem)
    found = {number: match for number, piece in enumerate(pieces) if (match := _PIECE.fullmatch(piece))}
    if len(found) != 1:
        return stem, None
    (at, match), *_ = found.items()
    before = [*pieces[:at], match[2]] if match[2] else pieces[: max(at - 1, 0)]
    return "".join(before + pieces[at + 1 :]).strip("-_. "), PART_NAMES[match[1].lower()]
