"""What is read of a bundle before anything is made of it: its manifest, and the headers of the files that this lists.

Nothing here needs torch, so that a model which another runtime runs is opened without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagfit.bundle.files import (
    BACKBONE,
    MANIFEST,
    MODEL_CARD,
    MOST_CARD,
    SAMPLES,
    SIGNATURES,
    WEIGHTS,
    StoredTensor,
    find_bundle,
    folder_faults,
    read_listed,
    read_manifest,
    sha256,
    stored_tensors,
)
from tagfit.bundle.manifest import ListedFile, Manifest
from tagfit.bundle.protocols import upgraded
from tagfit.errors import BundleError, InputError
from tagfit.io.strict_json import json_object
from tagfit.io.typed_json import from_plain
from tagfit.records.data import PARTS

#: characters of a fault that quotes what a stranger wrote
_QUOTED = 400


@dataclass(frozen=True, eq=False)
class Audited:
    """A bundle, as data: everything but the values of its tensors, which `contents` reads.

    Attributes:
        digest: SHA-256 of the manifest as it lies there, which holds those of the files: alike bundles have the same.
        tensors: of each file of tensors, their names, dtypes and shapes.
    """

    folder: Path
    digest: str
    manifest: Manifest
    tensors: Mapping[str, Mapping[str, StoredTensor]]

    def contents(self) -> dict[str, bytes]:
        """The bytes of each file, which are the bytes that were hashed.

        Raises:
            BundleError: files that cannot be read, or that have changed.
        """
        return read_listed(self.folder, self.manifest.files)


def audited(path: Path) -> Audited:
    """Read and check the bundle at `path` (a bundle or a run folder).

    Raises:
        BundleError: missing, surplus or linked files, sizes and headers that lie, an unknown protocol, fields that are
            not what they should be; all of them named.
    """
    folder = find_bundle(path)
    content = read_manifest(folder)
    manifest = _manifest(folder, json_object(folder / MANIFEST, content))
    faults = folder_faults(folder, manifest.files)
    faults += _name_faults(manifest.files, backbone=manifest.preprocessing.backbone is not None)
    refuse(folder, faults)
    tensors: dict[str, Mapping[str, StoredTensor]] = {}
    for name in sorted(manifest.files.keys() & {WEIGHTS, SAMPLES, BACKBONE}):
        with gathered(faults):
            tensors[name] = stored_tensors(folder / name, manifest.files[name].size)
    refuse(folder, [*faults, *_sample_faults(tensors.get(SAMPLES, {}))])
    return Audited(folder, sha256(content), manifest, tensors)


def _manifest(folder: Path, values: dict[str, Any]) -> Manifest:
    try:
        return from_plain(upgraded(values), Manifest, surplus=False)
    except BundleError as error:
        raise _refusal(folder, [*error.faults, *_listed_faults(folder, values.get("files"))], error.todo) from None


def _listed_faults(folder: Path, files: object) -> list[str]:
    """What is wrong with the folder as well, if the manifest says what should be in it."""
    try:
        return folder_faults(folder, from_plain(files, dict[str, ListedFile], surplus=False))
    except BundleError:
        return []


@contextmanager
def gathered(faults: list[str]) -> Iterator[None]:
    """Whatever a field that is not what it should be leads to joins `faults`."""
    try:
        yield
    except InputError as error:
        faults += error.faults
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError, AssertionError) as error:
        faults.append(f"not a usable bundle: {type(error).__name__}: {error}")


def refuse(folder: Path, faults: Sequence[str]) -> None:
    """Raises BundleError if there are faults."""
    if faults:
        raise _refusal(folder, faults)


def _refusal(folder: Path, faults: Sequence[str], todo: str = "") -> BundleError:
    named = [fault if str(folder) in fault else f"{folder}: {fault}" for fault in faults]
    return BundleError([one if len(one) <= _QUOTED else f"{one[:_QUOTED]}…" for one in named], todo)


def _name_faults(files: Mapping[str, ListedFile], *, backbone: bool) -> list[str]:
    """Which files are listed that a bundle does not have, or not listed that it has."""
    needed = {WEIGHTS, SAMPLES, *((BACKBONE,) if backbone else ())}
    faults = [f"files: {name} is not listed" for name in sorted(needed - files.keys())]
    faults += [f"files: a bundle of this kind has no {name!r:.60}" for name in files.keys() - needed - {MODEL_CARD}]
    if MODEL_CARD in files and files[MODEL_CARD].size > MOST_CARD:
        faults.append(f"files: {MODEL_CARD} may have {MOST_CARD:,} bytes; got {files[MODEL_CARD].size:,}")
    return faults


def _sample_faults(tensors: Mapping[str, StoredTensor]) -> list[str]:
    return [
        f"{SAMPLES}: expected SHA-256 or signatures of the samples of a part; got {name!r:.60}, {one.dtype} of "
        f"{list(one.shape)}"
        for name, one in tensors.items()
        if name.removesuffix(SIGNATURES) not in PARTS or one.dtype != "U8" or len(one.shape) != 2 or one.shape[1] != 32
    ]
