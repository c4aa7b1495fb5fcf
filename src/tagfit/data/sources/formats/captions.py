"""Tags in a text beside each image: with commas between, as kohya's trainers and WD14 taggers write them, or one a
line, as in `a.jpg.desc` of the ESP Game.

Where no text has a comma or several lines, what separates tags is found as in the cells of a table.

An image without such a text was not labelled; one whose text is blank may have none of the labels. Sentences are no
tags: they hardly recur.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from tagfit.data.sources.beside import Beside, each_beside, files_beside
from tagfit.data.sources.documents import gather
from tagfit.data.sources.listing import Listing
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.separators import Texts, find_separator, split_by
from tagfit.data.sources.task import Task, folder_reader
from tagfit.data.sources.text import read_bytes, read_text

_SAMPLE = 100
_KNOWN = (".txt", ".caption")
#: what other tools write beside images
_OF_TOOLS = {"", *_KNOWN, ".json", ".xml", ".xmp", ".yaml", ".yml", ".log", ".html"}
#: a tag in a file of a suffix that is not known; settings of raw converters look otherwise
_PLAIN = re.compile(r"[^\W\d_][\w '&/+.()-]*")
_MOST_WORDS = 5


def _uses(listing: Listing) -> Sequence[str]:
    """Texts of any suffix that lie beside at least half of the images, and whose tags recur."""
    suffixes = {PurePosixPath(name).suffix.lower() for name in listing.sidecars}
    for suffix in (*_KNOWN, *sorted(suffixes - _OF_TOOLS)):
        found = files_beside(listing, suffix, lambda head: b"\0" not in head.raw)
        sample = [_tags(listing.head(name).text) for name in found[:_SAMPLE]]
        is_plain = suffix in _KNOWN or all(_PLAIN.fullmatch(tag) for tags in sample for tag in tags)
        if 2 * len(found) >= len(listing.images) and is_plain and _are_tags(sample):
            return found
    return ()


def _tags(text: str) -> list[str]:
    """Tags are separated by commas or by lines; brackets are escaped for image generators."""
    return [tag for part in re.split(r"[,\n]", text) if (tag := re.sub(r"\\([()])", r"\1", part).strip())]


def _are_tags(lists: Sequence[Sequence[str]]) -> bool:
    counts = Counter(tag for tags in lists for tag in set(tags))
    if all(len(tags) < 2 for tags in lists):
        counts = Counter(word for tags in lists for tag in tags for word in re.split(r"\W+", tag) if word)
    recurring = sum(count for count in counts.values() if count > 1)
    short = sum(count for tag, count in counts.items() if len(tag.split()) <= _MOST_WORDS)
    is_number = any(re.fullmatch(r"[-\d. ]+", tag) for tag in counts)
    return 2 * recurring > counts.total() and 10 * short >= 9 * counts.total() and not is_number


def _read(task: Task) -> Rows:
    files = each_beside(task)
    held = gather(files, lambda file: (file, _tags_of(file)), task.faults)
    separator = task.reading.label_separator
    if separator is None and all(len(tags) < 2 for _, tags in held):
        places = {tags[0]: file.name for file, tags in reversed(held) if tags}
        counts = Counter(tags[0] for _, tags in held if tags)
        separator, _ = find_separator(Texts(places, counts, task.name), None, task.faults)
    return task.rows(held, lambda one: _row(*one, separator))


def _tags_of(file: Beside) -> list[str]:
    return _tags(read_text(file.path, file.name)) if read_bytes(file.path).strip() else []


def _row(file: Beside, tags: Sequence[str], separator: str | None) -> Row:
    found = {one for tag in tags for one in split_by(tag, separator)}
    return Row(file.image, file.name, found, is_blank=not found)


CAPTIONS = folder_reader(
    "captions", "tags in a text beside each image", _uses, _read, options=frozenset(("label_separator",))
)
