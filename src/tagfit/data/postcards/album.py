"""The finished images and their labels, in any number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagfit.data.postcards.dice import Dice, image_keys
from tagfit.data.postcards.layers import paint
from tagfit.data.postcards.light import develop
from tagfit.data.postcards.materials import LABELS, LOOKS, PIXELS_IN_SIGHT, SKY_MATERIALS, Material
from tagfit.data.postcards.scene import Scenes, Time, plan
from tagfit.data.postcards.sheet import SIZE

#: images drawn at a time: enough to keep numpy busy, few enough to stay in the cache
_BATCH = 128


def draw(start: int, stop: int, *, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """The images start..stop-1 of `seed`: `x_NHWC`, `labels_NL`."""
    x = np.empty((stop - start, SIZE, SIZE, 3), np.uint8)
    labels = np.empty((stop - start, len(LABELS)), np.int8)
    for first in range(start, stop, _BATCH):
        last = min(first + _BATCH, stop)
        x[first - start : last - start], labels[first - start : last - start] = _draw_batch(
            image_keys(first, last, seed)
        )
    return x, labels


def _draw_batch(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    scenes = plan(keys)
    materials_NYX = paint(scenes).materials_NYX
    x = develop(scenes, materials_NYX)
    mirrored = np.flatnonzero(Dice(keys, 1000).chance(50))
    x[mirrored] = x[mirrored, :, ::-1]
    return x, _labels_in_sight(scenes, materials_NYX)


def _labels_in_sight(scenes: Scenes, materials_NYX: NDArray[np.uint8]) -> NDArray[np.int8]:
    """(N, L) 1 where enough pixels of a label are not hidden."""
    number = np.arange(len(scenes))[:, None, None] * len(Material)
    counts = np.bincount((number + materials_NYX).reshape(-1), minlength=len(scenes) * len(Material))
    counts_NM = counts.reshape(len(scenes), len(Material))
    pixels = np.zeros((len(scenes), len(LABELS)), np.int64)
    for material in Material:
        if (label := LOOKS[material].label) is not None:
            pixels[:, LABELS.index(label)] += counts_NM[:, material]
    sky = counts_NM[:, list(SKY_MATERIALS)].sum(axis=1)
    pixels[:, LABELS.index("sunset")] = sky * (scenes.time == Time.SUNSET)
    pixels[:, LABELS.index("night")] = sky * (scenes.time == Time.NIGHT)
    return (pixels >= np.array([PIXELS_IN_SIGHT[label] for label in LABELS])).astype(np.int8)
