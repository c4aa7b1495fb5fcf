"""Open Images: a row an image and label; 1 is a verified yes, 0 a verified no, and what is absent is unknown.

Boxes say yes, and are not read if image-level labels lie beside them. Labels that only a machine gave, with a
confidence between 0 and 1, are left out. Names of classes come from a `class-descriptions` file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from tagfit.data.sources.documents import fields, read_table
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.parts import part_in_stem
from tagfit.data.sources.reader import LabelFile, Source
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, file_reader
from tagfit.errors import DataError
from tagfit.records.data import UNKNOWN

_COLUMNS = {"ImageID", "LabelName"}
_DESCRIBED = re.compile(r'"?(/[mgt]/[^,"]+)"?,"?(.*?)"?')


def _sources(listing: Listing) -> Sequence[Source]:
    """All label files of a folder: the parts of one split if there are several."""
    names = [] if listing.only else [name for name in listing.others if _recognise(listing.head(name))]
    of_images = [name for name in names if "XMin" not in fields(listing.head(name)) and "machine" not in name.lower()]
    chosen = of_images or names
    parts = [part_in_stem(PurePosixPath(name).stem)[1] if len(chosen) > 1 else None for name in chosen]
    files = tuple(LabelFile(listing.folder / name, name, part) for name, part in zip(chosen, parts, strict=True))
    left_out = tuple(name for name in names if name not in chosen)
    uses = (*left_out, *_descriptions(listing)) if files else ()
    return [Source(OPEN_IMAGES, listing, files, left_out=left_out, uses=uses)] if files else []


def _recognise(head: Head) -> bool:
    return fields(head) >= _COLUMNS and not head.keys


def _descriptions(listing: Listing) -> list[str]:
    tables = (name for name in listing.others if name.lower().endswith(".csv"))
    return [name for name in tables if _describes(listing.head(name))]


def _describes(head: Head) -> bool:
    """Whether a file is called as one that names classes, so that it has to name them, or does so."""
    return "class-descriptions" in head.path.name.lower() or any(map(_DESCRIBED.fullmatch, head.lines))


def _rows(task: Task) -> Rows:
    described = _descriptions(task.listing)
    lines = (line for name in described for _, line in task.lines(name))
    names = {match[1]: match[2] for line in lines if (match := _DESCRIBED.fullmatch(line))}
    table = read_table(task.file.path, task.name, task.faults)
    if not table.columns.keys() >= _COLUMNS:
        raise DataError(f"{table.head}: expected the columns ImageID and LabelName; got {', '.join(table.columns)}.")
    given: dict[str, dict[str, set[str]]] = {"1": {}, "0": {}, "": {}}
    places: dict[str, str] = {}
    confidences = table.columns.get("Confidence", ("1",) * len(table))
    cells = zip(table.where, table.columns["ImageID"], table.columns["LabelName"], confidences, strict=True)
    for place, image, label, confidence in cells:
        places.setdefault(str(image), place)
        code = str(confidence).removesuffix(".0")
        given[code if code in given else ""].setdefault(str(image), set()).add(names.get(str(label), str(label)))
    if missing := sorted(set(map(str, table.columns["LabelName"])) - names.keys() if described else ()):
        raise DataError(
            f"{task.name}: class-descriptions do not name {', '.join(missing[:5])}.",
            "Add the names; or remove that file, and the codes are the names of the labels.",
        )

    def row(image: str) -> Row:
        yes, no = (given[code].get(image, set()) for code in ("1", "0"))
        return Row(image, places[image], yes - no, no=no - yes)

    unsure = f"{sum(map(len, given[''].values())):,} labels that nobody verified are left out."
    how = ("A label that is not verified for an image is unknown.", *[unsure] * bool(given[""]))
    return task.rows(places, row, absent=UNKNOWN, reading=how)


OPEN_IMAGES = file_reader("open-images", "Open Images labels (CSV)", _recognise, _rows, of_folder=_sources)
