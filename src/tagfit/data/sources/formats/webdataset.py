"""WebDataset: tars in which files of one name and several endings are a sample: `0001.jpg`, `0001.json`, `0001.cls`.

They are read in place. JSON is a row of a table, `.cls` class numbers, and `.txt` tags with commas between.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from tagfit.data.sources.columns import IMAGE_NAMES
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.listing import Head
from tagfit.data.sources.tabular import MOST_BYTES, Record, records_reader
from tagfit.data.sources.task import Task
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES

_LABELS = (".json", ".cls", ".txt")
#: so many files of an archive tell whether it is of this kind
_SAMPLE = 20


def _members(path: Path, name: str) -> Iterator[tuple[str, str, tarfile.TarFile, tarfile.TarInfo]]:
    """The key and the ending of each image and each file of labels in an archive."""
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                folder, sign, base = member.name.rpartition("/")
                stem, dot, ending = base.partition(".")
                if member.isreg() and f"{dot}{ending.lower()}".endswith((*IMAGE_SUFFIXES, *_LABELS)):
                    yield f"{folder}{sign}{stem}", f"{dot}{ending.lower()}", archive, member
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{name}: cannot be read as a tar archive: {error}.", "Is it incomplete? Copy it again."
        ) from error


def _is_meant(head: Head) -> bool:
    if head.raw[257:262] != b"ustar":
        return False
    try:
        endings = [ending for _, ending, *_ in islice(_members(head.path, head.name), _SAMPLE)]
    except DataError:
        return False
    return any(map(_is_image, endings)) and not all(map(_is_image, endings))


def _is_image(ending: str) -> bool:
    return ending.endswith(IMAGE_SUFFIXES)


def _records(task: Task) -> list[Record]:
    size = task.file.path.stat().st_size
    if size * len(task.source.files) > MOST_BYTES:
        todo = "Unpack them, and name the folder."
        raise DataError(f"{task.source.title}: hold more than memory can take.", todo)
    images: dict[str, tuple[str, bytes]] = {}
    labels: dict[str, dict[str, object]] = {}
    for key, ending, archive, member in _members(task.file.path, task.name):
        held = archive.extractfile(member) if 0 <= member.size <= size and not member.issparse() else None
        content = held.read() if held is not None else b""
        if _is_image(ending):
            images.setdefault(key, (member.name, content))
        else:
            labels.setdefault(key, {}).update(_labels(ending, content, f"{task.name}: {member.name}", task.faults))
    return [
        Record(f"{task.name}: {name}", {"image": name, **labels.get(key, {})}, content)
        for key, (name, content) in images.items()
    ]


def _labels(ending: str, content: bytes, place: str, faults: Faults) -> Mapping[str, object]:
    try:
        text = content.decode("utf-8").strip()
        value = list(filter(None, map(str.strip, text.split(",")))) if ending.endswith(".txt") else json.loads(text)
    except (ValueError, RecursionError) as error:
        faults.add(f"{place}: cannot be read: {str(error)[:100]}.")
        return {}
    if isinstance(value, dict):
        return {key.strip(): one for key, one in value.items() if key.strip().lower() not in IMAGE_NAMES}
    return {"labels": [value] if isinstance(value, int) else value}


WEBDATASET = records_reader("webdataset", "WebDataset's tars", _is_meant, _records, are_shards=True)
