"""Which part of a picture speaks for a label, as a picture that is laid over it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfit.delivery.predictor import Tagger
from tagfit.form import Form

_WARM = (255, 96, 0)


def explains(tagger: Tagger) -> bool:
    """Whether it can say so."""
    return tagger.takes_pictures and hasattr(tagger, "explain")


def heat(tagger: Tagger, pixels: NDArray[np.uint8], label: str) -> bytes:
    """A PNG as large as what the network sees: the more opaque, the more it speaks for the label.

    Args:
        pixels: (size, size, 3), in the tagger's form.
    """
    explain: Any = tagger.explain  # type: ignore[attr-defined]
    found = np.maximum(np.asarray(explain(_uncut(pixels, tagger.form), labels=[label]).heat[0]), 0)
    alpha = np.uint8(255 * found / max(float(found.max()), 1e-9))
    file = io.BytesIO()
    Image.fromarray(np.dstack([np.full((*alpha.shape, 3), _WARM, dtype=np.uint8), alpha])).save(file, "PNG")
    return file.getvalue()


def _uncut(pixels: NDArray[np.uint8], form: Form) -> Image.Image:
    """The picture that these pixels come out of when the form's middle is cut out of it once more."""
    side = form.shrunk_to or form.size
    start = (side - form.size) // 2
    whole = Image.new("RGB", (side, side))
    whole.paste(Image.fromarray(pixels), (start, start))
    return whole
