"""The networks of a bundle as the content of a Keras file, of Keras's own layers alone, held against torch first.

Keras is run in a process of its own, on torch and the CPU. Which backend it has is settled when it is first imported,
and whoever exports may want theirs: their Keras, its settings and its folder in the home are neither used nor changed.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.bundle.record import Bundle
from tagfit.bundle.write import write_bundle
from tagfit.errors import ExportError, demand_extra
from tagfit.images.workers import environment
from tagfit.inference.export.made_file import MadeFile, difference, given, samples_of, told_of
from tagfit.inference.torch_runtime import TorchNetworks
from tagfit.records.data import Array

#: the file in the archive that says what the network's scores mean; Keras leaves it alone
TOLD = "tagfit.json"

#: what that process is given, and what it leaves, in one folder
BUNDLE, SAMPLES, FILE, SCORES = "bundle", "samples.npz", "model.keras", "scores.npz"


def keras_of(bundle: Bundle, examples: Array | None = None) -> MadeFile:
    """`bundle` as a Keras file that gives its raw scores, which was loaded again and run beside torch.

    It takes images as training took them, from 0 to 255 or from 0 to 1, and gives NaN for those that cannot be it.
    What trains at random, dropout, noise and blocks left out, is in it, for further training.

    Args:
        examples: samples to compare on, images as uint8; random ones are taken as well.

    Raises:
        MissingExtraError: Keras is not installed.
        ExportError: a network with a backbone, or one whose scores would be others.
    """
    if bundle.preprocessing.backbone is not None:
        raise ExportError(
            "a bundle with a pretrained backbone cannot be written as a Keras file, because Keras lacks its layers. "
            "Write an ONNX file (--to onnx), which can hold it."
        )
    demand_extra("a Keras file", "keras")
    samples, networks = samples_of(bundle, examples), TorchNetworks(bundle, "cpu")
    content, scores = _written(bundle, [given(bundle, x) for x in samples])
    worst = max(difference(found, networks.scores(x), "Keras") for found, x in zip(scores, samples, strict=True))
    return MadeFile(_with_told(content, bundle), ("scores",), sum(map(len, samples)), worst)


def _written(bundle: Bundle, samples: Sequence[NDArray[np.generic]]) -> tuple[bytes, list[NDArray[np.float32]]]:
    """The file, and what it gives for each batch once it is loaded.

    Raises:
        ExportError: Keras does not start, or does not take the network.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_bundle(folder / BUNDLE, bundle)
        np.savez(folder / SAMPLES, *samples)
        command = (sys.executable, "-P", "-W", "ignore", "-m", "tagfit.inference.export.keras_layers", scratch)
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        # Keras computes as torch does here, and has a home that nobody misses
        env = environment(KERAS_BACKEND="torch", KERAS_HOME=scratch, KERAS_TORCH_DEVICE="cpu")
        done = subprocess.run(command, env=env, stdin=nowhere, stdout=nowhere, stderr=pipe, text=True, check=False)
        if done.returncode:
            why = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
            raise ExportError(f"Keras could not write the file: {why}")
        with np.load(folder / SCORES) as scores:
            return (folder / FILE).read_bytes(), list(scores.values())


def _with_told(content: bytes, bundle: Bundle) -> bytes:
    told = io.BytesIO(content)
    with zipfile.ZipFile(told, "a") as archive:
        archive.writestr(TOLD, json.dumps(told_of(bundle), ensure_ascii=False, allow_nan=False, indent=1))
    return told.getvalue()
