"""Which column of a table is what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tagfit.data.sources.cells import cell_codes
from tagfit.data.sources.table import Table
from tagfit.records.data import UNKNOWN

#: names of the column that holds the image's path, the most telling first; case does not matter
IMAGE_NAMES = (
    *("image", "image_path", "image_file", "image_name", "images", "img", "img_path"),
    *("file_name", "filename", "file_path", "filepath", "file", "path", "picture", "photo"),
)
#: names of the column that lists a image's labels
LABELS_NAMES = ("labels", "tags", "label", "tag", "keywords")
SPLIT_NAMES = ("split",)


@dataclass(frozen=True)
class Roles:
    """Column names by what they hold; `others` are 0/1 label columns and metadata."""

    image: str | None
    labels: str | None
    split: str | None
    others: tuple[str, ...]


def pick(columns: Iterable[str], wanted: Iterable[str]) -> str | None:
    """The first wanted name that is a column, as the column spells it."""
    spelled: dict[str, str] = {}
    for column in columns:
        spelled.setdefault(column.lower(), column)
    return next((spelled[name] for name in wanted if name in spelled), None)


def roles(table: Table) -> Roles:
    """Give each column its role; a column called `label` that holds only 0/1 is a label column of that name."""
    image = pick(table.columns, IMAGE_NAMES)
    split = pick(table.columns, SPLIT_NAMES)
    listing = [name for name in table.columns if name.lower() in LABELS_NAMES and not _is_binary(table, name)]
    labels = pick(listing, LABELS_NAMES)
    others = tuple(name for name in table.columns if name not in (image, split, labels))
    return Roles(image, labels, split, others)


def _is_binary(table: Table, name: str) -> bool:
    codes = set(cell_codes(table.columns[name]))
    return None not in codes and not codes <= {UNKNOWN}
