"""Labels written into the XMP sidecars of images, never into the images."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tagfit.data.sources.keywords import Image, keywords_of
from tagfit.images.decode import IMAGE_SUFFIXES, UnreadableImageError
from tagfit.images.xmp import MalformedXmpError, xmp_keywords
from tagfit.inference.rows import PredictedRow
from tagfit.inference.xmp_edit import new_packet, with_keywords
from tagfit.io.files import whole_file

Refused = Callable[[str], None]


@dataclass(frozen=True)
class Change:
    """What a sidecar becomes.

    Attributes:
        file: the sidecar.
        added: the keywords that its `dc:subject` has not had, the image's own among them.
        packet: its new content.
        is_new: whether there is none so far.
    """

    file: Path
    added: tuple[str, ...]
    packet: bytes
    is_new: bool


def with_sidecars(rows: Iterable[PredictedRow], refused: Refused) -> Iterator[PredictedRow]:
    """The same rows, each once its labels are in a sidecar; `refused` is told which sidecars stay as they are."""
    for row in rows:
        if change := _change(row, refused):
            try:
                _write(change)
            except OSError as error:
                refused(f"{change.file}: cannot be written: {error.strerror or error}")
        yield row


def planned(row: PredictedRow, refused: Refused) -> str:
    """What would be added to which sidecar, as a line; nothing where nothing would."""
    change = _change(row, refused)
    return "" if change is None else f"{change.file}{' (new)' if change.is_new else ''}: + {', '.join(change.added)}"


def _change(row: PredictedRow, refused: Refused) -> Change | None:
    if not row.labels:
        return None
    image = Path(row.sample)
    try:
        return _planned(image, row.labels)
    except (MalformedXmpError, UnreadableImageError) as reason:
        refused(f"{image}: {reason}")
    except OSError as error:
        refused(f"{image}: its sidecar cannot be read: {error.strerror or error}")
    return None


def _planned(image: Path, labels: tuple[str, ...]) -> Change | None:
    beside = _beside(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata
        _, keywords, _ = keywords_of(Image(image, beside))
    # the sidecar that readers look at: the first with keywords
    packets = [(file, file.read_bytes()) for file in beside]
    file, packet = next((one for one in packets if xmp_keywords(one[1])), packets[0] if packets else (None, b""))
    wanted = list(dict.fromkeys([*keywords, *labels]))
    if file is None:
        return Change(_new_name(image), tuple(wanted), new_packet(wanted), True)
    if set(labels) <= set(keywords):
        return None
    plain = {" ".join(keyword.split()) for keyword in xmp_keywords(packet, plain_only=True)}
    added = [keyword for keyword in wanted if keyword not in plain]
    try:
        return Change(file, tuple(added), with_keywords(packet, added), False)
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
    with whole_file(file) as stream:
        stream.write(change.packet)
        if not change.is_new:
            shutil.copymode(file, stream.name)
