"""From encoded bytes to pixels, safely.

Told by content, never by name; only the formats listed here are ever opened. The picture is shrunk while it is decoded.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

#: the formats that are read; no other decoder of Pillow is ever reached
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

#: a picture that claims more pixels is refused before any of them is allocated
MAX_PIXELS = 100_000_000


class UnreadablePictureError(Exception):
    """One picture cannot be used; the message is the reason, for people. Callers set the picture aside."""


def decode(encoded: bytes, size: int) -> NDArray[np.uint8]:
    """The whole picture, upright, as (size, size, 3) uint8 sRGB-like RGB; its aspect ratio is not kept.

    The original width and height leave no trace in the result: resolution must never reach a model.

    Raises:
        UnreadablePictureError: empty, not a picture of a known format, truncated, or too large.
    """
    if not encoded:
        raise UnreadablePictureError("the file is empty")
    with _readable(), Image.open(io.BytesIO(encoded), formats=FORMATS) as picture:
        _check_size(picture)
        picture.draft("RGB", (2 * size, 2 * size))
        return _small(picture, size)


def pixels(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    """What `decode` makes of a picture that is open already, which stays as it is.

    Raises:
        UnreadablePictureError: truncated or too large.
    """
    with _readable():
        _check_size(picture)
        return _small(picture, size)


@contextmanager
def _readable() -> Iterator[None]:
    """Whatever goes wrong within becomes an UnreadablePictureError."""
    try:
        yield
    except UnreadablePictureError:
        raise
    except UnidentifiedImageError:
        raise UnreadablePictureError(f"not a picture of a known format ({', '.join(FORMATS)})") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile bytes
        raise UnreadablePictureError(f"cannot be decoded: {error}") from error


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UnreadablePictureError(f"{width}x{height} pixels: more than {MAX_PIXELS:,} are refused")


def _small(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    upright = ImageOps.exif_transpose(picture)
    small = _rgb(upright).resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(small, dtype=np.uint8)


def _rgb(picture: Image.Image) -> Image.Image:
    """RGB, alpha over white, 16-bit greys scaled to 8."""
    if picture.mode == "F":
        raise UnreadablePictureError("its pixels are floating-point numbers, of which no white is known")
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        grey = np.asarray(picture, dtype=np.int64)
        picture = Image.fromarray((np.clip(grey, 0, 65535) // 257).astype(np.uint8))
    if picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")
