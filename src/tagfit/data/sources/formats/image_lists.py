"""A list of images for each label, as MIRFLICKR has: `beach.txt` names those that have it, by name or by number.

One JSON document may hold them all: `{"beach": ["a.jpg", "b.jpg"], "sea": ["b.jpg"]}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from tagfit.data.sources.columns import IMAGE_NAMES
from tagfit.data.sources.documents import Node, read_document
from tagfit.data.sources.listing import Head, Listing, key_of
from tagfit.data.sources.parts import PART_NAMES
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, file_reader, folder_reader
from tagfit.images.decode import IMAGE_SUFFIXES

_PARTS = re.compile(r"train|val|test|fold|split|part|query|gallery|list", re.IGNORECASE)
_ENDINGS = "|".join(map(re.escape, IMAGE_SUFFIXES))
_FIRST = re.compile(rf'\s*\{{\s*"([^"]+)"\s*:\s*\[\s*"[^"]+(?:{_ENDINGS})"', re.IGNORECASE)
_NUMBER = re.compile(r"\D*0*(\d+)")


def _uses(listing: Listing) -> Sequence[str]:
    """The texts of one folder that name nothing but images; lists that part a data set are none of a label."""
    texts = [name for name in listing.others if name.lower().endswith(".txt") and not _PARTS.search(_stem(name))]
    index = _index(listing) if len(texts) > 1 else {}
    found = [name for name in texts if _names_images(listing.head(name), index)]
    is_meant = len(found) > 1 and len({name.rpartition("/")[0] for name in found}) == 1
    return found if is_meant else ()


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _names_images(head: Head, index: Mapping[str, str]) -> bool:
    lines = head.lines if head.is_whole else head.lines[:-1]
    return bool(lines) and all(_key(line) in index for line in lines)


def _index(listing: Listing) -> Mapping[str, str]:
    """Images by name and, if these are called by numbers of their own, by number."""
    stems = {image: _stem(image) for image in listing.images}
    numbers = {image: match[1] for image, stem in stems.items() if (match := _NUMBER.fullmatch(stem))}
    is_numbered = len(set(numbers.values())) == len(stems)
    by_number = {number: image for image, number in numbers.items()} if is_numbered else {}
    by_name = {name: images[0] for name, images in listing.by_name.items() if len(images) == 1}
    return by_number | by_name


def _key(line: str) -> str:
    return line.lstrip("0") or "0" if line.isdecimal() else key_of(line)


def _read(task: Task) -> Rows:
    """An image that is in no list is blank: it may have none of the labels."""
    index = _index(task.listing)
    labels: dict[str, set[str]] = {image: set() for image in task.listing.images}
    for name in task.source.uses:
        for place, line in task.lines(name):
            if _key(line) in index:
                labels[index[_key(line)]].add(_stem(name))
            else:
                task.faults.add(f"{place}: image {line[:60]!r} does not exist.")
    how = (f"Each of {len(task.source.uses)} lists of images is a label.",)
    declared = sorted(map(_stem, task.source.uses))
    return task.rows(
        labels.items(),
        lambda pair: Row(pair[0], pair[0], pair[1], is_blank=not pair[1]),
        declared=declared,
        reading=how,
    )


def _is_by_label(head: Head) -> bool:
    first = _FIRST.match(head.text)
    return first is not None and first[1].lower() not in {*PART_NAMES, *IMAGE_NAMES}


def _of_document(document: Node, task: Task) -> Rows:
    labels: dict[str, set[str]] = {}
    for label, images in document.pairs:
        for image in images.items:
            labels.setdefault(image.text, set()).add(label)
    declared = [label for label, _ in document.pairs]
    return task.rows(labels.items(), lambda pair: Row(pair[0], task.name, pair[1]), declared=declared)


IMAGES_BY_LABEL = file_reader(
    "images-by-label",
    "a JSON list of images for each label",
    _is_by_label,
    lambda task: _of_document(read_document(task.file.path, task.name, task.faults), task),
)
IMAGE_LISTS = folder_reader("image-lists", "a list of images for each label", _uses, _read, is_implicit=True)
