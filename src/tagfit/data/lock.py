"""The lock: one fingerprint of the samples, their labels, the split and the preprocessing.

It does not depend on file order, file names, folder or machine. Two runs with the same lock saw the same data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tagfit.errors import LockChangedError
from tagfit.io.memory_maps import release
from tagfit.records.data import Array, Dataset, LockedData, LockedSamples, Preprocessing, Split, hash_keys


def lock(dataset: Dataset, split: Split) -> LockedData:
    """Fix data, split and preprocessing for every run that follows."""
    return LockedData(dataset, split, fingerprint(dataset, split), _content(dataset.x))


def fingerprint(dataset: Dataset, split: Split) -> str:
    """SHA-256, in hex, over the preprocessing, the label names and the sorted rows of (sample hash, part, labels).

    Where there are folds, a row has its fold as well.
    """
    return fingerprint_of(locked_samples(dataset, split), dataset.preprocessing)


def fingerprint_of(samples: LockedSamples, preprocessing: Preprocessing) -> str:
    """As `fingerprint`, from what a run keeps of its samples."""
    head = {"lock": 1, "preprocessing": preprocessing.identity(), "label_names": list(samples.label_names)}
    digest = hashlib.sha256(json.dumps(head, sort_keys=True, ensure_ascii=False).encode())
    digest.update(_sorted_rows(samples).tobytes())
    return digest.hexdigest()


def locked_samples(dataset: Dataset, split: Split) -> LockedSamples:
    """What the lock covers of each sample."""
    return LockedSamples(dataset.label_names, dataset.hashes, dataset.labels_NL, split.parts, split.folds)


def verify(data: LockedData) -> None:
    """Compute the fingerprints again from what is in memory now.

    Raises:
        LockChangedError: something under the lock changed.
    """
    now = fingerprint(data.dataset, data.split)
    if now != data.lock:
        raise LockChangedError(
            f"the labels, the split or the preprocessing changed during the run: it was locked to {data.lock[:12]}, "
            f"and is {now[:12]} now"
        )
    if _content(data.dataset.x) != data.content:
        raise LockChangedError("the samples changed in memory during the run: no score of it can be trusted")


def hash_rows(x: NDArray[np.generic]) -> NDArray[np.uint8]:
    """(N, 32) uint8: SHA-256 of each row's dtype, shape and little-endian bytes."""
    head = f"{x.dtype.name} {x.shape[1:]}".encode()
    hashes = np.empty((len(x), 32), dtype=np.uint8)
    for start, rows in _in_chunks(x):
        raw = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<")).tobytes()
        step = len(raw) // len(rows)
        digests = (hashlib.sha256(head + raw[at : at + step]).digest() for at in range(0, len(rows) * step, step))
        hashes[start : start + len(rows)] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
    return hashes


def copies_among(hashes: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) which of the (N, 32) hashes are among the (M, 32) others."""
    return np.isin(hash_keys(hashes), hash_keys(others))


def _content(x: NDArray[np.generic]) -> str:
    digest = hashlib.sha256(f"{x.dtype.str} {x.shape}".encode())
    for _, rows in _in_chunks(x):
        digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()


def _in_chunks(x: Array) -> Iterator[tuple[int, Array]]:
    """First row numbers and rows, some at a time; of a memory map no more than these stay in memory."""
    for start in range(0, len(x), 2048):
        yield start, np.asarray(x[start : start + 2048])
        release(x)


def _sorted_rows(samples: LockedSamples) -> NDArray[np.void]:
    dealt = [column for column in (samples.parts, samples.folds) if column is not None]
    columns = [*(column[:, None] for column in dealt), np.ascontiguousarray(samples.labels_NL)]
    rows = np.concatenate([samples.hashes, *(column.view(np.uint8) for column in columns)], axis=1)
    return np.sort(np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").ravel(), kind="stable")
