"""The samples of a run's lock, kept in its folder, so that a later run can go on from it: RUN/samples.safetensors.

hashes  (N, 32) uint8, SHA-256 of each sample
labels  (N, L) int8 of 1, 0, -1 for unknown
parts   (N,) int8 index into train, val, calibrate, test
folds   (N,) int8, absent where there are none
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from tagfit.data.lock import fingerprint_of, locked_samples
from tagfit.errors import BundleError
from tagfit.records.data import EarlierRun, LockedData, LockedSamples
from tagfit.runs.record import RunRecord

SAMPLES = "samples.safetensors"


def samples_file(data: LockedData) -> bytes:
    """What a run keeps of its samples."""
    samples = locked_samples(data.dataset, data.split)
    arrays = {"hashes": samples.hashes, "labels": samples.labels_NL, "parts": samples.parts}
    if samples.folds is not None:
        arrays["folds"] = samples.folds
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def earlier_run(folder: Path, record: RunRecord) -> EarlierRun | None:
    """The samples that a run was locked to; None if an earlier version wrote its folder, which lacks them.

    Raises:
        BundleError: they are not those of its lock.
    """
    path = folder / SAMPLES
    if not path.is_file():
        return None
    try:
        arrays = safetensors.numpy.load(path.read_bytes())
        samples = LockedSamples(
            record.data.label_names, arrays["hashes"], arrays["labels"], arrays["parts"], arrays.get("folds")
        )
        same = fingerprint_of(samples, record.data.preprocessing) == record.lock
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise BundleError(f"{path}: expected what a run writes; {type(error).__name__}: {error}") from error
    if not same:
        raise BundleError(f"{path}: these are not the samples of the run's lock {record.lock[:12]}")
    return EarlierRun(folder, record.lock, samples)
