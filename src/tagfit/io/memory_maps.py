"""Arrays that lie in files, mapped into memory."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray


def release(x: NDArray[np.generic]) -> None:
    """Tell the system that the pages of a memory map need not stay in memory; other arrays stay as they are.

    What is read of it later is read from its file again, or from the system's cache of that file.
    """
    owner, base = x, x.base
    while isinstance(base, np.ndarray):
        owner, base = base, base.base
    shared = isinstance(owner, np.memmap) and owner.mode != "c"  # a private map would lose what was written
    if shared and isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
