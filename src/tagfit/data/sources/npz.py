"""Arrays in a .npz file: read without pickle, and no more than the file says and memory holds."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from tagfit.data.sources.arrays import Block, array_table, blocks_of, is_array_key, names_in
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.reader import LabelFile, Reader, Source
from tagfit.data.sources.reading import Reading
from tagfit.errors import DataError
from tagfit.io.free_memory import memory_fault
from tagfit.records.data import LabelTable

#: bytes that are needed for one of an array: beside it there are its form as float32, and what looks at its values
_WORK = 2

#: deflate cannot compress better than this, so a member that claims more lies
_MOST_COMPRESSED = 1032

#: rows of no bytes at all are some lines of a file and any number of names
_MOST_OF_NOTHING = 1 << 20

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path, faults: Faults) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The arrays whose names are known, and the names of the others, which are not loaded.

    Raises:
        DataError: not an archive of arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.name)
            wanted = {name: member for name, member in members.items() if is_array_key(name)}
            _check_sizes(list(wanted.values()), path, faults)
            loaded = {name: _load(archive, member, f"{path.name}: {name}", faults) for name, member in wanted.items()}
    except DataError:
        raise
    except Exception as error:  # readers of archives raise nearly anything on hostile bytes
        raise DataError(f"{path.name}: the archive is damaged: {error}.") from error
    arrays = {name: array for name, array in loaded.items() if array is not None}
    return arrays, [name for name in members if name not in wanted]


def _members(archive: zipfile.ZipFile, source: str) -> dict[str, zipfile.ZipInfo]:
    infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    if not infos:
        raise DataError(
            f"{source}: a zip archive without arrays (.npy); is it a spreadsheet or packed images?",
            "Save a spreadsheet as CSV (UTF-8), unpack images, save arrays with np.savez('data.npz', X=X, y=y).",
        )
    twice = [name for name, count in Counter(info.filename for info in infos).items() if count > 1]
    if twice:
        raise DataError(f"{source}: holds {', '.join(twice)} more than once.")
    return {info.filename.removesuffix(".npy"): info for info in infos}


def _check_sizes(members: Sequence[zipfile.ZipInfo], path: Path, faults: Faults) -> None:
    whole, source = path.stat().st_size, path.name
    for info in members:
        if info.file_size > _MOST_COMPRESSED * (min(info.compress_size, whole) + 64):
            faults.add(f"{source}: {info.filename} claims {info.file_size} bytes, more than its data can hold.")
    total = sum(info.file_size for info in members)
    if fault := memory_fault(_WORK * total, f"{source}: what it unpacks to, with a copy,"):
        faults.add(f"{fault}.")
    faults.check()


def _load(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: str, faults: Faults) -> NDArray[Any] | None:
    """One array, or None after a fault; its header is checked before memory is taken for what it claims."""
    try:
        with archive.open(info) as member:
            complaint = _refuse_header(member, info)
        if not complaint:
            with archive.open(info) as member:
                array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
                return array
    except MemoryError:
        complaint = f"takes {info.file_size} bytes, more memory than there is."
    except Exception as error:  # as above; NumPy parses headers as Python
        complaint = f"is damaged: {error}."
    faults.add(f"{place} {complaint}")
    return None


def _refuse_header(member: IO[bytes], info: zipfile.ZipInfo) -> str:
    """What speaks against an array by its header; nothing, if it can be read."""
    version = npy.read_magic(member)
    if version not in _HEADERS:
        return f"has an array header of version {version[0]}.{version[1]}, which plain arrays never have."
    shape, _, dtype = _HEADERS[version](member)
    if dtype.hasobject:
        return (
            "holds Python objects, which need pickle and are never loaded. "
            "Convert it: np.array(values, dtype=float), or dtype=str for names."
        )
    size = dtype.itemsize * math.prod(shape)
    if not size and math.prod(shape[:1]) > _MOST_OF_NOTHING:
        return f"claims shape {shape} of {dtype}, which holds no values."
    if member.tell() + size != info.file_size:
        return f"claims shape {shape} of {dtype}, {size} bytes; its data is {info.file_size - member.tell()} bytes."
    return ""


# ------------------------------------------------------------------------------------------------ the reader


def _read(source: Source, reading: Reading, faults: Faults) -> LabelTable:
    blocks: list[Block] = []
    names, notes = {}, []
    for file in source.files:
        arrays, others = read_npz(file.path, faults)
        notes += [f"Arrays of {file.name} that are not read: {', '.join(others)}."] if others else []
        faults.check()  # an array that could not be loaded would look like one that is not there
        names[file.name] = names_in(arrays.pop("label_names", None), file.name, faults)
        blocks += _blocks(file, blocks_of(arrays, file.name, faults, others), faults)
    if len(set(names.values())) > 1:
        faults.add(f"{' and '.join(names)} have different label_names.", "Give all of them the same, or none.")
    if not blocks:
        faults.check()
    label_names = reading.names or next(iter(names.values()))
    table = array_table(blocks, source.name, names=label_names, minus_one=reading.minus_one, faults=faults)
    return replace(table, notes=(*notes, *table.notes))


def _blocks(file: LabelFile, found: Sequence[Block], faults: Faults) -> Sequence[Block]:
    if file.part is None:
        return found
    if any(block.part is not None for block in found):
        faults.add(f"{file.name}: is the {file.part} part by its name, but holds parts of a split itself.")
    return [
        replace(block, part=file.part, x_name=f"{file.name}: {block.x_name}", y_name=f"{file.name}: {block.y_name}")
        for block in found
    ]


def _recognise(head: Head, listing: Listing) -> bool:
    """A zip archive of arrays, or one that is too damaged to tell."""
    is_zip = head.raw.startswith((b"PK\x03\x04", b"PK\x05\x06"))
    return is_zip and (not head.members or any(name.endswith(".npy") for name in head.members))


NPZ = Reader(
    "npz",
    "NumPy arrays (.npz)",
    _read,
    of_file=_recognise,
    options=frozenset(("label_names", "minus_one")),
    takes_images=False,
)
