"""Drawing steps for what fills the image's width: sky, mountains, a city, water and land."""

from __future__ import annotations

import numpy as np

from tagfit.data.postcards.dice import Bools, Dice, Ints
from tagfit.data.postcards.materials import Material as M
from tagfit.data.postcards.scene import Scenes, Time
from tagfit.data.postcards.sheet import COLUMNS_X, ROWS_Y1, SIZE, Sheets
from tagfit.data.postcards.sprites import CLOUD, DISC, SPOT


def paint_sky(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    sheets.fill(np.ones((len(scenes), 1, 1), np.bool_), M.SKY)


def paint_stars(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    most = 16
    shown = dice.some(0, most)
    foot = dice.roll(0, scenes.horizon[:, None], most)
    one = np.ones_like(foot)
    sheets.stamp(SPOT, 0 * one, dice.roll(0, SIZE - 1, most), foot, (one, one), shown)


def paint_sun(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """A disc: by day high, at sunset low with a halo, at night the moon."""
    low = scenes.time == Time.SUNSET
    middle = dice.roll(4, SIZE - 5, 1)
    size = np.where(low, dice.roll(6, 13), dice.roll(4, 8))[:, None]
    foot = np.where(low, scenes.horizon + dice.roll(-8, 5), dice.roll(6, 20))[:, None]
    rim = dice.roll(2, 6, 1)
    there = dice.chance(np.array([25, 72, 50])[scenes.time])[:, None]
    halo = size + 2 * rim
    sheets.stamp(DISC, np.ones_like(size), middle, foot + rim, (halo, halo), there & low[:, None])
    disc = np.where(scenes.time == Time.NIGHT, 2, 0)[:, None]
    sheets.stamp(DISC, disc, middle, foot, (size, size), there)


def paint_clouds(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    most = 5
    width = dice.roll(10, 38, most)
    height = width * dice.roll(4, 7, most) // 20
    foot = dice.roll(2, scenes.horizon[:, None] - 1, most)
    shown = dice.some(1, most)
    sheets.stamp(CLOUD, dice.roll(0, len(CLOUD) - 1, most), dice.roll(0, SIZE - 1, most), foot, (height, width), shown)


def paint_hills(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """Round and low: mountains are neither."""
    peaks = 3
    top = dice.roll(2, 9, peaks)[:, :, None]
    distance = COLUMNS_X - dice.roll(-4, SIZE + 4, peaks)[:, :, None]
    height = (top - distance * distance * dice.roll(3, 9, peaks)[:, :, None] // 512).max(axis=1)
    sheets.fill(_between(scenes.horizon[:, None] - height, scenes.horizon[:, None]), M.HILL)


def paint_far_mountains(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    _, height = _ridge(dice, np.full(len(scenes), 5), np.minimum(scenes.horizon - 6, 20))
    sheets.fill(_between(scenes.horizon[:, None] - height, scenes.horizon[:, None]), M.FAR_RIDGE)


def paint_mountains(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """Jagged ridges with a lit and a shaded side, and snow above a line."""
    lit, height = _ridge(dice, dice.roll(6, 14), np.minimum(scenes.horizon - 3, 30))
    top = scenes.horizon[:, None] - height
    rock = np.where(lit[:, None, :], M.RIDGE, M.RIDGE_SHADE)
    sheets.fill(_between(top, scenes.horizon[:, None]), rock)
    highest = height.max(axis=1)
    snow_line = scenes.horizon - highest + 2 + highest * dice.roll(20, 70) // 100
    ragged = snow_line[:, None] + dice.roll(-2, 2, SIZE)
    caps = scenes.has("caps")[:, None, None] & _between(top, ragged)
    sheets.fill(caps, np.where(lit[:, None, :], M.CAP, M.CAP_SHADE))


def _ridge(dice: Dice, lowest: Ints, highest: Ints) -> tuple[Bools, Ints]:
    """(N, SIZE) whether the slope is lit, and the height above the horizon."""
    peaks = 4
    peak = dice.roll(lowest[:, None], np.maximum(highest, lowest)[:, None], peaks)[:, :, None]
    distance = COLUMNS_X - dice.roll(-6, SIZE + 6, peaks)[:, :, None]
    slope = dice.roll(9, 26, peaks)[:, :, None]
    shown = (np.arange(peaks) < dice.roll(1, peaks)[:, None])[:, :, None]
    height = np.where(shown, peak - (np.abs(distance) * slope >> 4), 0)
    nearest = height.argmax(axis=1)[:, None, :]
    from_peak = np.take_along_axis(distance, nearest, axis=1)[:, 0]
    lit = from_peak < dice.roll(-2, 2, SIZE)
    return lit, np.maximum(height.max(axis=1) + dice.roll(-1, 1, SIZE), 0)


def paint_city(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """Towers side by side, with rows of windows, some lit."""
    most = 10
    width = dice.roll(5, 12, most)
    start = np.cumsum(width, axis=1) - width + dice.roll(-8, 24, 1)
    count = dice.roll(4, most)[:, None, None]
    inside = start[:, :, None] <= COLUMNS_X
    tower = np.maximum(inside.sum(axis=1) - 1, 0)
    before_the_end = (inside[:, 1:].sum(axis=1) + 1 <= count[:, 0]) & inside[:, 0]
    tallest = np.minimum(dice.roll(12, 32), scenes.horizon - 2)[:, None]
    height = np.take_along_axis(dice.roll(np.minimum(6, tallest), tallest, most), tower, axis=1)
    column = COLUMNS_X - np.take_along_axis(start, tower, axis=1)
    base = (scenes.horizon + dice.roll(0, 2))[:, None]
    top = base - np.where(before_the_end, height, 0)
    wall = (M.TOWER_1 + np.take_along_axis(dice.roll(0, 2, most), tower, axis=1))[:, None, :]
    pane = _lit_panes(dice, scenes, top, column)
    sheets.fill(_between(top, base), np.where(pane > 0, pane, wall))


def _lit_panes(dice: Dice, scenes: Scenes, top: Ints, column: Ints) -> Ints:
    """(N, SIZE, SIZE) PANE, PANE_LIT, or 0 where the wall is."""
    floors = ROWS_Y1 - top[:, None, :]
    spacing = dice.roll(2, 3)[:, None, None]
    pane = (floors % spacing == 1) & (column[:, None, :] % spacing == 1) & (column[:, None, :] < 10)
    percent = np.where(scenes.time == Time.DAY, 6, 55)
    bits = dice.words(SIZE)[:, :, None] >> np.arange(SIZE, dtype=np.uint64)
    other_bits = dice.words(SIZE)[:, None, :] >> np.arange(SIZE, dtype=np.uint64)[:, None]
    dealt = ((bits & np.uint64(7)) * np.uint64(8) + (other_bits & np.uint64(7))).astype(np.int32)
    lit = dealt * 100 < percent[:, None, None] * 64
    return np.where(pane, np.where(lit, M.PANE_LIT, M.PANE), 0)


def paint_sea(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    sheets.fill(scenes.horizon[:, None, None] <= ROWS_Y1, M.SEA)


def paint_glints(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """Light on the water and white crests: short flat strokes."""
    most = 10
    which = np.where(dice.chance(50), 3, 4)[:, None] + np.zeros((1, most), np.int32)
    foot = dice.roll(scenes.horizon[:, None] + 1, SIZE - 1, most)
    width = dice.roll(2, 7, most)
    shown = dice.some(0, most)
    sheets.stamp(SPOT, which, dice.roll(0, SIZE - 1, most), foot, (np.ones_like(width), width), shown)


def paint_land(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    land = scenes.shore_NX[:, None, :] <= ROWS_Y1
    sheets.fill(land, scenes.ground[:, None, None])
    surf = scenes.has("beach")[:, None, None] & _between(scenes.shore_NX - dice.roll(0, 2, SIZE), scenes.shore_NX)
    sheets.fill(surf, M.FOAM)


def paint_patches(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """Fields and paths of another ground: stripes across the land."""
    ground = np.array([M.GRASS, M.WHEAT, M.EARTH, M.PAVING, M.EARTH])[dice.pick((26, 26, 22, 16, 10))]
    middle = dice.roll(scenes.horizon, SIZE - 1)[:, None] + dice.roll(-24, 24)[:, None] * (COLUMNS_X - 32) // SIZE
    half = dice.roll(1, 5)[:, None]
    stripe = _between(np.maximum(middle - half, scenes.shore_NX + 1), middle + half)
    sheets.fill(stripe, ground[:, None, None])


def paint_frame(sheets: Sheets, scenes: Scenes, dice: Dice) -> None:
    """A postcard's white border."""
    border = dice.roll(1, 4)[:, None, None]
    x_or_y = np.minimum(COLUMNS_X, SIZE - 1 - COLUMNS_X)
    sheets.fill(np.minimum(x_or_y, x_or_y[:, None]) < border, M.FRAME)


def _between(top_NX: Ints, bottom_NX: Ints) -> Bools:
    """(N, SIZE, SIZE) the rows from `top_NX` to before `bottom_NX` of each column."""
    return np.asarray((top_NX[:, None, :] <= ROWS_Y1) & (bottom_NX[:, None, :] > ROWS_Y1))
