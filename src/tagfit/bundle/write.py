"""A bundle is written: a folder of data that appears whole or not at all.

MODEL_CARD.md         what a person should know of it before it is used
manifest.json         protocol, recipe, preprocessing, label names, what decides, scores, lock; hashes of the files
model.safetensors     the delivered weights, of all members if it is an ensemble
backbone.safetensors  the weights of the pretrained backbone, if there is one; its config is in the preprocessing
samples.safetensors   SHA-256 of every sample by part, and a signature of its image, so that what was trained on is
                      recognised later
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

import tagfit
from tagfit.bundle.files import BACKBONE, MANIFEST, MODEL_CARD, MOST_MANIFEST, SAMPLES, SIGNATURES, WEIGHTS, sha256
from tagfit.bundle.manifest import ListedFile, Manifest
from tagfit.bundle.protocols import PROTOCOL
from tagfit.bundle.record import Bundle
from tagfit.bundle.weights import weights_of
from tagfit.errors import OutputError
from tagfit.io.files import write_folder
from tagfit.io.typed_json import to_plain
from tagfit.records.data import Array


def write_bundle(path: Path, bundle: Bundle, card: str | None = None) -> None:
    """Write `bundle` to the folder `path`, which appears whole or not at all.

    Args:
        card: the text of MODEL_CARD.md.

    Raises:
        OutputError: its manifest would be longer than is read again.
    """
    files = {WEIGHTS: _safetensors(weights_of(bundle.network)), SAMPLES: _safetensors(_samples(bundle))}
    if bundle.pretrained is not None:
        files[BACKBONE] = _safetensors(weights_of(bundle.pretrained.network))
    if card is not None:
        files[MODEL_CARD] = card.encode()
    listed = {name: ListedFile(len(content), sha256(content)) for name, content in files.items()}
    manifest = Manifest(**bundle.described, protocol=PROTOCOL, tagfit=tagfit.__version__, files=listed)
    values = {"protocol": PROTOCOL, **to_plain(manifest)}  # what a reader looks at first
    files[MANIFEST] = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False).encode()
    if len(files[MANIFEST]) > MOST_MANIFEST:
        raise OutputError(
            f"{path}: expected a manifest of at most {MOST_MANIFEST:,} bytes; got {len(files[MANIFEST]):,}"
        )
    write_folder(path, files)


def _samples(bundle: Bundle) -> Mapping[str, Array]:
    return {**bundle.trained_on, **{part + SIGNATURES: rows for part, rows in bundle.signatures.items()}}


def _safetensors(arrays: Mapping[str, Array]) -> bytes:
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})
