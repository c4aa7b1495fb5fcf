"""The files of a bundle: those that its manifest lists and no others, without links, and no longer than it says.

Sizes and headers are looked at first: a file is read whole when it is known what its tensors are for.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from tagfit.errors import BundleError
from tagfit.io.files import aside
from tagfit.io.strict_json import json_object

MANIFEST, MODEL_CARD = "manifest.json", "MODEL_CARD.md"
WEIGHTS, BACKBONE, SAMPLES = "model.safetensors", "backbone.safetensors", "samples.safetensors"

#: bytes; a manifest of a thousand labels, each with steps of its own, has less
MOST_MANIFEST = 32_000_000
MOST_CARD = 4_000_000
#: of a file of tensors; a backbone of five hundred has 50,000
MOST_HEADER = 8_000_000

#: what file managers leave in any folder that somebody looks at: passed over, and never opened
LEFT_BEHIND = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.*")

_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class Listed:
    """A file as the manifest lists it: bytes, and SHA-256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Stored:
    """A tensor as the header of its file has it; the dtype is safetensors' name, such as F32."""

    dtype: str
    shape: tuple[int, ...]


def find_bundle(path: Path) -> Path:
    """The bundle at `path`, which may be a bundle or a run folder.

    Where a process was killed while it replaced the bundle, it is the one that was put aside.

    Raises:
        BundleError: neither.
    """
    inside = path / "bundle"
    for folder in (path, inside, aside(path), aside(inside)):
        if (folder / MANIFEST).is_file():
            return folder
    what = "no such folder" if not path.exists() else "expected a bundle (manifest.json in it) or a run folder"
    raise BundleError(f"{path}: {what}", "Give what `tagfit fit` or `tagfit cure` wrote (its -o folder).")


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def listed_files(values: Any) -> dict[str, Listed]:
    """What a manifest says of its files.

    Raises:
        BundleError: with every entry that is not a size and a hash.
    """
    if not isinstance(values, dict):
        raise BundleError("files must be an object: each file's size and sha256")
    wrong = [name for name, entry in values.items() if not _is_entry(entry)]
    if wrong:
        raise BundleError([f"files: expected a size in bytes and a SHA-256 in hex of {name!r:.60}" for name in wrong])
    return {name: Listed(entry["size"], entry["sha256"]) for name, entry in values.items()}


def _is_entry(entry: Any) -> bool:
    if not (isinstance(entry, dict) and entry.keys() == {"size", "sha256"}):
        return False
    size, digest = entry["size"], entry["sha256"]
    return type(size) is int and size >= 0 and isinstance(digest, str) and is_sha256(digest)


def is_sha256(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def folder_faults(folder: Path, files: Mapping[str, Listed]) -> list[str]:
    """How the folder differs from what is listed, as far as that is seen without opening a file."""
    entries = {entry.name: entry for entry in os.scandir(folder)}
    faults = [f"{name!r:.60} is listed, but no such file is there" for name in files if name not in entries]
    for name, entry in sorted(entries.items()):
        if entry.is_symlink():
            faults.append(f"{name!r:.60} is a link; expected a file")
        elif not entry.is_file(follow_symlinks=False):
            faults.append(f"{name!r:.60} is no file")
        elif name in files:
            size = entry.stat(follow_symlinks=False).st_size
            if size != files[name].size:
                faults.append(f"{name} has {size:,} bytes; {files[name].size:,} are listed")
        elif name != MANIFEST and not LEFT_BEHIND.fullmatch(name):
            faults.append(f"{name!r:.60} is not among the files that the manifest lists")
    return faults


def read_manifest(folder: Path) -> bytes:
    """Raises BundleError: it is not there, is no file, or is longer than any manifest."""
    with opened(folder / MANIFEST) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_MANIFEST:
            raise BundleError(f"{folder / MANIFEST}: expected at most {MOST_MANIFEST:,} bytes; got {size:,}")
        return file.read(size)


def read_listed(folder: Path, files: Mapping[str, Listed]) -> dict[str, bytes]:
    """The bytes of all files, which are those that were handed over.

    Raises:
        BundleError: with every file that cannot be read or has other bytes.
    """
    contents, faults = {}, []
    for name, entry in files.items():
        with opened(folder / name) as file:
            contents[name] = file.read(entry.size) if os.fstat(file.fileno()).st_size == entry.size else b""
        if len(contents[name]) != entry.size or sha256(contents[name]) != entry.sha256:
            faults.append(f"{folder / name}: its content is not what was handed over (size or SHA-256 differ)")
    if faults:
        raise BundleError(faults)
    return contents


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file, never what a link leads to, nor a device or a pipe that would be waited for.

    Raises:
        BundleError: it cannot be opened or read.
    """
    flags = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    try:
        with open(os.open(path, os.O_RDONLY | sum(flags)), "rb") as file:  # noqa: PTH123 (it is open already)
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BundleError(f"{path}: expected a file")
            yield file
    except OSError as error:
        what = "is a link; expected a file" if path.is_symlink() else error.strerror
        raise BundleError(f"{path}: {what}") from error


def stored_tensors(path: Path, size: int) -> dict[str, Stored]:
    """What a file of `size` bytes says of its tensors; the tensors themselves are not read.

    Raises:
        BundleError: a header that is not one of safetensors, or that does not account for every byte.
    """
    with opened(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MOST_HEADER, size - 8):
            raise BundleError(f"{path.name}: its header cannot have {length:,} bytes")
        header = json_object(Path(path.name), file.read(length))
    wrong = [name for name, entry in header.items() if not _is_tensor(entry)]
    if wrong:
        raise BundleError([f"{path.name}: {name!r:.60} is not described as a tensor" for name in wrong])
    ends = sorted((0, 0) if entry is None else tuple(entry["data_offsets"]) for entry in (None, *header.values()))
    if any(first[1] != second[0] for first, second in pairwise(ends)) or ends[-1][1] != size - 8 - length:
        raise BundleError(f"{path.name}: its tensors do not lie one after the other, from the first byte to the last")
    return {name: Stored(entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()}


def _is_tensor(entry: Any) -> bool:
    if not (isinstance(entry, dict) and entry.keys() == {"dtype", "shape", "data_offsets"}):
        return False
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not (_are_counts(shape) and _are_counts(offsets) and len(offsets) == 2 and str(entry["dtype"]) in _BYTES):
        return False
    return bool(math.prod(shape) * _BYTES[entry["dtype"]] == offsets[1] - offsets[0])


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and len(values) <= 8 and all(type(n) is int and 0 <= n < 1 << 48 for n in values)
