"""Rows that a reader found, made into a `LabelTable`: the one place where images are looked for, rows of one image are
put together, and it is decided what a row without labels means.

A row without any entry is

1. what `blank_is` says;
2. never labelled, if its whole part of the split is blank, as the `test.csv` of a competition is;
3. never labelled, if the source has a word for "none of the labels" and does not use it there;
4. without any of the labels, if at most one row in five is blank;
5. a question otherwise.

Shapes: N rows, L labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.files import Found, Root, Wanted, find_images, todo, unlabelled
from tagfit.data.sources.parts import part_codes, part_of_folders
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Rows, each
from tagfit.records.data import NO, PARTS, UNKNOWN, YES, LabelTable, Part

#: up to this share of rows may be blank without a question
MOST_BLANK = 0.2
#: up to this share of rows may name images that are missing
MOST_MISSING = 0.05


def label_table(rows: Rows, name: str, root: Root, reading: Reading, faults: Faults) -> LabelTable:
    """Look for the images of all rows, and settle what is left open.

    Raises:
        DataError: with every fault, and those gathered before.
    """
    if not len(rows) and not len(faults):
        faults.add(f"{rows.source}: there are no rows.", "Expected one row an image.")
    if rows.names_files and not root.folder.is_dir():
        faults.add(f"{root.folder}: the folder of images does not exist.", "Name a folder with --images (images).")
    if not len(rows) or (rows.names_files and not root.folder.is_dir()):
        faults.check()
    split_N = None if rows.split is None else part_codes(rows.split, rows.where, faults)
    found = _found(rows, root, reading, faults)
    if split_N is None and (by_folder := _split_of_folders(rows, found, root)) is not None:
        split_N, rows = by_folder, replace(rows, reading=(*rows.reading, "The split is read from the folders' names."))
    merged = _merged(rows, found, split_N, faults)
    faults.check()
    settled = _settle_blank(rows, merged, reading, faults)
    faults.check()
    return _record(rows, name, found, settled)


# ------------------------------------------------------------------------------------------------- images


def _found(rows: Rows, root: Root, reading: Reading, faults: Faults) -> Found:
    if not rows.names_files:
        return Found(files=[None] * len(rows), names=list(rows.images))
    parts = each(rows.hints, len(rows))
    found = find_images(Wanted(rows.images, rows.bases, parts, reading.strip_prefix), root)
    if (prefix := reading.strip_prefix) is not None and not any(name.startswith(prefix) for name in rows.images):
        faults.add(f"{rows.source}: no image name begins with {prefix!r}.", "Correct --strip-prefix (strip_prefix).")
    is_bearable = len(found.missing) <= MOST_MISSING * len(rows)
    for row, complaint in found.complaints.items():
        if row not in found.missing or not is_bearable:
            faults.add(f"{rows.where[row]}: image {shortened(found.names[row])} {complaint}", todo(root))
    return found


def _split_of_folders(rows: Rows, found: Found, root: Root) -> NDArray[np.int8] | None:
    """The person's own split, where every image is in a folder that is called as a part, one of them train."""
    inside = [file.relative_to(root.folder).parts[:-1] for file in found.files if file is not None and root.confined]
    parts = {part_of_folders(folders, exact=True) for folders in set(inside)}
    if len(parts) < 2 or None in parts or "train" not in parts:
        return None
    codes = (part_of_folders(folders, exact=True) for folders in inside)
    of_found = iter([PARTS.index(part) for part in codes if part is not None])
    return np.array([0 if file is None else next(of_found) for file in found.files], np.int8)


# --------------------------------------------------------------------------------------- rows of one image


@dataclass(frozen=True, eq=False)
class _Merged:
    """Each image once.

    Attributes:
        rows_M: the first row of each image.
        codes_ML, blank_M: the labels of all its rows.
        split_M: their part.
        repeated: how many rows were left out.
    """

    rows_M: NDArray[np.intp]
    codes_ML: NDArray[np.int8]
    blank_M: NDArray[np.bool_]
    split_M: NDArray[np.int8] | None
    repeated: int = 0


def _merged(rows: Rows, found: Found, split_N: NDArray[np.int8] | None, faults: Faults) -> _Merged:
    """Rows that repeat an image are put together or left out; those that contradict each other are faults."""
    labels = rows.labels
    first_of: dict[object, int] = {}
    first = [first_of.setdefault(row if file is None else file, row) for row, file in enumerate(found.files)]
    there = [row for row in range(len(rows)) if row not in found.missing]
    repeats = [row for row in there if first[row] != row]
    codes_NL, blank_N = labels.codes_NL.copy() if repeats else labels.codes_NL, labels.blank_N.copy()
    for row in repeats:
        earlier = first[row]
        if what := _difference(rows, codes_NL[earlier], codes_NL[row], split_N, earlier, row):
            faults.add(
                f"{rows.where[row]}: names the image of {rows.where[earlier]} with {what}.",
                "Correct one of the rows, or write all labels of the image into one.",
            )
        codes_NL[earlier] = np.maximum(codes_NL[earlier], codes_NL[row])
        blank_N[earlier] &= blank_N[row]
    kept = np.array([row for row in there if first[row] == row], np.intp)
    split_M = None if split_N is None else split_N[kept]
    return _Merged(kept, codes_NL[kept], blank_N[kept], split_M, len(repeats))


def _difference(
    rows: Rows,
    one_L: NDArray[np.int8],
    other_L: NDArray[np.int8],
    split_N: NDArray[np.int8] | None,
    earlier: int,
    row: int,
) -> str:
    if split_N is not None and split_N[earlier] != split_N[row]:
        return "another split"
    if not rows.merges:
        return "" if np.array_equal(one_L, other_L) else "other labels"
    if rows.labels.absent == NO:
        return ""
    clash = np.flatnonzero((one_L != other_L) & (one_L != UNKNOWN) & (other_L != UNKNOWN))
    return f"{rows.labels.names[clash[0]]!r} as yes in one and no in the other" if len(clash) else ""


# -------------------------------------------------------------------------------------------- blank rows


@dataclass(frozen=True, eq=False)
class _Settled:
    """What became of the images.

    Attributes:
        merged: their labels.
        kept_M: those that are samples; the others were never labelled.
        reading: what was decided.
    """

    merged: _Merged
    kept_M: NDArray[np.bool_]
    reading: tuple[str, ...] = ()


def _settle_blank(rows: Rows, merged: _Merged, reading: Reading, faults: Faults) -> _Settled:
    blank_M, none_word = merged.blank_M, rows.labels.none_word
    unlabelled_M = np.zeros(len(blank_M), bool)
    lines = []
    if reading.blank_is is None:
        for code in _blank_parts(merged, rows.unlabelled_parts):
            unlabelled_M |= merged.split_M == code
            lines.append(f"No sample of the {PARTS[code]} part has labels: that part is unlabelled and left out.")
    left_M = blank_M & ~unlabelled_M
    count, share = int(left_M.sum()), left_M.sum() / max(1, len(blank_M) - unlabelled_M.sum())
    samples = f"{count:,} sample{'s' if count > 1 else ''} without an entry"
    if count and (reading.blank_is == "unlabelled" or (reading.blank_is is None and none_word)):
        why = "" if reading.blank_is else f", as {none_word!r} is written where there is none of the labels"
        unlabelled_M |= left_M
        lines.append(f"{samples} were never labelled{why}: left out.")
    elif count and reading.blank_is is None and count > max(1, MOST_BLANK * (len(blank_M) - unlabelled_M.sum())):
        example = rows.where[merged.rows_M[np.flatnonzero(left_M)[0]]]
        faults.add(
            f"{rows.source}: {count:,} of {len(blank_M):,} samples ({share:.0%}) are blank, as {example}. "
            "They may have none of the labels, or nobody has labelled them yet.",
            "Say which: --blank-is no or --blank-is unlabelled (in Python: blank_is='no' or 'unlabelled').",
        )
    elif count:
        lines.append(f"{samples}: read as having none of the labels{'' if reading.blank_is else f' ({share:.0%})'}.")
    codes_ML = merged.codes_ML
    if count:
        codes_ML = codes_ML.copy()
        codes_ML[left_M] = NO
    return _Settled(replace(merged, codes_ML=codes_ML), ~unlabelled_M, tuple(lines))


def _blank_parts(merged: _Merged, unlabelled: Sequence[Part]) -> Sequence[int]:
    """The parts that nobody labelled: without a file of labels, or of several samples that are blank as a whole."""
    blank_M = merged.blank_M | (merged.codes_ML == UNKNOWN).all(axis=1)
    if merged.split_M is None or blank_M.all():
        return ()
    sizes = {code: int((merged.split_M == code).sum()) for code in range(len(PARTS))}
    blank = [code for code, size in sizes.items() if size > 1 and blank_M[merged.split_M == code].all()]
    return sorted({*blank, *(PARTS.index(part) for part in unlabelled)})


# ----------------------------------------------------------------------------------------------- the record


def _record(rows: Rows, name: str, found: Found, settled: _Settled) -> LabelTable:
    merged, kept_M = settled.merged, settled.kept_M
    kept = merged.rows_M[kept_M]
    files = [file for row in kept if (file := found.files[row]) is not None]
    left_out = [file for row in merged.rows_M[~kept_M] if (file := found.files[row]) is not None]
    codes_ML, split_M = merged.codes_ML[kept_M], None if merged.split_M is None else merged.split_M[kept_M]
    return LabelTable(
        name=name,
        label_names=rows.labels.names,
        labels_NL=codes_ML,
        sample_names=tuple(found.names[row] for row in kept),
        files=tuple(files) if rows.names_files else None,
        encoded=None if rows.encoded is None else tuple(rows.encoded[row] for row in kept),
        x=None if rows.x is None else rows.x[kept],
        given_split=split_M,
        metadata={key: tuple(as_text(cells[row]) for row in kept) for key, cells in rows.metadata.items()},
        absent_label=rows.labels.absent,
        notes=(*rows.labels.notes, *rows.notes, *_notes(rows, merged, files, left_out)),
        set_aside=(*rows.set_aside, *((found.names[row], found.complaints[row]) for row in sorted(found.missing))),
        reading=(*rows.reading, *settled.reading, *_found_lines(rows, found)),
        unlabelled=tuple(left_out),
    )


def _notes(rows: Rows, merged: _Merged, files: Sequence[Path], left_out: Sequence[Path]) -> Iterator[str]:
    if merged.repeated and not rows.merges:
        yield f"{merged.repeated} rows that repeat an image with the same labels are left out."
    yield from _never_no(rows, merged)
    if beside := unlabelled([*files, *left_out]):
        yield f"{beside} images beside the labelled ones are not in {rows.source} and are left out."


def _never_no(rows: Rows, merged: _Merged) -> Iterator[str]:
    """Labels that are yes or unknown in a part, while others are known to be no there."""
    split_M = np.zeros(len(merged.rows_M), np.int8) if merged.split_M is None else merged.split_M
    for code in np.unique(split_M):
        codes_ML = merged.codes_ML[split_M == code]
        has = {value: (codes_ML == value).any(axis=0) for value in (YES, NO, UNKNOWN)}
        never_L = has[YES] & has[UNKNOWN] & ~has[NO]
        if has[NO].any() and never_L.any():
            where = "" if merged.split_M is None else f" in the {PARTS[code]} part"
            names = ", ".join(rows.labels.names[column] for column in np.flatnonzero(never_L)[:8])
            yield f"Never no{where}, only yes or unknown: {names}. Nothing there shows when it does not apply."


def _found_lines(rows: Rows, found: Found) -> Iterator[str]:
    if rows.metadata:
        yield f"Kept as metadata, not as labels: {', '.join(rows.metadata)}."
    if merges := rows.merges and len(rows) - len(set(found.names)):
        yield f"{merges:,} rows were put together with others of the same image."
    if count := len(found.differently):
        row = found.differently[0]
        yield (
            f"{count:,} images were found by the end of their names: "
            f"{shortened(rows.images[row])} is {shortened(found.names[row])}."
        )
    if missing := sorted(found.missing):
        names = ", ".join(found.names[row] for row in missing[:5])
        yield f"{len(missing):,} of {len(rows):,} rows are set aside, as their image is missing: {names}."


def as_text(cell: object) -> str:
    """Text as written, a missing value as nothing, and JSON's values as JSON."""
    if isinstance(cell, str):
        return cell
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    is_json = isinstance(cell, bool | int | float | list | dict)
    return json.dumps(cell, default=str, skipkeys=True, ensure_ascii=False) if is_json else str(cell)
