"""What is read of a bundle before anything is made of it: its manifest, and the bytes of the files that this lists.

Nothing here needs torch, so that a model which another runtime runs is opened without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagfit.delivery.run_folder import find_bundle, json_object
from tagfit.errors import BundleError
from tagfit.records import Preprocessing
from tagfit.scoring.deciding import Decider

#: 1 has neither `members` nor `decider`: one network, and yes above 0.5; 1 and 2 have no backbone
PROTOCOL = 3
READABLE = (1, 2, 3)

MANIFEST = "manifest.json"
WEIGHTS, BACKBONE, SAMPLES = "model.safetensors", "backbone.safetensors", "samples.safetensors"


@dataclass(frozen=True, eq=False)
class Audited:
    """A bundle that is what was handed over, as data.

    Attributes:
        manifest: as today's protocol has it.
        contents: the bytes of each file, which are the bytes that were hashed.
        digest: SHA-256 of the manifest, which holds those of the files: alike bundles have the same.
    """

    folder: Path
    manifest: Mapping[str, Any]
    contents: Mapping[str, bytes]
    digest: str
    preprocessing: Preprocessing
    label_names: tuple[str, ...]
    decider: Decider


def audited(path: Path) -> Audited:
    """Read and check the bundle at `path` (a bundle or a run folder).

    Raises:
        BundleError: missing or changed files, an unknown protocol, fields that are not what they should be.
    """
    folder = find_bundle(path)
    content = _content(folder / MANIFEST)
    manifest = _of_today(folder / MANIFEST, json_object(folder / MANIFEST, content))
    with usable(folder):
        preprocessing = Preprocessing.from_dict(manifest["preprocessing"])
        names = (WEIGHTS, SAMPLES) if preprocessing.backbone is None else (WEIGHTS, SAMPLES, BACKBONE)
        label_names = _checked_names(manifest["label_names"])
        return Audited(
            folder=folder,
            manifest=manifest,
            contents={name: _checked_file(folder / name, manifest["files"][name]) for name in names},
            digest=sha256(content),
            preprocessing=preprocessing,
            label_names=label_names,
            decider=Decider.from_dict(manifest["decider"], labels=len(label_names)),
        )


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Whatever a field that is not what it should be leads to becomes a BundleError."""
    try:
        yield
    except BundleError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise BundleError(f"{folder}: not a usable bundle: {type(error).__name__}: {error}") from error


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def _of_today(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    protocol = manifest.get("protocol")
    if protocol not in READABLE:
        raise BundleError(
            f"{path}: expected protocol {PROTOCOL}; got {protocol!r}", "A newer tagfit may read it: upgrade tagfit."
        )
    if protocol > 1:
        return manifest
    return {**manifest, "members": [manifest.get("recipe")], "decider": Decider().to_dict()}


def _checked_file(file: Path, entry: Mapping[str, Any]) -> bytes:
    content = _content(file)
    if len(content) != entry["size"] or sha256(content) != entry["sha256"]:
        raise BundleError(f"{file}: its content is not what was handed over (size or SHA-256 differ)")
    return content


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BundleError(f"{file}: {error.strerror}") from error


def _checked_names(names: Any) -> tuple[str, ...]:
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise BundleError(f"expected a list of label names; got {names!r}")
    if len(set(names)) < len(names):
        raise BundleError("the label names are not all different")
    return tuple(names)
