"""Arrays of pixels, made (N, H, W, 3) uint8: exactly, or not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults
from tagfit.records.data import PixelRange

_TODO = "Give images as uint8 from 0 to 255, (N, H, W, 3): scaling to 0..1 happens later and is part of the lock."

#: how far p * 255 may lie from a whole number: float32 arithmetic errs by 3e-5
_TOLERANCE = 1e-3

#: images that are converted at a time, to bound memory
_CHUNK = 1024

#: rows that are looked at to see whether they are flattened images, and the smallest side of one
_ROWS, _SIDE = 64, 8


def range_of_pixels(arrays: Mapping[str, NDArray[Any]], faults: Faults) -> PixelRange:
    """Whether the images of all these arrays, the parts of one data set, go from 0 to 1 or from 0 to 255.

    Values of 0 and 1 alone may be either: it is a fault, unless another part tells. 255 of anything but images.
    """
    images = {name: x for name, x in arrays.items() if x.ndim in (3, 4) and x.size and x.dtype.kind in "biuf"}
    found = {name: _range_of(x) for name, x in images.items()}
    known = set(found.values()) - {None}
    if len(known) > 1:
        ranges = ", ".join(f"{name} from 0 to {most}" for name, most in found.items() if most is not None)
        faults.add(f"the images have different ranges: {ranges}.", _TODO)
    if images and not known:
        name, x = next(iter(images.items()))
        faults.add(
            f"{name}: images of {x.dtype} with no value but 0 and 1, which may go from 0 to 1 or from 0 to 255.",
            f"Say which, with uint8: ({name} * 255).astype('uint8') if 1 is white, {name}.astype('uint8') otherwise.",
        )
    return 1 if known == {1} else 255


def _range_of(x: NDArray[Any]) -> PixelRange | None:
    """None if there are only 0 and 1."""
    if x.dtype in (np.uint8, np.bool_):
        return 255 if x.dtype == np.uint8 else 1
    if not x.max() <= 1:  # or nan, which is no image
        return 255
    return 1 if x.dtype.kind == "f" and bool(((x > 0) & (x < 1)).any()) else None


def pixels(
    x: NDArray[Any], name: str, faults: Faults, notes: list[str], pixel_range: PixelRange = 255
) -> NDArray[np.uint8] | None:
    """Read (N, H, W), (N, H, W, 1) or (N, H, W, 3) of uint8, of whole numbers from 0 to 255, or of these over 255.

    Args:
        pixel_range: 1 if the images go from 0 to 1; uint8 always goes to 255.

    Returns:
        (N, H, W, 3) uint8; None after a fault.
    """
    if x.ndim == 4 and x.shape[3] not in (1, 3):
        hint = " It looks channels-first: np.moveaxis(x, 1, -1)." if x.shape[1] in (1, 3) else ""
        faults.add(f"{name} must be (N, H, W, 3) or grey (N, H, W); got shape {x.shape}.{hint}", _TODO)
        return None
    whole = x if x.dtype == np.uint8 else _whole(x, name, faults, notes, pixel_range)
    if whole is None or whole.shape[3:] == (3,):
        return whole
    notes.append("Grey images are repeated to three channels.")
    grey_NHW1 = whole if whole.ndim == 4 else whole[..., None]
    return np.repeat(grey_NHW1, 3, axis=3)


def _whole(
    x: NDArray[Any], name: str, faults: Faults, notes: list[str], pixel_range: PixelRange
) -> NDArray[np.uint8] | None:
    scale = 255 // pixel_range
    out = np.empty(x.shape, np.uint8)
    for start in range(0, len(x), _CHUNK):
        chunk = x[start : start + _CHUNK].astype(np.promote_types(x.dtype, np.float32)) * scale
        rounded = np.rint(chunk)
        # written so that nan fails too
        if not ((rounded >= 0) & (rounded <= 255) & (np.abs(chunk - rounded) <= _TOLERANCE)).all():
            wrong = "not p / 255 of any" if pixel_range == 1 else "not whole numbers from 0 to 255"
            faults.add(f"{name}: expected images as uint8; got {x.dtype} {_range(x)}, {wrong}.", _TODO)
            return None
        out[start : start + _CHUNK] = rounded
    told = "p / 255 as" if pixel_range == 1 else "whole numbers as"
    notes.append(f"Images are read back from {told} {x.dtype} to uint8, exactly.")
    return out


def _range(x: NDArray[Any]) -> str:
    if np.isnan(x).any():
        return "with nan"
    return f"from {x.min():g} to {x.max():g}"


# ------------------------------------------------------------------------------------- rows that are images


def flattened_note(x: NDArray[Any]) -> list[str]:
    """The message if (N, D) rows look like flattened images: values as pixels have, and neighbours alike."""
    if x.ndim != 2 or not _like_pixels(sample := x[:_ROWS]):
        return []
    shapes = [shape for shape in _image_shapes(x.shape[1]) if _smooth(sample, shape)]
    if not shapes:
        return []
    best = min(shapes, key=lambda shape: _roughness(sample, shape))
    height, width, colours = sorted(best, key=lambda side: side == 3)
    channels_first = ".transpose(0, 2, 3, 1)" if best[0] == 3 else ""
    arranged = f"X.reshape(-1, {', '.join(map(str, best))}){channels_first}"
    return [
        f"The rows of X look like flattened images of {height} x {width} x {colours}. They are read as features, so "
        f"a network cannot know which values are neighbours. To read them as images, pass {arranged}."
    ]


def _like_pixels(x_ND: NDArray[Any]) -> bool:
    scaled = x_ND * np.float32(255) if x_ND.max(initial=0) <= 1 else x_ND
    in_range = x_ND.min(initial=0) >= 0 and x_ND.max(initial=0) <= 255
    return bool(in_range and len(np.unique(x_ND)) > 16 and (np.abs(scaled - np.rint(scaled)) <= _TOLERANCE).all())


def _image_shapes(values: int) -> list[tuple[int, int, int]]:
    """Square images of as many values: colours last, colours first, and grey."""
    side, grey = math.isqrt(values // 3), math.isqrt(values)
    coloured = [(side, side, 3), (3, side, side)] if 3 * side * side == values and side >= _SIDE else []
    return coloured + ([(grey, grey, 1)] if grey * grey == values and grey >= _SIDE else [])


def _smooth(x_ND: NDArray[Any], shape: tuple[int, int, int]) -> bool:
    """Whether neighbouring pixels are far more alike than any two."""
    apart = np.abs(np.diff(np.random.default_rng(0).permuted(x_ND.astype(np.float32), axis=1), axis=1)).mean()
    return _roughness(x_ND, shape) < 0.6 * float(apart)


def _roughness(x_ND: NDArray[Any], shape: tuple[int, int, int]) -> float:
    """The mean difference of pixels beside and below each other."""
    images = x_ND.astype(np.float32).reshape(-1, *shape)
    rows, columns = (2, 3) if shape[0] == 3 else (1, 2)
    return float(max(np.abs(np.diff(images, axis=axis)).mean() for axis in (rows, columns)))
