"""Small images for people to look at, made of pixels alone: nothing of what a file says beside them is in there."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfit.images.decode import opened_head, shrink, upright_size
from tagfit.records.form import ImageForm

#: pixels of the longer side at most, and WebP's quality
SIDE, QUALITY = 128, 75


def thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A WebP file of (H, W, 3) uint8 pixels; what is small already stays as it is."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((SIDE, SIDE))
    return _webp(image)


def enlarged(encoded: bytes, side: int) -> bytes:
    """A WebP file of an image file, upright, at most `side` pixels long, with the proportions that it has.

    Raises:
        UnreadableImageError: it cannot be decoded.
    """
    with opened_head(io.BytesIO(encoded)) as head:
        width, height = upright_size(head)
    longer = min(side, max(width, height))
    square, _ = shrink(encoded, ImageForm(longer))
    return _webp(_proportioned(square, width / height, longer))


def upright_thumbnail(pixels: NDArray[np.uint8], file: Path) -> bytes:
    """A thumbnail of pixels that a whole image was squeezed into, with the proportions that its file has."""
    try:
        with opened_head(file) as head:
            width, height = upright_size(head)
    except Exception:  # nearly anything, on a file that was changed since
        return thumbnail(pixels)
    return _webp(_proportioned(Image.fromarray(np.ascontiguousarray(pixels)), width / height, SIDE))


def _webp(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def _proportioned(image: Image.Image, ratio: float, longer: int) -> Image.Image:
    size = (longer, max(1, round(longer / ratio))) if ratio >= 1 else (max(1, round(longer * ratio)), longer)
    return image.resize(size, Image.Resampling.BICUBIC)
