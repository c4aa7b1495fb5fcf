"""A bundle's networks in ONNX Runtime, which answers sooner than torch on a CPU and starts without it.

What it runs is made of the bundle once, by `onnx_file`, and kept in the cache; a bundle never brings it along.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tagfit
from tagfit.bundle.audit import Audited
from tagfit.images.workers import cores
from tagfit.io import cache
from tagfit.io.forks import demand_own_threads
from tagfit.records.data import Array, Preprocessing

#: of the files that are kept: raised where `onnx_file` writes other inputs or outputs, so that no older file is run
FORM = 2
#: samples at a time: the maps of many images take memory, and are no quicker to make
IMAGES_AT_ONCE, ROWS_AT_ONCE = 16, 512


class OnnxNetworks:
    """Gives scores to what goes into a bundle, on the CPU; may be used from several threads."""

    def __init__(self, content: bytes, preprocessing: Preprocessing) -> None:
        demand_own_threads()
        self._session = session_of(content)
        self._name, self._dimensions = preprocessing.input_name, 1 + len(preprocessing.taken)
        self._labels = self._session.get_outputs()[0].shape[1]
        self._at_once = IMAGES_AT_ONCE if preprocessing.takes_images else ROWS_AT_ONCE

    def takes(self, x: Array) -> bool:
        """Whether `x` goes into the file: features that a backbone has made before do not."""
        return x.ndim == self._dimensions

    def scores(self, x: Array) -> NDArray[np.float32]:
        """(n, L) float32 of n samples."""
        demand_own_threads()
        found = np.empty((len(x), self._labels), np.float32)
        for start in range(0, len(x), self._at_once):
            rows = slice(start, start + self._at_once)
            found[rows] = self._session.run(["scores"], {self._name: np.ascontiguousarray(x[rows])})[0]
        return found


def session_of(content: bytes) -> Any:
    """ONNX Runtime with the file `content`, on all cores, or as many as OMP_NUM_THREADS says.

    Its threads wait without spinning: the cores have images to decode.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def installed() -> bool:
    """Whether ONNX Runtime is there; it is not imported for that."""
    return importlib.util.find_spec("onnxruntime") is not None


def kept(bundle: Audited) -> OnnxNetworks | None:
    """The networks of `bundle` as they were made earlier; None if there are none that only this user can change."""
    with suppress(OSError, RuntimeError):
        for file in cache.cache_folder().glob(_name(bundle, "*")):
            content = cache.own_content(file)
            if content is not None and file.name == _name(bundle, _short(content)):
                return OnnxNetworks(content, bundle.manifest.preprocessing)
    return None


def keep(bundle: Audited, content: bytes) -> None:
    """Remember what was made of `bundle`, if the cache can be used."""
    cache.keep(_name(bundle, _short(content)), content)


def _name(bundle: Audited, content: str) -> str:
    """Of its file: what it is made of and with, then what it holds."""
    made_with = f"{tagfit.__version__} {FORM} {importlib.metadata.version('onnxruntime')} {bundle.digest}"
    return f"tagfit-onnx-{_short(made_with.encode())}-{content}.onnx"


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return cores()
