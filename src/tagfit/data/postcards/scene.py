"""What an image is to show, decided before anything is drawn: place, time, weather, and the things in it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tagfit.data.postcards.dice import Bools, Dice, Ints, Words
from tagfit.data.postcards.materials import LABELS, Material
from tagfit.data.postcards.sheet import COLUMNS_X, SIZE


class Place(IntEnum):
    COAST = 0
    ALPS = 1
    COUNTRY = 2
    TOWN = 3


class Time(IntEnum):
    DAY = 0
    SUNSET = 1
    NIGHT = 2


_PLACES = (34, 22, 26, 18)
_TIMES = (62, 19, 19)

#: how likely a thing is, in percent, at the coast, in the alps, in the country, in town
_THINGS: dict[str, tuple[int, int, int, int]] = {
    "sea": (100, 18, 0, 26),
    "beach": (66, 0, 0, 8),
    "boat": (62, 30, 0, 40),
    "mountain": (12, 100, 8, 8),
    "caps": (30, 62, 40, 40),
    "winter": (0, 28, 14, 10),
    "forest": (8, 60, 50, 6),
    "city": (8, 2, 4, 100),
    "people": (66, 12, 22, 76),
    "flowers": (4, 26, 62, 8),
    "birds": (62, 10, 26, 8),
    "hills": (30, 10, 50, 10),
    "houses": (14, 24, 40, 16),
    "clouds": (50, 45, 55, 40),
    "posts": (26, 20, 36, 46),
    "bushes": (22, 34, 46, 26),
    "rocks": (46, 44, 24, 8),
    "canvas": (26, 12, 12, 14),
    "cars": (8, 6, 10, 34),
    "kites": (16, 10, 14, 10),
    "lone trees": (16, 26, 44, 34),
    "leaves": (10, 16, 26, 16),
    "front": (14, 14, 16, 14),
    "rain": (10, 8, 12, 14),
    "frame": (12, 12, 12, 12),
}


@dataclass(frozen=True, eq=False)
class Scenes:
    """The plans of N images.

    Attributes:
        keys: (N,) where their random numbers come from.
        place, time: (N,) of Place and Time.
        ground: (N,) Material of the land.
        horizon: (N,) the row where the sky ends.
        shore_NX: (N, SIZE) the row where water ends and land begins, column by column; the horizon without water,
            SIZE without land.
        things: by name (N,) whether it is to be drawn.
    """

    keys: Words
    place: Ints
    time: Ints
    ground: Ints
    horizon: Ints
    shore_NX: Ints
    things_NT: Bools

    def __len__(self) -> int:
        return len(self.keys)

    def has(self, thing: str) -> Bools:
        """(N,) whether a thing is to be drawn."""
        return self.things_NT[:, _COLUMN[thing]]

    def only(self, rows: NDArray[np.intp]) -> Scenes:
        return Scenes(*(getattr(self, f.name)[rows] for f in fields(self)))


_COLUMN = {thing: t for t, thing in enumerate((*_THINGS, "land"))}


def plan(keys: Words) -> Scenes:
    """The scenes of the images with these keys."""
    dice = Dice(keys, 0)
    place, time = dice.pick(_PLACES), dice.pick(_TIMES)
    things = _choose_things(dice, place, time)
    horizon = dice.roll(23, 39)
    return Scenes(
        keys=keys,
        place=place,
        time=time,
        ground=_choose_ground(dice, place, things),
        horizon=horizon,
        shore_NX=_draw_shore(dice, horizon, things),
        things_NT=np.stack([things[name] for name in _COLUMN], axis=1),
    )


def _choose_things(dice: Dice, place: Ints, time: Ints) -> dict[str, Bools]:
    things = {thing: dice.chance(np.array(percent)[place]) for thing, percent in _THINGS.items()}
    things["boat"] &= things["sea"]
    things["beach"] &= things["sea"]
    things["winter"] &= ~things["beach"]
    things["caps"] &= things["mountain"]
    things["flowers"] &= ~things["winter"]
    things["birds"] &= time != Time.NIGHT
    things["kites"] &= time != Time.NIGHT
    things["rain"] &= ~things["winter"]
    # an empty field would have nothing to name
    lonely = ~(things["sea"] | things["mountain"] | things["city"] | things["forest"] | things["flowers"])
    things["forest"] |= lonely
    on_land = things["beach"] | things["people"] | things["flowers"] | things["winter"] | things["forest"]
    things["land"] = ~things["sea"] | on_land | dice.chance(40)
    return things


def _choose_ground(dice: Dice, place: Ints, things: dict[str, Bools]) -> Ints:
    in_town = dice.chance(65) & (place == Place.TOWN)
    wild = np.array([Material.GRASS, Material.WHEAT, Material.EARTH])[dice.pick((58, 24, 18))]
    ground = np.where(in_town, Material.PAVING, wild)
    ground = np.where(things["winter"], Material.SNOW, ground)
    return np.where(things["beach"], Material.SAND, ground).astype(np.int32)


def _draw_shore(dice: Dice, horizon: Ints, things: dict[str, Bools]) -> Ints:
    """A shore that runs askew and waves a little."""
    row = np.minimum(horizon + dice.roll(7, 20), SIZE - 12)
    askew = dice.roll(-14, 14)[:, None] * (COLUMNS_X - SIZE // 2) // SIZE
    waves = np.abs((COLUMNS_X + dice.roll(0, 31)[:, None]) % 32 - 16) * dice.roll(0, 4)[:, None] // 16
    shore = np.maximum(row[:, None] + askew + waves, horizon[:, None] + 5)
    shore = np.where(things["sea"][:, None], shore, horizon[:, None])
    return np.where(things["land"][:, None], shore, SIZE).astype(np.int32)


assert set(LABELS) - {"night", "sunset", "snow"} <= set(_THINGS)
