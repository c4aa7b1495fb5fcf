"""Tags with commas between in a text beside each image, as kohya's trainers and WD14 taggers write them.

An image without such a text was not labelled; one whose text is blank may have none of the labels. Sentences are no
tags: they hardly recur.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tagfit.data.sources.beside import Beside, each_beside, files_beside
from tagfit.data.sources.listing import Listing
from tagfit.data.sources.rows import Row
from tagfit.data.sources.task import folder_reader
from tagfit.data.sources.text import read_bytes, read_text

_SAMPLE = 100
_MOST_WORDS = 5


def _uses(listing: Listing) -> Sequence[str]:
    """Texts that lie beside at least half of the images, and whose tags recur."""
    for suffix in (".txt", ".caption"):
        found = files_beside(listing, suffix, lambda head: b"\0" not in head.raw)
        sample = [_tags(listing.head(name).text) for name in found[:_SAMPLE]]
        if 2 * len(found) >= len(listing.images) and _are_tags(sample):
            return found
    return ()


def _tags(text: str) -> list[str]:
    """Tags are separated by commas or by lines; brackets are escaped for image generators."""
    return [tag for part in re.split(r"[,\n]", text) if (tag := re.sub(r"\\([()])", r"\1", part).strip())]


def _are_tags(lists: Sequence[Sequence[str]]) -> bool:
    counts = Counter(tag for tags in lists for tag in set(tags))
    recurring = sum(count for count in counts.values() if count > 1)
    short = sum(count for tag, count in counts.items() if len(tag.split()) <= _MOST_WORDS)
    is_number = any(re.fullmatch(r"[-\d. ]+", tag) for tag in counts)
    return 2 * recurring > counts.total() and 10 * short >= 9 * counts.total() and not is_number


def _row(file: Beside) -> Row:
    tags = set(_tags(read_text(file.path, file.name) if read_bytes(file.path).strip() else ""))
    return Row(file.image, file.name, tags, is_blank=not tags)


CAPTIONS = folder_reader(
    "captions", "tags in a text beside each image", _uses, lambda task: task.rows(each_beside(task), _row)
)
