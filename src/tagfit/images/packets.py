"""What an image file says beside its pixels: its XMP packet and its IPTC keywords, read without decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import IptcImagePlugin, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from tagfit.images.decode import FORMATS, UnreadableImageError, opened_head

_KEYWORDS, _CHARACTER_SET = (2, 25), (1, 90)
_UTF8 = b"\x1b%G"


@dataclass(frozen=True)
class Packets:
    """What was found.

    Attributes:
        xmp: the packet as written; empty if there is none.
        iptc: IPTC-IIM keywords (record 2:25).
        iptc_fault: why there are none though there is a block; XMP may still say all that is needed.
    """

    xmp: bytes
    iptc: tuple[str, ...]
    iptc_fault: str = ""


def read_packets(file: Path) -> Packets:
    """Read them from JPEG, PNG, WebP and TIFF; IPTC from JPEG and TIFF only.

    Raises:
        UnreadableImageError: not an image of a known format, or damaged.
    """
    try:
        if not file.stat().st_size:
            raise UnreadableImageError("the file is empty")
        with opened_head(file) as image:
            xmp = image.info.get("xmp") or b""
            iptc, fault = _iptc(image)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(f"not an image of a known format ({', '.join(FORMATS)})") from None
    except Exception as error:  # Pillow's readers raise nearly anything on hostile bytes
        what = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UnreadableImageError(f"cannot be read: {what}") from error
    if not isinstance(xmp, bytes):
        raise UnreadableImageError("its XMP is not stored as bytes")
    return Packets(xmp, iptc, fault)


def _iptc(image: ImageFile) -> tuple[tuple[str, ...], str]:
    """The keywords, and why there are none if they cannot be read."""
    try:
        records = IptcImagePlugin.getiptcinfo(image) or {}
        written = records.get(_KEYWORDS) or b""
        is_utf8 = records.get(_CHARACTER_SET) == _UTF8
        keywords = written if isinstance(written, list) else [written]
        return tuple(_text(keyword, is_utf8) for keyword in keywords if keyword), ""
    except UnicodeDecodeError:
        return (), "its IPTC keywords are declared as UTF-8, but are not"
    except Exception as error:  # as above
        return (), f"its IPTC cannot be read: {error}"


def _text(keyword: bytes, is_utf8: bool) -> str:
    """UTF-8 if it was declared or fits, else Latin-1 as Windows writes it; declared and wrong, it raises."""
    try:
        return keyword.decode("utf-8")
    except UnicodeDecodeError:
        if is_utf8:
            raise
        return keyword.decode("cp1252", "replace")
