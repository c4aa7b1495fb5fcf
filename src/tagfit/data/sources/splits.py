"""Official splits beside the labels: lists of the images of each part, or a table of images and parts.

`train_val_list.txt` and `test_list.txt` name an image a line; `list_eval_partition.csv` has a column of parts. They
count if they name all images of the source, and nothing else says the split.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tagfit.data.sources.listing import Head, key_of
from tagfit.data.sources.parts import PART_NAMES, parts_in
from tagfit.data.sources.reader import Source
from tagfit.data.sources.rows import Rows
from tagfit.data.sources.text import read_text
from tagfit.errors import DataError
from tagfit.records.data import Part

#: the numbers are CelebA's
_PARTS: Mapping[str, Part] = {"0": "train", "1": "val", "2": "test", **PART_NAMES}

_SAYS_PARTS = re.compile(r"partition|split|subset|evaluation", re.IGNORECASE)

_JSON = re.compile(rf'\s*\{{\s*"(?:{"|".join(PART_NAMES)})"\s*:\s*\[')

#: larger files are no lists of images
_LARGEST = 1 << 28


def with_official_split(rows: Rows, source: Source) -> tuple[Rows, Source]:
    """The rows with the split that files beside the labels give, if they say none themselves, and what was read."""
    if rows.split is not None or source.listing.only or not rows.names_files:
        return rows, source
    own = {file.name for file in source.files}
    parts: dict[str, Part] = {}
    read = []
    for name in source.listing.others:
        if name not in own and name.lower().endswith((".txt", ".csv", ".tsv", ".json")):
            found = _parts_of(source.listing.head(name))
            parts |= found
            read += [name] if found else []
    by_stem = {_stem(image): part for image, part in parts.items()}
    split = [parts.get(_key(image)) or by_stem.get(_stem(image)) for image in rows.images]
    if len(set(parts.values())) < 2 or None in split or "train" not in split:
        return rows, source
    left_out = tuple(name for name in source.left_out if name not in read)
    how = f"The split is read from {' and '.join(read)}."
    return replace(rows, split=split, reading=(*rows.reading, how)), replace(source, left_out=left_out)


def _key(name: str) -> str:
    """A name to compare, with its folders and without its extension."""
    folders, slash, file = name.strip(' "').replace("\\", "/").rpartition("/")
    return key_of(folders + slash + (file.rpartition(".")[0] or file))


def _stem(name: str) -> str:
    return _key(name).rpartition("/")[2]


def gives_parts(head: Head) -> bool:
    """Whether a file gives its part to each image, and nothing else."""
    lines = head.lines if head.is_whole else head.lines[:-1]
    return any(True for _ in _of_pairs(lines[:100], head.path.stem))


def _parts_of(head: Head) -> Mapping[str, Part]:
    """The part of each image that a file names; empty if it is no such file."""
    if head.suffix == ".json":
        return _of_json(head)
    named = parts_in(head.path.stem)
    is_list = bool(named) and not any(re.search(r"[,;\t ]", line) for line in head.lines[:100])
    try:
        is_meant = (is_list or gives_parts(head)) and head.path.stat().st_size <= _LARGEST
        text = read_text(head.path, head.name) if is_meant else ""
    except (DataError, OSError):
        return {}
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if is_list:
        return dict.fromkeys(map(_key, lines), "train" if "train" in named else named[0])
    return dict(_of_pairs(lines, head.path.stem))


def _of_json(head: Head) -> Mapping[str, Part]:
    """The parts in `{"train": ["a.jpg", ...], "test": [...]}`."""
    try:
        is_meant = _JSON.match(head.text) is not None and head.path.stat().st_size <= _LARGEST
        document = json.loads(read_text(head.path, head.name)) if is_meant else {}
    except (DataError, OSError, ValueError, RecursionError):
        return {}
    if not document.keys() <= set(PART_NAMES) or not all(isinstance(names, list) for names in document.values()):
        return {}
    return {_key(str(name)): PART_NAMES[part] for part, names in document.items() for name in names}


def _of_pairs(lines: Sequence[str], name: str) -> Iterator[tuple[str, Part]]:
    """The parts of lines that are an image and a part, below at most two lines of a header.

    Numbers are parts only if the file or its header says so: they may be classes.
    """
    pairs = [_pair(line) for line in lines]
    first = next((at for at, (image, word) in enumerate(pairs[:3]) if image and word in _PARTS), 3)
    if not pairs[first:] or not all(image and word in _PARTS for image, word in pairs[first:]):
        return
    is_numbered = any(word.isdecimal() for _, word in pairs[first:])
    if not is_numbered or _SAYS_PARTS.search(" ".join((name, *lines[:first]))):
        yield from ((_key(image), _PARTS[word]) for image, word in pairs[first:])


def _pair(line: str) -> tuple[str, str]:
    image, word, *others = *re.split(r"[,;\t ]+", line), "", ""
    return ("", "") if any(others[:-1]) or not word else (image, word.strip('"').lower())
