"""From encoded bytes to pixels, safely.

Told by content, never by name; only the formats listed here are ever opened. The image is shrunk while it is decoded.
NumPy is imported where it is needed: the processes that decode start in a third of the time without it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from tagfit.records.form import ImageForm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: to be raised whenever other pixels come out of the same bytes: the store then decodes anew
VERSION = 1

#: the formats that are read; no other decoder of Pillow is ever reached
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
#: what counts as an image in a folder; a file that is named itself is always tried
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")

#: an image that claims more pixels is refused before any of them is allocated
MAX_PIXELS = 100_000_000
#: bytes of a file for each pixel it may have: more than any that is not compressed at all (16 bits, CMYK, a thumbnail)
BYTES_A_PIXEL = 10

#: bytes of a colour profile that is kept for the next images: cameras' are smaller, those of presses are not many
_KEPT_PROFILE = 1 << 20

#: held while Pillow's limit of pixels, of which there is one for all threads, is another
_LIMIT = Lock()

#: how the values of the EXIF orientation are undone
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImageError(Exception):
    """One image cannot be used; the message is the reason, for people. Callers set the image aside."""


def shrink(encoded: bytes, form: ImageForm, *, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image, str]:
    """The image, upright, as sRGB in the form asked for; when it was taken, as ISO text, or nothing if it does not say.

    The original width and height leave no trace in the result: resolution must never reach a model.

    Raises:
        UnreadableImageError: empty, not an image of a known format, truncated, or too large.
    """
    if not encoded:
        raise UnreadableImageError("the file is empty")
    with _readable(max_pixels), Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
        _check_size(image, max_pixels)
        side = 2 * (form.shrunk_to or form.size)
        image.draft(None, (side, side))
        return _small(image, form), _capture_time(image)


def pixels(image: Image.Image, form: ImageForm) -> NDArray[np.uint8]:
    """(size, size, 3) uint8, as by `shrink`, of an image that is open already, which stays as it is.

    Raises:
        UnreadableImageError: truncated or too large.
    """
    with _readable(MAX_PIXELS):
        _check_size(image, MAX_PIXELS)
        return _array(_small(image, form))


@contextmanager
def opened_head(file: Path | io.BytesIO) -> Iterator[ImageFile]:
    """An image whose pixels are not read.

    Pillow's own limit of pixels, which is that of the whole process, is not asked: `--max-megapixels` is, by `shrink`.

    Raises:
        Exception: nearly any, on hostile bytes.
    """
    with _LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(file, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image


def upright_size(head: Image.Image) -> tuple[int, int]:
    """Width and height of an image once it is turned upright."""
    width, height = head.size
    return (height, width) if _exif(head).get(ExifTags.Base.Orientation, 1) >= 5 else (width, height)


def _array(small: Image.Image) -> NDArray[np.uint8]:
    import numpy as np

    return np.asarray(small, dtype=np.uint8)


@contextmanager
def _readable(max_pixels: int) -> Iterator[None]:
    """Whatever goes wrong within becomes an UnreadableImageError. What stands before a colon is its kind."""
    try:
        yield
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(f"not an image of a known format ({', '.join(FORMATS)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # Pillow's own limit, asked before ours
        raise UnreadableImageError(_too_large("its", max_pixels)) from None
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile bytes
        kind = "truncated" if "truncated" in str(error).lower() else "cannot be decoded"
        raise UnreadableImageError(f"{kind}: {error or type(error).__name__}") from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadableImageError(_too_large(f"{width}x{height}", max_pixels))


def _too_large(claimed: str, max_pixels: int) -> str:
    return f"too large: {claimed} pixels are more than {max_pixels / 1e6:g} megapixels"


def _small(image: Image.Image, form: ImageForm) -> Image.Image:
    image.load()  # before its metadata is asked: some of it may stand behind the pixels
    resampling = Image.Resampling[form.filter.upper()]
    small = _plain(image).resize((form.size, form.size), resampling, form.box(*image.size), reducing_gap=2.0)
    turn = _UPRIGHT.get(_exif(image).get(ExifTags.Base.Orientation, 1))
    upright = small if turn is None else small.transpose(turn)
    return _over_white(upright, image.info.get("icc_profile"))


def _plain(image: Image.Image) -> Image.Image:
    """The image as L, RGB, RGBA or CMYK; greys of 16 bits are scaled to 8."""
    if image.mode == "F":
        raise UnreadableImageError("its pixels are floating-point numbers, so it is unknown which of them is white")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _eight_bits(image)
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in {"L", "RGB", "CMYK"} else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    import numpy as np

    grey = np.asarray(image)
    small = Image.fromarray((np.clip(grey, 0, 65535).astype(np.uint16) // 257).astype(np.uint8))
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return small
    small.putalpha(Image.fromarray(np.where(grey == clear, 0, 255).astype(np.uint8)))
    return small.convert("RGBA")


def _over_white(small: Image.Image, profile: object) -> Image.Image:
    """sRGB, with white behind whatever is clear."""
    if small.mode != "RGBA":
        return _srgb(small, profile)
    alpha = small.getchannel("A")
    white = Image.new("RGB", small.size, (255, 255, 255))
    return Image.composite(_srgb(small.convert("RGB"), profile), white, alpha)


def _srgb(small: Image.Image, profile: object) -> Image.Image:
    """RGB from L, RGB or CMYK, by the image's colour profile if it has one that fits."""
    transform = _to_srgb(profile, small.mode) if isinstance(profile, bytes) and profile else None
    return small.convert("RGB") if transform is None else transform.apply(small)


def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """As `_transform`; large profiles are not kept."""
    return (_kept_transform if len(profile) <= _KEPT_PROFILE else _transform)(profile, mode)


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None if the profile is broken or of another colour space: an image is not lost for that."""
    try:
        given, srgb = ImageCms.getOpenProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        return ImageCms.ImageCmsTransform(given, ImageCms.ImageCmsProfile(srgb), mode, "RGB")
    except Exception:  # as above: hostile bytes
        return None


_kept_transform = lru_cache(maxsize=16)(_transform)


def _exif(image: Image.Image) -> Image.Exif:
    """Nothing if it cannot be read: an image is not lost for that either."""
    try:
        return image.getexif()
    except Exception:  # as above
        return Image.Exif()


def _capture_time(image: Image.Image) -> str:
    """When it was taken, e.g. `2024-05-01T12:30:00`, or nothing."""
    try:
        written = _exif(image).get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal, "")
        return datetime.strptime(str(written).strip("\0 "), "%Y:%m:%d %H:%M:%S").isoformat()
    except Exception:  # as above
        return ""
