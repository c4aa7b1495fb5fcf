"""Near-copies, looked for once: what was found among the same images is kept in the cache."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from tagfit.images.near_copies import near_copies
from tagfit.io.cache import keep, kept
from tagfit.records.data import hash_keys

#: counts up when `near_copies` comes to find others
VERSION = 1


def known_near_copies(x: NDArray[np.uint8], hashes: NDArray[np.uint8]) -> tuple[NDArray[np.intp], ...]:
    """What `near_copies` finds, found anew only if no earlier run had the same images, in whatever order.

    Without a cache that can be written to, it is found every time.
    """
    keys, copy_of = np.unique(hash_keys(hashes), return_inverse=True)
    copy_of = copy_of.ravel()
    digest = hashlib.sha256(f"near copies {VERSION} {x.shape[1:]} ".encode() + keys.tobytes()).hexdigest()
    name = f"tagfit-copies-{digest[:32]}.json"
    known = _groups(kept(name), len(keys))
    if known is None:
        found = near_copies(x, hashes)
        keep(name, json.dumps([sorted(set(copy_of[rows].tolist())) for rows in found]))
        return found
    members = [np.flatnonzero(np.isin(copy_of, group)) for group in known]
    return tuple(sorted(members, key=lambda rows: int(rows[0])))


def _groups(content: bytes | None, count: int) -> list[list[int]] | None:
    """Groups of numbers below `count`; None if there is nothing usable."""
    try:
        groups = json.loads(content or b"")
        usable = all(len(group) > 1 and min(group) >= 0 and max(group) < count for group in groups)
    except (ValueError, TypeError):
        return None
    return groups if usable else None
