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
from typing import Annotated, BinaryIO, Literal, get_args

from msgspec import Meta

from tagfit.bundle.manifest import ListedFile
from tagfit.errors import BundleError, nearest_file
from tagfit.io.files import aside
from tagfit.io.strict_json import json_object
from tagfit.io.typed_json import from_plain

MANIFEST, MODEL_CARD = "manifest.json", "MODEL_CARD.md"
WEIGHTS, BACKBONE, SAMPLES = "model.safetensors", "backbone.safetensors", "samples.safetensors"

#: what the signatures of a part's images are called among the samples, after the name of the part
SIGNATURES = ".signatures"

#: bytes; a manifest of a thousand labels, each with steps of its own, has less
MOST_MANIFEST = 32_000_000
MOST_CARD = 4_000_000
#: of a file of tensors; a backbone of five hundred has 50,000
MOST_HEADER = 8_000_000

#: what file managers leave in any folder that somebody looks at: passed over, and never opened
LEFT_BEHIND = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.*")

StoredType = Literal["F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"]
_BYTES: Mapping[StoredType, int] = dict(zip(get_args(StoredType), (8, 4, 2, 2, 8, 4, 2, 1, 1, 1), strict=True))

_Length = Annotated[int, Meta(ge=0, lt=1 << 48, description="a whole number from 0 to 2^48")]


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the header of its file has it; the dtype is safetensors' name.

    Raises:
        ValueError: it does not take as many bytes as it has.
    """

    dtype: StoredType
    shape: Annotated[tuple[_Length, ...], Meta(max_length=8, description="a list of at most 8 lengths")]
    data_offsets: tuple[_Length, _Length]

    def __post_init__(self) -> None:
        begin, end = self.data_offsets
        if math.prod(self.shape) * _BYTES[self.dtype] != end - begin:
            raise ValueError(f"{self.dtype} of {list(self.shape)} does not take {end - begin:,} bytes")


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
    if (path / "run.json").is_file():
        raise unfinished(path)
    what = "expected a bundle (manifest.json in it) or a run folder"
    if not path.exists():
        what = f"no such folder.{nearest_file(path)}"
    raise BundleError(f"{path}: {what}", "Give what `tagfit fit` or `tagfit cure` wrote (its -o folder).")


def unfinished(run: Path) -> BundleError:
    """A run folder that has no result yet: it is still in training, or was stopped before it had one."""
    return BundleError(
        f"{run}: this run has no result yet: it is still in training, or it was ended before it had one",
        "Wait until the command that writes to it ends. If none is running, start the same command again: it "
        "continues where it stopped.",
    )


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def folder_faults(folder: Path, files: Mapping[str, ListedFile]) -> list[str]:
    """How the folder differs from what is listed, as far as that is seen without opening a file."""
    entries = {entry.name: entry for entry in os.scandir(folder)}
    faults = [f"{name!r:.60} is listed but missing" for name in files if name not in entries]
    for name, entry in sorted(entries.items()):
        if entry.is_symlink():
            faults.append(f"{name!r:.60} is a link; expected a file")
        elif not entry.is_file(follow_symlinks=False):
            faults.append(f"{name!r:.60} is not a file")
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


def read_listed(folder: Path, files: Mapping[str, ListedFile]) -> dict[str, bytes]:
    """The bytes of all files, which are those that were handed over.

    Raises:
        BundleError: with every file that cannot be read or has other bytes.
    """
    contents, faults = {}, []
    for name, entry in files.items():
        with opened(folder / name) as file:
            contents[name] = file.read(entry.size) if os.fstat(file.fileno()).st_size == entry.size else b""
        if len(contents[name]) != entry.size or sha256(contents[name]) != entry.sha256:
            faults.append(f"{folder / name}: its content has changed since it was written (size or SHA-256 differ)")
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


def stored_tensors(path: Path, size: int) -> dict[str, StoredTensor]:
    """What a file of `size` bytes says of its tensors; the tensors themselves are not read.

    Raises:
        BundleError: a header that is not one of safetensors, or that does not account for every byte.
    """
    with opened(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MOST_HEADER, size - 8):
            raise BundleError(f"{path.name}: its header cannot have {length:,} bytes")
        header = json_object(Path(path.name), file.read(length))
    try:
        tensors = from_plain(header, dict[str, StoredTensor], surplus=False)
    except BundleError as error:
        raise BundleError([f"{path.name}: {fault}" for fault in error.faults]) from None
    ends = sorted([(0, 0), *(one.data_offsets for one in tensors.values())])
    if any(first[1] != second[0] for first, second in pairwise(ends)) or ends[-1][1] != size - 8 - length:
        raise BundleError(f"{path.name}: its tensors do not lie one after the other, from the first byte to the last")
    return tensors
