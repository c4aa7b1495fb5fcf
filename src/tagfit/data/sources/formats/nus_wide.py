"""NUS-WIDE: a list of images, and a file of 0 and 1 for each concept with a line an image.

Lists for parts (`Labels_sky_Train.txt`, `TrainImagelist.txt`) are the split; they come before those of all images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from tagfit.data.sources.listing import Listing
from tagfit.data.sources.parts import PART_NAMES
from tagfit.data.sources.rows import Row, Rows, join
from tagfit.data.sources.task import Task, folder_reader
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES
from tagfit.records.data import Part

_PART = re.compile(r"_?(train|test|val)$", re.IGNORECASE)
_Texts = Mapping[str, Sequence[str]]


def _uses(listing: Listing) -> Sequence[str]:
    texts = [name for name in listing.others if name.lower().endswith(".txt")]
    concepts = [name for name in texts if set(listing.head(name).lines[:100]) in ({"0", "1"}, {"0"}, {"1"})]
    lists = [name for name in texts if (*listing.head(name).lines, "")[0].lower().endswith(IMAGE_SUFFIXES)]
    return [*concepts, *lists] if len(concepts) > 1 and lists else []


def _read(task: Task) -> Rows:
    texts = {name: [line for _, line in task.lines(name)] for name in task.source.uses}
    folders: dict[str, list[str]] = {}
    for name in (name for name, lines in texts.items() if set(lines) <= {"0", "1"}):
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    parted = [names for names in folders.values() if all(_PART.search(_stem(name)) for name in names)]
    by_part: dict[Part | None, list[str]] = {}
    for name in (parted or [*folders.values(), []])[0]:
        found = _PART.search(_stem(name)) if parted else None
        by_part.setdefault(PART_NAMES[found[1].lower()] if found else None, []).append(name)
    return join([(_rows(part, names, texts, task), part) for part, names in by_part.items()], task.faults)


def _rows(part: Part | None, concepts: Sequence[str], texts: _Texts, task: Task) -> Rows:
    """The rows of one part: the list of images is the one that is as long, and called after the part."""
    lists = {name: lines for name, lines in texts.items() if not set(lines) <= {"0", "1"}}
    count = len(texts[concepts[0]])
    fitting = sorted(name for name, lines in lists.items() if len(lines) == count)
    fitting.sort(key=lambda name: (part or "image") not in _stem(name).lower())
    if not fitting or any(len(texts[name]) != count for name in concepts):
        lengths = ", ".join(f"{name} has {len(texts[name]):,}" for name in (*concepts[:3], *lists))
        raise DataError(f"{concepts[0]}: expected a list of images with as many lines; {lengths}.")
    stems = {name: _PART.sub("", _stem(name)) if part else _stem(name) for name in concepts}
    is_prefixed = len({stem.partition("_")[0] for stem in stems.values()}) == 1  # Labels_sky, Labels_sea
    labels = {name: stem.partition("_")[2] if is_prefixed else stem for name, stem in stems.items()}

    def row(numbered: tuple[int, str]) -> Row:
        at, image = numbered
        return Row(image, f"{fitting[0]}:{at + 1}", {labels[name] for name in concepts if texts[name][at] == "1"})

    how = (f"Images are those of {fitting[0]}; each of {len(concepts)} files is a label.",)
    return task.rows(enumerate(lists[fitting[0]]), row, declared=sorted(labels.values()), reading=how)


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


NUS_WIDE = folder_reader("nus-wide", "a file of 0 and 1 for each label, as NUS-WIDE has", _uses, _read)
