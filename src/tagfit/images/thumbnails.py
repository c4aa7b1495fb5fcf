"""Small images for people to look at, made of pixels alone: nothing of what a file says beside them is in there."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: pixels of the longer side at most, and WebP's quality
SIDE, QUALITY = 128, 75


def thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A WebP file of (H, W, 3) uint8 pixels; what is small already stays as it is."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()
