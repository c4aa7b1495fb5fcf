"""Arrays of pixels, made (N, H, W, 3) uint8: exactly, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults

_TODO = "Give images as uint8 from 0 to 255, (N, H, W, 3): scaling to 0..1 happens later and is part of the lock."

#: how far p * 255 may lie from a whole number: float32 arithmetic errs by 3e-5
_TOLERANCE = 1e-3

#: images that are converted at a time, to bound memory
_CHUNK = 1024


def pixels(x: NDArray[Any], name: str, faults: Faults, notes: list[str]) -> NDArray[np.uint8] | None:
    """Read (N, H, W), (N, H, W, 1) or (N, H, W, 3) of uint8, of whole numbers from 0 to 255, or of these over 255.

    Returns:
        (N, H, W, 3) uint8; None after a fault.
    """
    if x.ndim == 4 and x.shape[3] not in (1, 3):
        hint = " It looks channels-first: np.moveaxis(x, 1, -1)." if x.shape[1] in (1, 3) else ""
        faults.add(f"{name} must be (N, H, W, 3) or grey (N, H, W); got shape {x.shape}.{hint}", _TODO)
        return None
    whole = x if x.dtype == np.uint8 else _whole(x, name, faults, notes)
    if whole is None or whole.shape[3:] == (3,):
        return whole
    notes.append("Grey images are repeated to three channels.")
    grey_NHW1 = whole if whole.ndim == 4 else whole[..., None]
    return np.repeat(grey_NHW1, 3, axis=3)


def _whole(x: NDArray[Any], name: str, faults: Faults, notes: list[str]) -> NDArray[np.uint8] | None:
    scale = 255 if x.dtype.kind == "f" and x.max() <= 1 else 1
    out = np.empty(x.shape, np.uint8)
    for start in range(0, len(x), _CHUNK):
        chunk = x[start : start + _CHUNK].astype(np.promote_types(x.dtype, np.float32)) * scale
        rounded = np.rint(chunk)
        # written so that nan fails too
        if not ((rounded >= 0) & (rounded <= 255) & (np.abs(chunk - rounded) <= _TOLERANCE)).all():
            faults.add(f"{name}: expected images as uint8; got {x.dtype} {_range(x)}, not p / 255 of any.", _TODO)
            return None
        out[start : start + _CHUNK] = rounded
    told = "p / 255 as" if scale == 255 else "whole numbers as"
    notes.append(f"Images are read back from {told} {x.dtype} to uint8, exactly.")
    return out


def _range(x: NDArray[Any]) -> str:
    if np.isnan(x).any():
        return "with nan"
    return f"from {x.min():g} to {x.max():g}"
