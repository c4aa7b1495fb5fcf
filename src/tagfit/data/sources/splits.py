"""Official splits beside the labels: lists of the images of each part, or a table of images and parts.

`train_val_list.txt` and `test_list.txt` name an image a line; `list_eval_partition.csv` has a column of parts. They
count if they name all images of the source, and nothing else says the split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tagfit.data.sources.delimited import table_of
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.listing import Head, key_of
from tagfit.data.sources.parts import PART_NAMES, by_numbers, parts_in
from tagfit.data.sources.reader import Source
from tagfit.data.sources.reading import Header, Reading
from tagfit.data.sources.rows import Rows
from tagfit.data.sources.text import read_text
from tagfit.errors import DataError
from tagfit.records.data import Part

#: larger files are no lists of images
_LARGEST = 1 << 28


def with_official_split(rows: Rows, source: Source) -> Rows:
    """The rows with the split that files beside the labels give, if they say none themselves."""
    if rows.split is not None or source.listing.only or not rows.names_files:
        return rows
    own = {file.name for file in source.files}
    parts: dict[str, Part] = {}
    read = []
    for name in source.listing.others:
        if name not in own and name.lower().endswith((".txt", ".csv", ".tsv")):
            found = _parts_of(source.listing.head(name))
            parts |= found
            read += [name] if found else []
    split = [parts.get(_stem(image)) for image in rows.images]
    if len(set(parts.values())) < 2 or None in split or "train" not in split:
        return rows
    return replace(rows, split=split, reading=(*rows.reading, f"The split is read from {' and '.join(read)}."))


def _stem(name: str) -> str:
    return key_of(re.split(r"[\\/]", name.strip())[-1].rpartition(".")[0] or name.strip())


def _parts_of(head: Head) -> Mapping[str, Part]:
    """The part of each image that a file names; empty if it is no such file."""
    try:
        text = "" if head.path.stat().st_size > _LARGEST else read_text(head.path, head.name)
    except (DataError, OSError):
        return {}
    named = parts_in(head.path.stem)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if named and not any(re.search(r"[,;\t ]", line) for line in lines[:100]):
        return dict.fromkeys(map(_stem, lines), "train" if "train" in named else named[0])
    return dict(_of_table(text, head.name))


def _of_table(text: str, name: str) -> Iterator[tuple[str, Part]]:
    separated = re.sub(r"(?m)[ \t]+", ",", text) if " " in text[:200] else text
    first = next(iter(separated.splitlines()), "").rpartition(",")[2].strip().lower()
    header: Header | None = "none" if first in {*PART_NAMES, "0", "1", "2"} else None
    try:
        columns = list(table_of(separated, name, Reading(header=header), Faults()).columns.values())
    except DataError:
        return
    if len(columns) != 2:
        return
    words = [str(cell).strip().lower() for cell in columns[1]]
    parts = by_numbers(words) or [PART_NAMES[word] for word in words if word in PART_NAMES]
    if len(parts) == len(words):
        yield from zip(map(_stem, map(str, columns[0])), parts, strict=True)
