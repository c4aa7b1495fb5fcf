"""The order of drawing, from the back to the front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tagfit.data.postcards import backdrop, sprites, things
from tagfit.data.postcards.dice import Bools, Dice
from tagfit.data.postcards.scene import Place, Scenes, Time
from tagfit.data.postcards.sheet import Sheets


@dataclass(frozen=True)
class Layer:
    """One drawing step: in which images, and how. Within `paint` there are only those images."""

    when: Callable[[Scenes], Bools]
    paint: Callable[[Sheets, Scenes, Dice], None]


def _always(scenes: Scenes) -> Bools:
    return np.ones(len(scenes), np.bool_)


def _if(*wanted: str) -> Callable[[Scenes], Bools]:
    return lambda scenes: np.logical_and.reduce([scenes.has(thing) for thing in wanted])


LAYERS: tuple[Layer, ...] = (
    Layer(_always, backdrop.paint_sky),
    Layer(lambda s: s.time == Time.NIGHT, backdrop.paint_stars),
    Layer(_always, backdrop.paint_sun),
    Layer(_if("clouds"), backdrop.paint_clouds),
    Layer(_if("hills"), backdrop.paint_hills),
    Layer(lambda s: s.has("mountain") & (s.place == Place.ALPS), backdrop.paint_far_mountains),
    Layer(_if("mountain"), backdrop.paint_mountains),
    Layer(_if("city"), backdrop.paint_city),
    Layer(_if("birds"), things.Flock(sprites.BIRD, 4, 8, (4, 6), spread=16)),
    Layer(_if("kites"), things.Flock(sprites.KITE, 1, 2, (4, 9), spread=30)),
    Layer(_if("sea"), backdrop.paint_sea),
    Layer(_if("sea"), backdrop.paint_glints),
    Layer(_if("sea", "rocks"), things.Flock(sprites.ROCK, 1, 3, (3, 6), spread=30, afloat=True)),
    Layer(_if("boat"), things.Flock(sprites.BOAT, 2, 3, (10, 18), spread=28, afloat=True)),
    Layer(_if("land"), backdrop.paint_land),
    Layer(lambda s: s.has("land") & ~s.has("beach") & ~s.has("winter"), backdrop.paint_patches),
    Layer(_if("forest"), things.paint_forest),
    Layer(_if("land", "houses"), things.Herd(sprites.HOUSE, 1, 4, (5, 8), (10, 22))),
    Layer(_if("land", "lone trees"), things.Herd(sprites.LONE_TREE, 1, 3, (6, 9), (14, 34))),
    Layer(_if("land", "leaves"), things.paint_leaves),
    Layer(_if("flowers"), things.paint_flowers),
    Layer(_if("land", "rocks"), things.Herd(sprites.ROCK, 1, 4, (3, 4), (5, 11))),
    Layer(_if("land", "bushes"), things.Herd(sprites.BUSH, 1, 4, (3, 4), (6, 14))),
    Layer(_if("land", "canvas"), things.Herd(sprites.CANVAS, 1, 3, (4, 6), (9, 16))),
    Layer(_if("land", "cars"), things.Herd(sprites.CAR, 1, 3, (3, 4), (6, 10))),
    Layer(_if("land", "posts"), things.Herd(sprites.POST, 1, 4, (6, 8), (14, 24))),
    Layer(_if("people"), things.Herd(sprites.PERSON, 2, 6, (10, 13), (18, 28), spread=24)),
    Layer(_if("rain"), things.paint_rain),
    Layer(lambda s: s.has("winter") & s.has("clouds"), things.paint_snowfall),
    Layer(_if("front"), things.paint_front),
    Layer(_if("frame"), backdrop.paint_frame),
)


def paint(scenes: Scenes) -> Sheets:
    """All layers of all images."""
    sheets = Sheets(len(scenes))
    for number, layer in enumerate(LAYERS):
        rows = np.flatnonzero(layer.when(scenes))
        if len(rows):
            chosen = scenes.only(rows)
            # step 0 is the plan, 1 the light
            layer.paint(sheets.only(rows), chosen, Dice(chosen.keys, number + 2))
    return sheets
