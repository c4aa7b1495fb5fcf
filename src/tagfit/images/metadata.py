"""What image files say beside their pixels: what no model should use.

Only their heads are read.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image

from tagfit.images.decode import opened_head


@dataclass(frozen=True)
class Traits:
    """Of one image file.

    Attributes:
        width, height: of its pixels, as they are stored.
        size: how many bytes it has.
        format: JPEG, PNG and so on.
        camera: make and model as EXIF has them, or nothing.
    """

    width: int
    height: int
    size: int
    format: str
    camera: str


def traits(files: Sequence[Path | bytes]) -> list[Traits | None]:
    """Of each; None if it cannot be read (any more)."""
    return [_traits(file) for file in files]


def _traits(file: Path | bytes) -> Traits | None:
    try:
        size = len(file) if isinstance(file, bytes) else file.stat().st_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of EXIF that is odd
            with opened_head(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
                return Traits(image.width, image.height, size, str(image.format), _camera(image))
    except Exception:  # Pillow's readers raise nearly anything on hostile bytes
        return None


def _camera(image: Image.Image) -> str:
    """Nothing if EXIF cannot be read."""
    try:
        exif = image.getexif()
        named = [str(exif.get(tag, "")).strip("\0 ") for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
    except Exception:  # as above
        return ""
    return " ".join(name for name in named if name)
