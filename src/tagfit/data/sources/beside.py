"""Files that lie beside images, one each: `a.xml`, `labels/a.txt`, `ann/a.jpg.json`, `a_labels.json`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tagfit.data.sources.documents import gather
from tagfit.data.sources.listing import Head, Listing, key_of
from tagfit.data.sources.task import Task
from tagfit.errors import DataError

#: so many files are looked into to tell what they are
_SAMPLE = 20


@dataclass(frozen=True)
class Beside:
    """One file and its image, by their names in the folder of the data; without an image, the name of one."""

    path: Path
    name: str
    image: str


def files_beside(listing: Listing, suffix: str, is_meant: Callable[[Head], bool]) -> tuple[str, ...]:
    """All files of a suffix that lie beside images or, if there are no images, anywhere; none if none is meant.

    Files without an image count too if they lie among the others and are meant.
    """
    named = [name for name in (listing.sidecars if listing.images else listing.others) if name.lower().endswith(suffix)]
    named = named or [name for name in listing.files if name.lower().endswith(suffix) and _in_folder(name, listing)]
    if not any(is_meant(listing.head(name)) for name in named[:_SAMPLE]):
        return ()
    known, folders = set(named), {_folder(name) for name in named}
    stray = (name for name in listing.files if name.lower().endswith(suffix) and name not in known)
    return (*named, *(name for name in stray if _folder(name) in folders and is_meant(listing.head(name))))


def each_beside(task: Task) -> list[Beside]:
    """The files that a source uses, each with its image."""
    source = task.source
    return gather(
        source.uses, lambda name: Beside(source.folder / name, name, _image(name, source.listing)), task.faults
    )


def _image(name: str, listing: Listing) -> str:
    """The image that a file is called as; of several, the one that shares most folders with it."""
    stem, folders = PurePosixPath(name).stem, {*name.split("/")[:-1]}
    near = {image: len(folders.intersection(image.split("/")[:-1])) for image in listing.by_name.get(key_of(stem), ())}
    best = [image for image in near if _folder(image) == _folder(name)]
    best = best or [image for image in near if near[image] == max(near.values())] or _in_folder(name, listing)
    if len(best) > 1:
        raise DataError(f"{name}: its image may be {' or '.join(best[:3])}.", "Give each image its own name.")
    return best[0] if best else stem


def _in_folder(name: str, listing: Listing) -> list[str]:
    """The image of a file in its own folder that has more behind the image's name: `a_labels.json`, `a.meta.json`."""
    stem, folder = key_of(PurePosixPath(name).stem), _folder(name)
    starts = [stem[: sign.start()] for sign in re.finditer(r"[-_. ]", stem)]
    found = ([one for one in listing.by_name.get(start, ()) if _folder(one) == folder] for start in reversed(starts))
    return next(filter(None, found), [])


def _folder(name: str) -> str:
    return name.rpartition("/")[0]
