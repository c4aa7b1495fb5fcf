"""Arrays that lie in files, mapped into memory."""

from __future__ import annotations

import mmap
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray


def release(x: NDArray[Any]) -> None:
    """Tell the system that the pages of a memory map need not stay in memory; other arrays stay as they are.

    What is read of it later is read from its file again, or from the system's cache of that file.
    """
    owner: Any = x
    while isinstance(owner, np.ndarray) and not isinstance(owner.base, mmap.mmap):
        owner = owner.base
    # of a private map ("c") it would lose what was written
    if isinstance(owner, np.memmap) and owner.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        cast(mmap.mmap, owner.base).madvise(mmap.MADV_DONTNEED)
