"""A file for other runtimes before it is written: what it is compared on, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tagfit
from tagfit.bundle.record import Bundle
from tagfit.errors import ExportError
from tagfit.io.typed_json import to_plain
from tagfit.models.layers import Standardise
from tagfit.records.data import Array

#: how far raw scores may lie from torch's
EXACT = 1e-5

#: batches that a file is checked on
BATCHES = (1, 2, 13)


@dataclass(frozen=True, eq=False)
class MadeFile:
    """The content of a file, and how it compares.

    Attributes:
        outputs: the names of what it gives, each (N, L).
        samples: how many it was run on.
        max_difference: the largest difference of a raw score.
    """

    content: bytes
    outputs: tuple[str, ...]
    samples: int
    max_difference: float


def samples_of(bundle: Bundle, examples: Array | None = None) -> list[Array]:
    """Batches to compare on: images from plain to noisy, or features spread as those trained on; and `examples`.

    Images are uint8; `given` makes of them what a file takes.
    """
    rng = np.random.default_rng(0)
    shape = bundle.preprocessing.taken
    if bundle.preprocessing.takes_images:
        samples: list[Array] = [_images(rng, count, shape) for count in BATCHES]
    else:
        spread = [layer for layer in bundle.network.modules() if isinstance(layer, Standardise)]
        mean, deviation = (spread[0].mean.numpy(), spread[0].deviation.numpy()) if spread else (0.0, 1.0)
        samples = [(rng.normal(size=(count, *shape)) * deviation + mean).astype(np.float32) for count in BATCHES]
    return samples if examples is None else [*samples, examples]


def given(bundle: Bundle, x: Array) -> Array:
    """Samples as training took them: floats if its images went from 0 to 1."""
    from_floats = bundle.preprocessing.takes_images and bundle.preprocessing.pixel_range == 1
    return (x / np.float32(255)).astype(np.float32) if from_floats else x


def _images(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    noise = rng.normal(size=(count, *shape)) * np.linspace(60, 5, count)[:, None, None, None]
    colours = rng.uniform(0, 255, size=(count, 1, 1, 3))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)


def told_of(bundle: Bundle) -> dict[str, Any]:
    """A file's description of itself, as plain data."""
    return {
        "tagfit": tagfit.__version__,
        "label_names": list(bundle.label_names),
        "feature_names": list(bundle.preprocessing.feature_names),
        "preprocessing": to_plain(bundle.preprocessing),
        "form": to_plain(bundle.preprocessing.form),
        "decider": to_plain(bundle.decider),
        "recipe": bundle.recipe.to_dict(),
        "lock": bundle.lock,
    }


def difference(scores: NDArray[np.float32], expected: NDArray[np.float32], kind: str) -> float:
    """The largest one of a raw score.

    Raises:
        ExportError: it is too large.
    """
    largest = float(np.abs(scores - expected).max(initial=0))
    if not largest <= EXACT:
        raise ExportError(
            f"the {kind} file would give scores that differ by up to {largest:.2g} from the bundle's, "
            f"of {EXACT:g} allowed; nothing was written"
        )
    return largest
