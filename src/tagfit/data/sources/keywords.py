"""Keywords inside images or in sidecars beside them, if there is no label file."""

from __future__ import annotations

import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.listing import Listing
from tagfit.data.sources.names import is_writable
from tagfit.data.sources.reader import Reader, Source
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Row, Rows, collect
from tagfit.data.sources.strangers import strangers
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES, UnreadableImageError
from tagfit.images.packets import read_packets
from tagfit.images.xmp import MAX_BYTES, MalformedXmpError, own_keywords, xmp_keywords

TODO = (
    "Put labels.csv into it, with a header such as image,labels; or give its images keywords in digiKam, darktable "
    "or Lightroom."
)


@dataclass(frozen=True)
class Image:
    """An image file, and the sidecars beside it, the one that names it in full first."""

    file: Path
    sidecars: tuple[Path, ...]


@dataclass
class Findings:
    """What came of a folder's images: keywords by name of the image, or why there are none.

    Attributes:
        set_aside: the reason by the name of each image whose keywords cannot be read.
        unlabelled: images without a keyword.
        places: how many images have their keywords where.
        overruled: images whose own keywords are not those of their sidecar.
        machine: images with keywords that a model wrote and that do not count.
    """

    keywords: dict[str, list[str]] = field(default_factory=dict)
    set_aside: dict[str, str] = field(default_factory=dict)
    unlabelled: list[str] = field(default_factory=list)
    places: Counter[str] = field(default_factory=Counter)
    overruled: int = 0
    machine: int = 0


def images_in(listing: Listing) -> Iterator[Image]:
    """Images at any depth, in the order of their names; hidden files and folders are passed over."""
    for inner, names in listing.inside.items():
        inside = listing.folder / inner
        packets = {name.lower(): name for name in names if name.lower().endswith(".xmp")}
        for path in (inside / name for name in names):
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
                beside = (packets.get(f"{whole.lower()}.xmp") for whole in (path.name, path.stem))
                yield Image(path, tuple(inside / found for found in beside if found))


def read_keywords(source: Source, reading: Reading, faults: Faults) -> Rows:
    """Read the keywords of all images below a folder as their labels.

    An image with keywords lists all its labels; one without is not labelled, and left out. Keywords in a sidecar
    come before those inside, XMP before IPTC. Images whose keywords cannot be read are set aside.

    Raises:
        DataError: no image has a keyword.
    """
    folder, found = source.folder, Findings()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata
        for image in images_in(source.listing):
            _look(image, image.file.relative_to(folder).as_posix(), found, machine=reading.machine_tags)
    if not found.keywords:
        told, todo = strangers(source.listing)
        lines = [_nothing_found(folder, found), *_reasons(found), *([f"{folder}: {told}."] if told else ())]
        raise DataError(lines, f"{todo} {TODO}".strip())
    rows = [Row(name, name, keywords) for name, keywords in found.keywords.items()]
    rows += [Row(name, name, None) for name in found.unlabelled]
    read = collect(rows, source.name or folder.name, faults)
    return replace(read, notes=tuple(_notes(found)), set_aside=tuple(found.set_aside.items()))


class Keywords(NamedTuple):
    """An image's keywords.

    Attributes:
        place: where they are, in words.
        names: the keywords.
        overruled: whether a sidecar overrules others inside the image.
        machine: whether a model wrote further ones, which do not count.
    """

    place: str
    names: list[str]
    overruled: bool = False
    machine: bool = False


def _look(image: Image, name: str, found: Findings, *, machine: bool) -> None:
    try:
        keywords = keywords_of(image, machine=machine)
    except UnreadableImageError as reason:
        found.set_aside[name] = str(reason)
        return
    found.machine += keywords.machine
    if not keywords.names:
        found.unlabelled.append(name)
        return
    found.keywords[name] = keywords.names
    found.places[keywords.place] += 1
    found.overruled += keywords.overruled


def keywords_of(image: Image, *, machine: bool = False) -> Keywords:
    """An image's keywords, those of the first sidecar that has any, or those inside it.

    Args:
        machine: whether keywords count that a model of ours wrote.

    Raises:
        UnreadableImageError: neither sidecars nor the image can be read.
    """
    beside, written = list[str](), False
    for file in image.sidecars:
        beside, wrote = _of_sidecar(file, machine=machine)
        written |= wrote
        if beside:
            break
    try:
        place, inside = _of_image(image.file)
    except UnreadableImageError:
        if not beside:
            raise
        place, inside = "", []
    if not beside:
        return Keywords(place, inside, machine=written)
    return Keywords("in sidecars", beside, bool(inside) and set(inside) != set(beside), written)


def _of_sidecar(file: Path, *, machine: bool) -> tuple[list[str], bool]:
    """Its keywords, and whether a model of ours wrote further ones, which do not count."""
    packet = packet_of(file)
    try:
        keywords, tags = (xmp_keywords(packet), []) if machine else own_keywords(packet)
    except MalformedXmpError as reason:
        raise UnreadableImageError(f"{file.name} {reason}") from reason
    return _clean(keywords), bool(tags)


def packet_of(file: Path) -> bytes:
    """What a sidecar holds.

    Raises:
        UnreadableImageError: it is no regular file, too large, or cannot be read.
    """
    try:
        if not file.is_file() or file.stat().st_size > MAX_BYTES:
            raise UnreadableImageError(f"{file.name} is not a file, or larger than {MAX_BYTES >> 20} MB")
        return file.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"{file.name} cannot be read: {error.strerror or error}") from error


def _of_image(file: Path) -> tuple[str, list[str]]:
    packets = read_packets(file)
    try:
        keywords = _clean(xmp_keywords(packets.xmp)) if packets.xmp else []
    except MalformedXmpError as reason:
        raise UnreadableImageError(f"its XMP {reason}") from reason
    if keywords:
        return "in embedded XMP", keywords
    if packets.iptc_fault:
        raise UnreadableImageError(packets.iptc_fault)
    return "in IPTC", _clean(packets.iptc)


def _clean(keywords: Sequence[str]) -> list[str]:
    """Keywords with composed accents and single spaces, each once."""
    clean = [" ".join(unicodedata.normalize("NFC", keyword).split()) for keyword in keywords]
    odd = next((keyword for keyword in clean if not is_writable(keyword)), None)
    if odd is not None:
        raise UnreadableImageError(f"its keyword {shortened(odd)} holds control characters")
    return list(dict.fromkeys(filter(None, clean)))


# --------------------------------------------------------------------------------------------- what is said


def _reasons(found: Findings) -> list[str]:
    return [f"{name}: {reason}." for name, reason in found.set_aside.items()]


def _nothing_found(folder: Path, found: Findings) -> str:
    got = f"{len(found.unlabelled)} images without a keyword and {len(found.set_aside)} that cannot be read"
    return (
        f"{folder}: expected a label file, or keywords (XMP or IPTC) in its images or in sidecars (a.xmp, a.jpg.xmp); "
        f"got {got}."
    )


def _notes(found: Findings) -> Iterator[str]:
    places = ", ".join(f"{count} {place}" for place, count in sorted(found.places.items()))
    yield f"Labels are the keywords of {len(found.keywords)} images: {places}."
    if found.unlabelled:
        yield f"{len(found.unlabelled)} images without a keyword are unlabelled and left out."
    if found.machine:
        yield (
            f"{found.machine} images have keywords that tagfit wrote, which do not count as labels: "
            "--machine-tags takes them too."
        )
    if found.overruled:
        yield f"{found.overruled} images have different keywords inside and in their sidecar. The sidecar's are used."


# ------------------------------------------------------------------------------------------------ the reader

#: images that are looked into to see whether there are keywords at all
_SAMPLE = 100


def _recognise(listing: Listing) -> Sequence[Source]:
    return [Source(KEYWORDS, listing)] if any(map(_has_keywords, islice(images_in(listing), _SAMPLE))) else []


def _has_keywords(image: Image) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata
        try:
            return bool(keywords_of(image).names)
        except UnreadableImageError:
            return False


KEYWORDS = Reader(
    "keywords",
    "keywords (XMP or IPTC) in images or their sidecars",
    read_keywords,
    of_folder=_recognise,
    options=frozenset({"machine_tags"}),
    takes_images=False,
    is_implicit=True,
)
