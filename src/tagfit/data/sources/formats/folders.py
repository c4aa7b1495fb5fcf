"""A folder a label, as torchvision's ImageFolder and Keras read them, also below folders of the parts of a split.

An image that lies in several folders, as copies or links, has all of their labels: copies are joined by content, not by
name, and only within a part. With `label_separator` the name of a folder lists several labels.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.listing import Listing, is_about, key_of
from tagfit.data.sources.parts import part_of_folders
from tagfit.data.sources.reader import Reader, Source
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Row, Rows, collect
from tagfit.images.decode import IMAGE_SUFFIXES

#: names of folders that hold images of any kind, or sort them by when and with what they were taken
_NO_LABEL = re.compile(
    r"(images?|imgs?|pictures?|photos?|pics|jpe?gs?(images)?|pngs?|raws?|data|dataset|labels?|annotations?|masks?|"
    r"thumb(nail)?s?|previews?|exports?|originals?|edited|unsorted|unlabell?ed|misc|new|old|backup|dcim|camera.*|"
    r"screenshots?|downloads?|\d+[a-z]{0,2}|\d{3}[a-z0-9_]{5}|(19|20)\d\d([-_. ].*|\d{4}.*)?)",
    re.IGNORECASE,
)
_SIGNS = "_-+&, "
#: files that may hold labels
_LABEL_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".xml", ".xlsx", ".caption", ".yaml", ".yml")
#: so many files are looked into
_SAMPLE = 100
#: a link becomes a small text where links are not supported, as in git on Windows
_LONGEST_LINK = 300


def _sources(listing: Listing) -> Sequence[Source]:
    labels = set(_labels_by_folder(listing).values())
    is_meant = len(labels) > 1 and not any(map(_NO_LABEL.fullmatch, labels))
    return [Source(FOLDERS, listing)] if is_meant else []


def _labels_by_folder(listing: Listing) -> Mapping[str, str]:
    """The label of each folder with images, below what all share and what is called as a part; else nothing."""
    inside = {_folder(name) for name in listing.images}
    pieces = {path: [one for one in path.split("/") if one and not _part(one)] for path in inside}
    while all(len(names) > 1 for names in pieces.values()) and len({names[0] for names in pieces.values()}) == 1:
        pieces = {path: names[1:] for path, names in pieces.items()}
    is_flat = all(len(names) == 1 for names in pieces.values())
    return {path: names[0] for path, names in pieces.items()} if is_flat else {}


def _part(folders: str) -> str | None:
    return part_of_folders(folders.split("/"), exact=True)


def _read(source: Source, reading: Reading, faults: Faults) -> Rows:
    folders = _labels_by_folder(source.listing)
    if reading.label_separator is None:
        _ask(sorted(set(folders.values())), source, faults)
        _ask_of_files(folders, source, faults)
    rows, copies = [], 0
    for same in _same_images(source):
        names = [folders[_folder(image)].split(reading.label_separator or "/") for image in same]
        rows.append(Row(same[0], same[0], {name.strip() for listed in names for name in listed if name.strip()}))
        copies += len(same) > 1
    joined = f"{copies:,} images are in several folders: each is read once, with the labels of all of them."
    lines = (f"Labels are the names of {len(set(folders.values()))} folders.", *[joined] * bool(copies))
    return replace(collect(rows, source.name, faults), reading=lines)


def _ask(names: Sequence[str], source: Source, faults: Faults) -> None:
    """Names such as `red_dress`, `blue_dress`, `red_shirt` may be one label or several."""
    for sign in _SIGNS:
        columns = list(zip(*(name.split(sign) for name in names), strict=False))
        if len(columns) > 1 and all(len(set(column)) < len(names) for column in columns):
            faults.add(
                f"{source.folder}: the names of folders may be one label or several: {', '.join(names[:4])}.",
                f"Use --label-separator {shortened(sign)} (label_separator) if that separates labels, and "
                "--label-separator / if each name is one label.",
            )
            return


def _ask_of_files(folders: Mapping[str, str], source: Source, faults: Faults) -> None:
    """Files in these folders that may hold labels: one an image or a folder, or one that names images."""
    listing = source.listing
    inside = [name for name in listing.files if name.lower().endswith(_LABEL_SUFFIXES) and _folder(name) in folders]
    inside = [name for name in inside if not is_about(name)]
    is_each = len({_folder(name) for name in inside}) * 2 > len(folders)
    found = inside if is_each else [name for name in inside[:_SAMPLE] if _names_images(listing, name)]
    if found:
        faults.add(
            f"{source.folder}: the names of folders may be the labels, or files in them hold these: "
            f"{', '.join(found[:3])}{', ...' if len(found) > 3 else ''} ({len(found):,} in all).",
            "Use --label-separator / (label_separator) if each folder's name is one label. Or write the labels of "
            "these files to a labels.csv: image,labels.",
        )


def _names_images(listing: Listing, name: str) -> bool:
    images = {key_of(one) for one in listing.inside[_folder(name)] if one.lower().endswith(IMAGE_SUFFIXES)}
    stems = {stem for image in images if not (stem := posixpath.splitext(image)[0]).isdecimal()}
    return not (images | stems).isdisjoint(re.findall(r"[^\s,;|\"'/\\<>=]+", key_of(listing.head(name).text)))


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _same_images(source: Source) -> Iterable[Sequence[str]]:
    """Images of one part that are one file, or have the same content; of links, the file comes first."""
    images = set(source.listing.images)
    target = {name: _link(source.folder / name, name, images) or name for name in source.listing.images}
    sizes = {
        name: path.stat().st_size if (path := source.folder / name).is_file() else -1 for name in set(target.values())
    }
    often = Counter(sizes.values())
    identity = {name: _hash(source.folder / name) if often[size] > 1 < size else name for name, size in sizes.items()}
    found: dict[tuple[object, ...], list[str]] = {}
    for name, real in sorted(target.items(), key=lambda pair: pair[0] != pair[1]):
        found.setdefault((_part(_folder(name)), identity[real]), []).append(name)
    return found.values()


def _link(path: Path, name: str, images: set[str]) -> str:
    """The image in the folder that a link leads to."""
    try:
        if path.is_symlink():
            text = str(path.readlink())
        else:
            text = path.read_text("utf-8") if path.stat().st_size <= _LONGEST_LINK else ""
    except (OSError, ValueError):
        return ""
    inner = posixpath.normpath(posixpath.join(posixpath.dirname(name), text.strip().replace("\\", "/")))
    return inner if inner in images else ""


def _hash(path: Path) -> bytes | str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return str(path)


FOLDERS = Reader(
    "folders",
    "a folder a label",
    _read,
    of_folder=_sources,
    options=frozenset(("label_separator",)),
    takes_images=False,
    is_implicit=True,
)
