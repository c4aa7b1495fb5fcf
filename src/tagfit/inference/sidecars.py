"""Labels written into the XMP sidecars of images, never into the images."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tagfit.data.sources.keywords import Image, keywords_of, packet_of
from tagfit.images.decode import IMAGE_SUFFIXES, UnreadableImageError
from tagfit.images.xmp import MachineTag, MalformedXmpError, machine_tags, xmp_keywords
from tagfit.inference.rows import PredictedRow
from tagfit.inference.xmp_edit import new_packet, with_keywords, without_machine_tags
from tagfit.io.files import whole_file

Refused = Callable[[str], None]
Made = TypeVar("Made")


@dataclass(frozen=True)
class Change:
    """What a sidecar becomes.

    Attributes:
        file: the sidecar.
        keywords: those that its `dc:subject` has not had, the image's own among them; or those that are taken back.
        packet: its new content; None where it goes.
        is_new: whether there is none so far.
    """

    file: Path
    keywords: tuple[str, ...]
    packet: bytes | None
    is_new: bool = False

    def line(self, sign: str) -> str:
        return f"{self.file}{' (new)' if self.is_new else ''}: {sign} {', '.join(self.keywords)}"


@dataclass
class SidecarCounts:
    """How many sidecars were changed, by how many keywords, and how many images were given no label."""

    sidecars: int = 0
    keywords: int = 0
    without_label: int = 0

    def line(self, done: str) -> str:
        text = f"{self.keywords:,} keywords {done} {self.sidecars:,} sidecars"
        return text + (f"; {self.without_label:,} images without a label" if self.without_label else "")


@dataclass(frozen=True)
class SidecarWriter:
    """Writes the labels of rows into sidecars, marked as a model's.

    Attributes:
        model: what the mark says of the model.
        when: ISO 8601, in UTC.
        refused: told which sidecars stay as they are, and why.
        least: labels with a lower score are not written.
        only_unlabelled: whether images with a keyword are left alone.
    """

    model: str
    when: str
    refused: Refused
    least: float = 0.0
    only_unlabelled: bool = False
    counts: SidecarCounts = field(default_factory=SidecarCounts)

    def written(self, rows: Iterable[PredictedRow]) -> Iterator[PredictedRow]:
        """The same rows, each once its labels are in a sidecar."""
        for row in rows:
            _apply(self._change(row), self.counts, self.refused)
            yield row

    def planned(self, row: PredictedRow) -> str:
        """What would be added to which sidecar, as a line; nothing where nothing would."""
        change = self._change(row)
        return "" if change is None else change.line("+")

    def _change(self, row: PredictedRow) -> Change | None:
        labels = tuple(label for label in row.labels if row.scores[label] >= self.least)
        if not labels:
            self.counts.without_label += not row.error
            return None
        return _or_refused(Path(row.sample), lambda image: self._for(image, labels), self.refused)

    def _for(self, image: Path, labels: tuple[str, ...]) -> Change | None:
        beside = _beside(image)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata
            keywords = keywords_of(Image(image, beside), machine=True).names
        if keywords and self.only_unlabelled:
            return None
        # the sidecar that readers look at: the first with keywords
        packets = [(file, file.read_bytes()) for file in beside]
        file, packet = next((one for one in packets if xmp_keywords(one[1])), packets[0] if packets else (None, b""))
        tags = [MachineTag(label, self.model, self.when) for label in labels if label not in keywords]
        wanted = list(dict.fromkeys([*keywords, *labels]))
        if file is None:
            return Change(_new_name(image), tuple(wanted), new_packet(wanted, tags), True)
        if not tags:
            return None
        plain = {" ".join(keyword.split()) for keyword in xmp_keywords(packet, plain_only=True)}
        added = [keyword for keyword in wanted if keyword not in plain]
        return Change(file, tuple(added), _named(file, lambda: with_keywords(packet, added, tags)))


def take_back(images: Iterable[Path], refused: Refused, *, dry: bool) -> Iterator[str | SidecarCounts]:
    """Take the keywords back that models wrote; a line for each sidecar, then how many.

    A sidecar goes that was made for them, and holds nothing else than the image itself does.

    Args:
        dry: whether nothing is to be written.
    """
    counts = SidecarCounts()
    for image in images:
        for sidecar in _beside(image):
            change = _or_refused(image, lambda image, sidecar=sidecar: _without(image, sidecar), refused)  # type: ignore[misc]
            if change is not None:
                yield change.line("-")
                _apply(None if dry else change, counts, refused)
    yield counts


def _without(image: Path, sidecar: Path) -> Change | None:
    packet = packet_of(sidecar)
    tags = _named(sidecar, lambda: machine_tags(packet))
    if not tags:
        return None
    left = _named(sidecar, lambda: without_machine_tags(packet))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        inside = keywords_of(Image(image, ())).names
    made_by_us = left in (new_packet(inside), new_packet(()))
    return Change(sidecar, tuple(tag.keyword for tag in tags), None if made_by_us else left)


def _apply(change: Change | None, counts: SidecarCounts, refused: Refused) -> None:
    if change is None:
        return
    try:
        _write(change)
    except OSError as error:
        refused(f"{change.file}: cannot be written: {error.strerror or error}")
    else:
        counts.sidecars += 1
        counts.keywords += len(change.keywords)


def _or_refused(image: Path, plan: Callable[[Path], Change | None], refused: Refused) -> Change | None:
    try:
        return plan(image)
    except (MalformedXmpError, UnreadableImageError) as reason:
        refused(f"{image}: {reason}")
    except OSError as error:
        refused(f"{image}: its sidecar cannot be read: {error.strerror or error}")
    return None


def _named(file: Path, edit: Callable[[], Made]) -> Made:
    try:
        return edit()
    except MalformedXmpError as reason:
        raise MalformedXmpError(f"{file.name} {reason}") from reason


def _beside(image: Path) -> tuple[Path, ...]:
    """The sidecars that are there, the one that names the image in full first."""
    names = (f"{whole}{suffix}" for whole in (image.name, image.stem) for suffix in (".xmp", ".XMP"))
    return tuple(file for file in map(image.with_name, names) if file.is_file())


def _new_name(image: Path) -> Path:
    """Lightroom's form, but where another image would share it. No folder is listed: it may be large."""
    suffixes = {*IMAGE_SUFFIXES, *map(str.upper, IMAGE_SUFFIXES)} - {image.suffix}
    shared = any(other.exists() and not other.samefile(image) for other in map(image.with_suffix, suffixes))
    return image.with_name(f"{image.name}.xmp") if shared else image.with_suffix(".xmp")


def _write(change: Change) -> None:
    """A link leads to the sidecar that is meant."""
    file = change.file.resolve()
    if change.packet is None:
        file.unlink()
        return
    with whole_file(file) as stream:
        stream.write(change.packet)
        if not change.is_new:
            shutil.copymode(file, stream.name)
