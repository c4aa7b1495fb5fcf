"""Pascal VOC: one XML an image, as many tools export it, or the lists of a class in `ImageSets/Main`.

An image has the labels of its objects; one whose objects are all marked as difficult is unknown, as VOC's own scores
leave it out. In a class's list 1 is yes, -1 no, and 0 difficult. `ImageSets/Main/train.txt` and the like are the split.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from tagfit.data.sources.beside import Beside, each_beside, files_beside
from tagfit.data.sources.documents import gather, read_xml
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.parts import PART_NAMES
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, folder_reader
from tagfit.images.decode import IMAGE_SUFFIXES
from tagfit.records.data import UNKNOWN

_LISTS = "ImageSets/Main/"


def _lists(listing: Listing) -> list[str]:
    return [name for name in listing.files if f"/{_LISTS}" in f"/{name}" and name.endswith(".txt")]


def _label_and_part(name: str) -> tuple[str, str]:
    """Of `horse_train.txt` the label and the part; of other lists no label."""
    stem = PurePosixPath(name).stem
    label, _, part = stem.rpartition("_")
    return (label, part) if part in (*PART_NAMES, "trainval") else ("", stem)


# ---------------------------------------------------------------------------------------------- annotations


def _annotations(listing: Listing) -> Sequence[str]:
    found = files_beside(listing, ".xml", _is_annotation)
    return (*found, *_lists(listing)) if found else ()


def _is_annotation(head: Head) -> bool:
    return re.search(r"<annotation[\s>]", head.text[:1000]) is not None


def _read(task: Task) -> Rows:
    rows = gather(each_beside(task), _row, task.faults)
    lists = [name for name in _lists(task.listing) if _label_and_part(name)[1] in PART_NAMES]
    parts = {_key(line.split()[0]): _label_and_part(name)[1] for name in lists for _, line in task.lines(name)}
    listed = [replace(row, split=parts[_key(row.image)]) for row in rows if _key(row.image) in parts]
    left_out = f"{len(rows) - len(listed)} images are in none of its lists and are left out."
    how = [f"The split is read from {_LISTS}."] * bool(listed) + [left_out] * bool(listed and len(listed) < len(rows))
    return task.rows(listed or rows, lambda row: row, reading=tuple(how))


def _key(image: str) -> str:
    path = PurePosixPath(image)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


def _row(file: Beside) -> Row | None:
    if not file.name.lower().endswith(".xml"):
        return None
    objects = [one for one in read_xml(file.path, file.name).findall("object") if one.findtext("deleted") != "1"]
    named = [((one.findtext("name") or "").strip(), (one.findtext("difficult") or "").strip()) for one in objects]
    sure = {name for name, difficult in named if difficult != "1"}
    return Row(file.image, file.name, sure, unknown={name for name, _ in named} - sure)


# --------------------------------------------------------------------------------------- the lists of classes


def _class_lists(listing: Listing) -> Sequence[str]:
    """Only if there are no annotations, which say the same."""
    lists = _lists(listing)
    return lists if any(_label_and_part(name)[0] for name in lists) and not _annotations(listing) else ()


def _read_lists(task: Task) -> Rows:
    codes: dict[str, dict[str, str]] = {}
    places: dict[str, str] = {}
    parts: dict[str, str] = {}
    for name in task.source.uses:
        label, part = _label_and_part(name)
        for place, line in task.lines(name) if label else ():
            image, *rest = line.split()
            places.setdefault(image, place)
            if len(rest) != 1 or rest[0] not in ("-1", "0", "1"):
                task.faults.add(f"{place}: expected 1, -1 or 0 after the image; got {' '.join(rest)[:40]!r}.")
            elif codes.setdefault(image, {}).setdefault(label, rest[0]) != rest[0]:
                task.faults.add(f"{place}: another list contradicts it about {label!r} of {image}.")
            if part in PART_NAMES:
                parts[image] = part

    def row(image: str) -> Row:
        given = codes.get(image, {}).items()
        yes, no, unknown = ([label for label, code in given if code == one] for one in ("1", "-1", "0"))
        return Row(image, places[image], yes, no=no, unknown=unknown, split=parts.get(image))

    return task.rows(places, row, absent=UNKNOWN)


VOC = folder_reader("voc", "Pascal VOC's XML beside each image", _annotations, _read)
VOC_LISTS = folder_reader("voc-lists", "Pascal VOC's lists of classes", _class_lists, _read_lists)
