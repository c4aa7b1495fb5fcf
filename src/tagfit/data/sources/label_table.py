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
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.files import Found, Root, find_images, unlabelled
from tagfit.data.sources.parts import part_codes, part_of_folders
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import EMPTY_ANNOTATION, Rows
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
        faults.add(f"{rows.source}: there are no rows.", "Expected one row for each image.")
    is_nowhere = rows.names_files and not root.folder.is_dir()
    if is_nowhere:
        faults.add(f"{root.folder}: the folder of images does not exist.", "Name a folder with --images (images).")
    if is_nowhere or not len(rows):
        faults.check()
    found = _found(rows, root, reading, faults)
    split_N = None if rows.split is None else part_codes(rows.split, rows.where, faults)
    if split_N is None and (split_N := _split_of_folders(found)) is not None:
        rows = replace(rows, reading=(*rows.reading, "The split is read from the names of the images' folders."))
    images = _merged(rows, found, split_N, faults)
    faults.check()
    images = _settle_blank(rows, images, reading, faults)
    faults.check()
    return _record(rows, name, root, found, images)


# ------------------------------------------------------------------------------------------------- images


def _found(rows: Rows, root: Root, reading: Reading, faults: Faults) -> Found:
    if not rows.names_files:
        return Found(files=[None] * len(rows), names=list(rows.images))
    images, prefix = rows.images, reading.strip_prefix
    if prefix is not None:
        images = [name.removeprefix(prefix).lstrip("/\\") for name in images]
        if images == list(rows.images):
            faults.add(
                f"{rows.source}: no image name begins with {prefix!r}.", "Correct --strip-prefix (strip_prefix)."
            )
    found = find_images(images, root, rows.bases, rows.hints)
    is_bearable = len(found.missing) <= MOST_MISSING * len(rows)
    todo = f"Images are looked for in {root.folder}; name another folder with --images (images)."
    for row, complaint in found.complaints.items():
        if row not in found.missing or not is_bearable:
            faults.add(f"{rows.where[row]}: image {shortened(found.names[row])} {complaint}", todo)
    return found


def _split_of_folders(found: Found) -> NDArray[np.int8] | None:
    """The person's own split, if every image is in a folder that is called as a part, one of them train."""
    folders = [None if file is None else posixpath.dirname(file) for file in found.files]
    part_of = {folder: part_of_folders(folder.split("/"), exact=True) for folder in set(folders) if folder is not None}
    if len(set(part_of.values())) < 2 or None in part_of.values() or "train" not in part_of.values():
        return None
    codes = {folder: PARTS.index(part) for folder, part in part_of.items() if part is not None}
    return np.array([0 if folder is None else codes[folder] for folder in folders], np.int8)


# --------------------------------------------------------------------------------------- rows of one image


@dataclass(frozen=True, eq=False)
class _Images:
    """Each image once.

    Attributes:
        rows_M: the first row of each image.
        codes_ML, blank_M: the labels of all its rows.
        split_M: their part.
        kept_M: whether it is a sample; the others were never labelled.
        repeated: how many rows were left out.
        reading: what was decided about blank ones.
    """

    rows_M: NDArray[np.intp]
    codes_ML: NDArray[np.int8]
    blank_M: NDArray[np.bool_]
    split_M: NDArray[np.int8] | None
    kept_M: NDArray[np.bool_]
    repeated: int = 0
    reading: tuple[str, ...] = ()


def _merged(rows: Rows, found: Found, split_N: NDArray[np.int8] | None, faults: Faults) -> _Images:
    """Rows that repeat an image are put together or left out; those that contradict each other are faults."""
    first_of: dict[object, int] = {}
    first = [first_of.setdefault(row if file is None else file, row) for row, file in enumerate(found.files)]
    there = [row for row in range(len(rows)) if row not in found.missing]
    repeats = [row for row in there if first[row] != row]
    codes_NL = rows.labels.codes_NL.copy() if repeats else rows.labels.codes_NL
    blank_N = rows.labels.blank_N.copy()
    for row in repeats:
        earlier = first[row]
        what = "another split" if split_N is not None and split_N[earlier] != split_N[row] else ""
        if what := what or _difference(rows, codes_NL[earlier], codes_NL[row]):
            image = f"the image of {rows.where[earlier]}, {shortened(found.names[row])},"
            faults.add(
                f"{rows.where[row]}: repeats {image} with {what}.",
                "Correct one of the rows, or write all labels of the image into one.",
            )
        codes_NL[earlier] = np.maximum(codes_NL[earlier], codes_NL[row])
        blank_N[earlier] &= blank_N[row]
    kept = np.array([row for row in there if first[row] == row], np.intp)
    split_M = None if split_N is None else split_N[kept]
    return _Images(kept, codes_NL[kept], blank_N[kept], split_M, np.ones(len(kept), bool), len(repeats))


def _difference(rows: Rows, one_L: NDArray[np.int8], other_L: NDArray[np.int8]) -> str:
    """What speaks against two rows being of one image."""
    if not rows.merges:
        return "" if np.array_equal(one_L, other_L) else "other labels"
    clash = np.flatnonzero((one_L != other_L) & (one_L != UNKNOWN) & (other_L != UNKNOWN))
    if rows.labels.absent == NO or not len(clash):
        return ""
    return f"{rows.labels.names[clash[0]]!r} as yes in one and no in the other"


# -------------------------------------------------------------------------------------------- blank rows


def _settle_blank(rows: Rows, images: _Images, reading: Reading, faults: Faults) -> _Images:
    """Decide what blank rows mean, as the head of this file says."""
    unlabelled_M, lines = np.zeros(len(images.blank_M), bool), []
    for code in _blank_parts(images, rows.unlabelled_parts) if reading.blank_is is None else ():
        unlabelled_M |= images.split_M == code
        lines.append(f"No sample of the {PARTS[code]} part has labels: that part is unlabelled and left out.")
    left_M, among = images.blank_M & ~unlabelled_M, int((~unlabelled_M).sum())
    count = int(left_M.sum())
    if not count:
        return replace(images, kept_M=~unlabelled_M, reading=tuple(lines))
    samples, word = f"{count:,} sample{'s' if count > 1 else ''} without an entry", rows.labels.none_word
    if reading.blank_is == "unlabelled" or (reading.blank_is is None and word):
        told = reading.blank_is or word == EMPTY_ANNOTATION
        why = "" if told else f", because {word!r} is written for samples with none of the labels"
        unlabelled_M |= left_M
        lines.append(f"{samples} {'were' if count > 1 else 'was'} never labelled{why}: left out.")
    elif reading.blank_is is None and count > max(1, MOST_BLANK * among):
        example = rows.where[images.rows_M[np.flatnonzero(left_M)[0]]]
        faults.add(
            f"{rows.source}: {count:,} of {among:,} samples ({count / among:.0%}) are blank, as {example}. "
            "They may have none of the labels, or nobody has labelled them yet.",
            "Say which: --blank-is no or --blank-is unlabelled (in Python: blank_is='no' or 'unlabelled').",
        )
    else:
        lines.append(f"{samples}: read as having none of the labels.")
    codes_ML = images.codes_ML.copy()
    codes_ML[left_M] = NO
    return replace(images, codes_ML=codes_ML, kept_M=~unlabelled_M, reading=tuple(lines))


def _blank_parts(images: _Images, unlabelled: Sequence[Part]) -> Sequence[int]:
    """The parts that nobody labelled: without a file of labels, or of several samples that are blank as a whole."""
    blank_M = images.blank_M | (images.codes_ML == UNKNOWN).all(axis=1)
    if images.split_M is None or blank_M.all():
        return ()
    sizes = np.bincount(images.split_M, minlength=len(PARTS))
    blank = [code for code, size in enumerate(sizes) if size > 1 and blank_M[images.split_M == code].all()]
    return sorted({*blank, *(PARTS.index(part) for part in unlabelled)})


# ----------------------------------------------------------------------------------------------- the record


def _record(rows: Rows, name: str, root: Root, found: Found, images: _Images) -> LabelTable:
    kept, left_out = images.rows_M[images.kept_M], images.rows_M[~images.kept_M]
    aside = ((found.names[row], found.complaints[row]) for row in sorted(found.missing))
    return LabelTable(
        name=name,
        label_names=rows.labels.names,
        labels_NL=images.codes_ML[images.kept_M],
        sample_names=tuple(found.names[row] for row in kept),
        files=_paths(root, found, kept) if rows.names_files else None,
        encoded=None if rows.encoded is None else tuple(rows.encoded[row] for row in kept),
        x=None if rows.x is None else rows.x[kept],
        given_split=None if images.split_M is None else images.split_M[images.kept_M],
        metadata={key: tuple(as_text(cells[row]) for row in kept) for key, cells in rows.metadata.items()},
        absent_label=rows.labels.absent,
        notes=(*rows.labels.notes, *rows.notes, *_notes(rows, root, found, images)),
        set_aside=(*rows.set_aside, *aside),
        reading=(*rows.reading, *images.reading, *_found_lines(rows, found)),
        unlabelled=_paths(root, found, left_out),
    )


def _paths(root: Root, found: Found, rows: NDArray[np.intp]) -> tuple[Path, ...]:
    return tuple(root.folder / file for row in rows if (file := found.files[row]) is not None)


def _notes(rows: Rows, root: Root, found: Found, images: _Images) -> Iterator[str]:
    if images.repeated and not rows.merges:
        yield f"{images.repeated} rows that repeat an image with the same labels are left out."
    yield from _never_no(rows, images)
    if beside := unlabelled(root.folder, [file for file in found.files if file is not None]):
        yield f"{beside} images beside the labelled ones are not in {rows.source} and are left out."


def _never_no(rows: Rows, images: _Images) -> Iterator[str]:
    """Labels that are yes or unknown in a part, while others are known to be no there."""
    split_M = np.zeros(len(images.rows_M), np.int8) if images.split_M is None else images.split_M
    for code in np.unique(split_M):
        codes_ML = images.codes_ML[split_M == code]
        has = {value: (codes_ML == value).any(axis=0) for value in (YES, NO, UNKNOWN)}
        never = np.flatnonzero(has[YES] & has[UNKNOWN] & ~has[NO])
        if has[NO].any() and len(never):
            where = "" if images.split_M is None else f" in the {PARTS[code]} part"
            names = ", ".join(rows.labels.names[column] for column in never[:8])
            yield f"Never no{where}, only yes or unknown: {names}. No sample there is without them."


def _found_lines(rows: Rows, found: Found) -> Iterator[str]:
    if rows.metadata:
        yield f"Kept as metadata, not as labels: {', '.join(rows.metadata)}."
    if merges := rows.merges and len(rows) - len(set(found.names)):
        yield f"{merges:,} rows were merged with others of the same image."
    if count := len(found.differently):
        written, inner = (shortened(names[found.differently[0]]) for names in (rows.images, found.names))
        yield f"{count:,} images were found by the end of their names: {written} is {inner}."
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
