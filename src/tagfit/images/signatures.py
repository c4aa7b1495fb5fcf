"""A short signature of an image, by which it is known again though it was saved anew, resized, mirrored or brightened.

The signs of an image's low frequencies, as in perceptual hashes (Zauner, Implementation and benchmarking of perceptual
image hash functions, 2010): of 32 x 32 grey values the 16 x 16 lowest of the discrete cosine transform, in 32 bytes.
Mirrored, the odd frequencies across change their sign. What is cropped or turned is not known again.

Shapes: N and M images of H x W pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagfit.images.near_copies import IMAGES_AT_ONCE, shrink
from tagfit.images.registration import LUMA
from tagfit.io.memory_maps import release

#: bytes of a signature, and bits that may differ between an image and its near-copy
LENGTH, MOST_DIFFERENT = 32, 32

#: signatures with fewer bits of either kind are of images without details, which are nobody's near-copies
LEAST_DETAILED = 64

_SIDE, _KEPT = 32, 16
_ROWS_AT_ONCE, _COLUMNS_AT_ONCE = 1024, 8192

#: (16, 32) cosines of the transform
_COSINES = np.cos(np.pi * np.arange(_KEPT)[:, None] * (np.arange(_SIDE) + 0.5) / _SIDE).astype(np.float32)

#: (256,) 1, and -1 where mirroring changes the sign
_MIRRORED = np.tile(np.where(np.arange(_KEPT) % 2, -1, 1), _KEPT).astype(np.float32)


def signatures(x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, LENGTH) uint8 of (N, H, W, 3) uint8 images; `x` may be a memory map."""
    found = np.empty((len(x), LENGTH), dtype=np.uint8)
    for start in range(0, len(x), IMAGES_AT_ONCE):
        some = slice(start, start + IMAGES_AT_ONCE)
        grey = shrink(x[some], _SIDE) @ LUMA.astype(np.float32)
        frequencies = (_COSINES @ grey @ _COSINES.T).reshape(len(grey), -1)
        frequencies[:, 0] = 0  # the mean
        found[some] = np.packbits(frequencies > 1, axis=1)
        release(x)
    return found


def known_again(here: NDArray[np.uint8], known: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) which of the (N, LENGTH) signatures are those of a near-copy of one of the (M, LENGTH) known ones."""
    found = np.zeros(len(here), dtype=np.bool_)
    for start in range(0, len(here), _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        signs = _signs(here[some])
        for first in range(0, len(known), _COLUMNS_AT_ONCE):
            others = _signs(known[first : first + _COLUMNS_AT_ONCE]).T
            agreement = np.maximum(signs @ others, (signs * _MIRRORED) @ others).max(axis=1)
            found[some] |= agreement >= 8 * LENGTH - 2 * MOST_DIFFERENT
    return found & _detailed(here)


def _signs(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 256) -1 and 1."""
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def _detailed(packed: NDArray[np.uint8]) -> NDArray[np.bool_]:
    ones = np.unpackbits(packed, axis=1).sum(axis=1)
    detailed: NDArray[np.bool_] = (ones >= LEAST_DETAILED) & (ones <= 8 * LENGTH - LEAST_DETAILED)
    return detailed
