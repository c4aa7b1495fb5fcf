"""From encoded bytes to pixels, safely.

Told by content, never by name; only the formats listed here are ever opened. The picture is shrunk while it is decoded.
"""

from __future__ import annotations

import io
import warnings

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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; pixels or an error are all that counts
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as picture:
                return pixels(picture, size)
    except UnreadablePictureError:
        raise
    except UnidentifiedImageError:
        raise UnreadablePictureError(f"not a picture of a known format ({', '.join(FORMATS)})") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile bytes
        raise UnreadablePictureError(f"cannot be decoded: {type(error).__name__}: {error}") from error


def pixels(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    """What `decode` makes of an opened picture.

    Raises:
        UnreadablePictureError: too large.
    """
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UnreadablePictureError(f"{width}x{height} pixels: more than {MAX_PIXELS:,} are refused")
    picture.draft("RGB", (2 * size, 2 * size))
    upright = ImageOps.exif_transpose(picture)
    small = _rgb(upright).resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(small, dtype=np.uint8)


def _rgb(picture: Image.Image) -> Image.Image:
    """RGB, alpha over white, 16-bit greys scaled to 8."""
    if picture.mode.startswith("I;16") or picture.mode in {"I", "F"}:
        grey = np.asarray(picture, dtype=np.float64)
        scale = 255.0 / 65535.0 if grey.max(initial=0) > 255 else 1.0
        picture = Image.fromarray(np.clip(np.rint(grey * scale), 0, 255).astype(np.uint8))
    if picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")
