"""Which part of an image speaks for a label, as an image that is laid over it."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfit.inference.explain import FAINT
from tagfit.inference.tagger import Tagger

_WARM = (255, 96, 0)


def heat(tagger: Tagger, pixels: NDArray[np.uint8], label: str) -> bytes:
    """A PNG as large as what the network sees: the more opaque, the more it speaks for the label.

    Args:
        pixels: (size, size, 3), in the tagger's form.
    """
    found = np.maximum(tagger.explain(pixels, [label]).heat[0], 0)
    alpha = np.uint8(255 * found / max(float(found.max()), FAINT))
    file = io.BytesIO()
    Image.fromarray(np.dstack([np.full((*alpha.shape, 3), _WARM, dtype=np.uint8), alpha])).save(file, "PNG")
    return file.getvalue()
