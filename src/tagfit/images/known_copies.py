"""Near-copies, looked for once: what was found among the same images is kept in the cache."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.images.near_copies import near_copies
from tagfit.io.cache import made_folder
from tagfit.io.files import write_atomically
from tagfit.records.data import hash_keys

log = logging.getLogger(__name__)

#: counts up when `near_copies` comes to find others
VERSION = 1


def known_near_copies(x: NDArray[np.uint8], hashes: NDArray[np.uint8]) -> tuple[NDArray[np.intp], ...]:
    """What `near_copies` finds, found anew only where no earlier run had the same images, in whatever order.

    Without a cache that can be written to, it is found every time.
    """
    keys, copy_of = np.unique(hash_keys(hashes), return_inverse=True)
    copy_of = copy_of.ravel()
    file = _file(keys.tobytes(), x.shape[1:])
    known = None if file is None else _read(file, len(keys))
    if known is None:
        found = near_copies(x, hashes)
        if file is not None:
            _write(file, [sorted(set(copy_of[rows].tolist())) for rows in found])
        return found
    members = [np.flatnonzero(np.isin(copy_of, group)) for group in known]
    return tuple(sorted(members, key=lambda rows: int(rows[0])))


def _file(content: bytes, shape: tuple[int, ...]) -> Path | None:
    """Where it is kept for these images."""
    digest = hashlib.sha256(f"near copies {VERSION} {shape} ".encode() + content).hexdigest()
    try:
        return made_folder() / f"tagfit-copies-{digest[:32]}.json"
    except (OSError, RuntimeError) as error:
        log.warning("near-copies are not kept for the next run: %s", error)
        return None


def _read(file: Path, count: int) -> list[list[int]] | None:
    """Groups of numbers below `count`; None where there is nothing usable."""
    try:
        groups = json.loads(file.read_bytes())
        usable = all(len(group) > 1 and min(group) >= 0 and max(group) < count for group in groups)
    except (OSError, ValueError, TypeError):
        return None
    return groups if usable else None


def _write(file: Path, groups: list[list[int]]) -> None:
    try:
        write_atomically(file, json.dumps(groups))
    except OSError as error:
        log.warning("near-copies are not kept for the next run: %s", error)
