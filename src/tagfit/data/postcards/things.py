"""Drawing steps for single things: those with a label, and those that are mistaken for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagfit.data.postcards import sprites as art
from tagfit.data.postcards.dice import Bools, Dice, Ints
from tagfit.data.postcards.scene import Scenes
from tagfit.data.postcards.sheet import SIZE, Sheets
from tagfit.data.postcards.sprites import Sprites


@dataclass(frozen=True)
class Herd:
    """Things of one kind that stand on the land: how many, and how tall far away and near."""

    sprites: Sprites
    fewest: int
    most: int
    far: tuple[int, int]
    near: tuple[int, int]
    spread: int = 40

    def __call__(self, sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
        middle = _around(dice, self.spread, self.most)
        foot = _feet(dice, scenes, middle)
        height = _by_distance(scenes, foot, dice.roll(*self.far, 1), dice.roll(*self.near, 1))
        shown = dice.some(self.fewest, self.most)
        _stamp(sheets, dice, self.sprites, middle, foot, height, shown)


@dataclass(frozen=True)
class Flock:
    """Things of one kind in the air or on the water."""

    sprites: Sprites
    fewest: int
    most: int
    height: tuple[int, int]
    spread: int
    afloat: bool = False

    def __call__(self, sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
        middle = _around(dice, self.spread, self.most)
        if self.afloat:
            first, last = scenes.horizon + 1, np.minimum(scenes.shore_NX.min(axis=1) - 1, SIZE - 3)
        else:
            first, last = scenes.horizon * 0 + 3, scenes.horizon
        foot = np.sort(dice.roll(first[:, None], np.maximum(first, last)[:, None], self.most), axis=1)
        height = dice.roll(*self.height, 1) + dice.roll(0, 1, self.most)
        shown = dice.some(self.fewest, self.most)
        _stamp(sheets, dice, self.sprites, middle, foot, height, shown)


def paint_forest(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """Many trees, one before the other, of one kind or mixed."""
    most = 14
    middle = dice.roll(0, SIZE - 1, 1) + dice.roll(-26, 26, most)
    depth = dice.roll(0, 9, 1)
    first = np.take_along_axis(scenes.shore_NX, np.clip(middle, 0, SIZE - 1), axis=1)
    foot = np.sort(first + dice.roll(0, depth, most), axis=1)
    height = dice.roll(9, 24, 1) + dice.roll(-2, 3, most)
    shown = dice.some(8, most)
    leafy = dice.chance(45, 1) ^ dice.chance(np.where(dice.chance(30, 1), 40, 0), most)
    _stamp(sheets, dice, art.CONIFER, middle, foot, height, shown & ~leafy)
    _stamp(sheets, dice, art.LEAFY, middle, foot, height, shown & leafy)


def paint_flowers(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """A bed of them, sparse or dense."""
    most = 26
    middle = _around(dice, 60, most)
    foot = _feet(dice, scenes, middle)
    height = _by_distance(scenes, foot, np.full((len(scenes), 1), 4), dice.roll(6, 9, 1))
    shown = dice.some(12, most)
    _stamp(sheets, dice, art.FLOWER, middle, foot, height, shown)


def paint_leaves(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """Fallen leaves or pebbles: spots of one colour, where flowers would have a middle."""
    most = 18
    middle = _around(dice, 60, most)
    foot = _feet(dice, scenes, middle)
    height = _by_distance(scenes, foot, np.full((len(scenes), 1), 1), dice.roll(2, 4, 1))
    which = np.where(dice.chance(65, 1), 1, 5) + np.zeros((1, most), np.int32)
    sheets.stamp(art.SPOT, which, middle, foot, (height, height), dice.some(6, most))


def paint_front(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """One or two things so near that they hide much."""
    most = 2
    middle = dice.roll(0, SIZE - 1, most)
    height = dice.roll(26, 60, most)
    foot = SIZE + dice.roll(-6, 8, most)
    shown = dice.some(1, most)
    width = dice.roll(10, 26, most)
    sheets.stamp(art.FRONT, dice.roll(0, len(art.FRONT) - 1, most), middle, foot, (height, width), shown)


def paint_rain(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    most = 26
    height = dice.roll(3, 6, 1) + np.zeros((1, most), np.int32)
    which = dice.roll(0, len(art.STREAK) - 1, 1) + np.zeros((1, most), np.int32)
    middle, foot = dice.roll(0, SIZE - 1, most), dice.roll(2, SIZE - 1, most)
    sheets.stamp(art.STREAK, which, middle, foot, (height, np.full_like(height, 3)), np.ones(height.shape, np.bool_))


def paint_snowfall(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    most = 24
    one = np.ones((len(scenes), most), np.int32)
    middle, foot = dice.roll(0, SIZE - 1, most), dice.roll(0, SIZE - 1, most)
    sheets.stamp(art.SPOT, 2 * one, middle, foot, (one, one), one > 0)


def _around(dice: Dice, spread: int, most: int) -> Ints:
    """(N, most) columns within `spread` of one place of each image."""
    return dice.roll(3, SIZE - 4, 1) + dice.roll(-spread, spread, most)


def _feet(dice: Dice, scenes: Scenes, middle_NK: Ints) -> Ints:
    """(N, K) rows on land below `middle_NK`, sorted so that what is nearer is drawn later."""
    first = np.take_along_axis(scenes.shore_NX, np.clip(middle_NK, 0, SIZE - 1), axis=1) + 2
    return np.maximum(np.sort(dice.roll(first, SIZE - 1, middle_NK.shape[1]), axis=1), first)


def _by_distance(scenes: Scenes, foot_NK: Ints, far_N1: Ints, near_N1: Ints) -> Ints:
    """(N, K) heights: `far_N1` at the horizon, `near_N1` at the lower edge."""
    horizon = scenes.horizon[:, None]
    return np.asarray(far_N1 + (near_N1 - far_N1) * (foot_NK - horizon) // (SIZE - horizon), np.int32)


def _stamp(sheets: Sheets, dice: Dice, sprites: Sprites, middle: Ints, foot: Ints, height: Ints, shown: Bools) -> None:
    """Any drawing of `sprites`, a little wider or narrower than natural."""
    which = dice.roll(0, len(sprites) - 1, middle.shape[1])
    width = (height * sprites.width_16 * dice.roll(13, 19, middle.shape[1]) + 128) >> 8
    sheets.stamp(sprites, which, middle, foot, (height, width), shown)
