"""The finished images and their labels, in any number; and the order in which an image is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.data.postcards import backdrop, sprites, things
from tagfit.data.postcards.dice import Bools, Dice, Words, image_keys
from tagfit.data.postcards.light import develop
from tagfit.data.postcards.materials import LABELS, PIXELS_IN_SIGHT, SKY_MATERIALS, Material
from tagfit.data.postcards.scene import Place, Scenes, Time, plan
from tagfit.data.postcards.sheet import SIZE, Sheets

#: images drawn at a time: enough to keep numpy busy, few enough to stay in the cache
_BATCH = 128


@dataclass(frozen=True)
class _Layer:
    """One drawing step: in which images, and how. Within `paint` there are only those images."""

    when: Callable[[Scenes], Bools]
    paint: Callable[[Sheets, Scenes, Dice], None]


def _always(scenes: Scenes) -> Bools:
    return np.ones(len(scenes), np.bool_)


def _if(*wanted: str) -> Callable[[Scenes], Bools]:
    return lambda scenes: np.logical_and.reduce([scenes.has(thing) for thing in wanted])


#: from the back to the front
_LAYERS: tuple[_Layer, ...] = (
    _Layer(_always, backdrop.paint_sky),
    _Layer(lambda s: s.time == Time.NIGHT, backdrop.paint_stars),
    _Layer(_always, backdrop.paint_sun),
    _Layer(_if("clouds"), backdrop.paint_clouds),
    _Layer(_if("hills"), backdrop.paint_hills),
    _Layer(lambda s: s.has("mountain") & (s.place == Place.ALPS), backdrop.paint_far_mountains),
    _Layer(_if("mountain"), backdrop.paint_mountains),
    _Layer(_if("city"), backdrop.paint_city),
    _Layer(_if("birds"), things.Flock(sprites.BIRD, 4, 8, (4, 6), spread=16)),
    _Layer(_if("kites"), things.Flock(sprites.KITE, 1, 2, (4, 9), spread=30)),
    _Layer(_if("sea"), backdrop.paint_sea),
    _Layer(_if("sea"), backdrop.paint_glints),
    _Layer(_if("sea", "rocks"), things.Flock(sprites.ROCK, 1, 3, (3, 6), spread=30, afloat=True)),
    _Layer(_if("boat"), things.Flock(sprites.BOAT, 2, 3, (10, 18), spread=28, afloat=True)),
    _Layer(_if("land"), backdrop.paint_land),
    _Layer(lambda s: s.has("land") & ~s.has("beach") & ~s.has("winter"), backdrop.paint_patches),
    _Layer(_if("forest"), things.paint_forest),
    _Layer(_if("land", "houses"), things.Herd(sprites.HOUSE, 1, 4, (5, 8), (10, 22))),
    _Layer(_if("land", "lone trees"), things.Herd(sprites.LONE_TREE, 1, 3, (6, 9), (14, 34))),
    _Layer(_if("land", "leaves"), things.paint_leaves),
    _Layer(_if("flowers"), things.paint_flowers),
    _Layer(_if("land", "rocks"), things.Herd(sprites.ROCK, 1, 4, (3, 4), (5, 11))),
    _Layer(_if("land", "bushes"), things.Herd(sprites.BUSH, 1, 4, (3, 4), (6, 14))),
    _Layer(_if("land", "canvas"), things.Herd(sprites.CANVAS, 1, 3, (4, 6), (9, 16))),
    _Layer(_if("land", "cars"), things.Herd(sprites.CAR, 1, 3, (3, 4), (6, 10))),
    _Layer(_if("land", "posts"), things.Herd(sprites.POST, 1, 4, (6, 8), (14, 24))),
    _Layer(_if("people"), things.Herd(sprites.PERSON, 2, 6, (10, 13), (18, 28), spread=24)),
    _Layer(_if("rain"), things.paint_rain),
    _Layer(lambda s: s.has("winter") & s.has("clouds"), things.paint_snowfall),
    _Layer(_if("front"), things.paint_front),
    _Layer(_if("frame"), backdrop.paint_frame),
)


def draw(start: int, stop: int, *, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """The images start..stop-1 of `seed`: `x_NHWC`, `labels_NL`."""
    x = np.empty((stop - start, SIZE, SIZE, 3), np.uint8)
    labels_NL = np.empty((stop - start, len(LABELS)), np.int8)
    for first in range(start, stop, _BATCH):
        last = min(first + _BATCH, stop)
        batch = slice(first - start, last - start)
        x[batch], labels_NL[batch] = _draw_batch(image_keys(first, last, seed))
    return x, labels_NL


def _draw_batch(keys: Words) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    scenes = plan(keys)
    materials_NYX = _paint(scenes).materials_NYX
    x = develop(scenes, materials_NYX)
    mirrored = np.flatnonzero(Dice(keys, 1000).chance(50))
    x[mirrored] = x[mirrored, :, ::-1]
    return x, _labels_in_sight(scenes, materials_NYX)


def _paint(scenes: Scenes) -> Sheets:
    sheets = Sheets(len(scenes))
    for number, layer in enumerate(_LAYERS):
        rows = np.flatnonzero(layer.when(scenes))
        if len(rows):
            chosen = scenes.only(rows)
            # step 0 is the plan, 1 the light
            layer.paint(sheets.only(rows), chosen, Dice(chosen.keys, number + 2))
    return sheets


def _labels_in_sight(scenes: Scenes, materials_NYX: NDArray[np.uint8]) -> NDArray[np.int8]:
    """(N, L) 1 where enough pixels of a label are not hidden."""
    number = np.arange(len(scenes))[:, None, None] * len(Material)
    counts = np.bincount((number + materials_NYX).reshape(-1), minlength=len(scenes) * len(Material))
    counts_NM = counts.reshape(len(scenes), len(Material))
    pixels = np.zeros((len(scenes), len(LABELS)), np.int64)
    for material in Material:
        if material.look.label is not None:
            pixels[:, LABELS.index(material.look.label)] += counts_NM[:, material]
    sky = counts_NM[:, list(SKY_MATERIALS)].sum(axis=1)
    pixels[:, LABELS.index("sunset")] = sky * (scenes.time == Time.SUNSET)
    pixels[:, LABELS.index("night")] = sky * (scenes.time == Time.NIGHT)
    return (pixels >= np.array(list(PIXELS_IN_SIGHT.values()))).astype(np.int8)
