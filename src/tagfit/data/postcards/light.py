"""From materials to pixels: each image's own palette under its own light, haze, texture, noise and exposure."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tagfit.data.postcards.dice import Dice, Ints, image_keys
from tagfit.data.postcards.materials import Grain, Material
from tagfit.data.postcards.scene import Scenes
from tagfit.data.postcards.sheet import ROWS_Y1, SIZE

#: skies by time of day: colour overhead and at the horizon
_SKIES = (
    (
        ((80, 140, 215), (180, 210, 235)),
        ((60, 120, 200), (150, 195, 235)),
        ((130, 165, 205), (215, 220, 220)),
        ((150, 158, 170), (190, 195, 200)),
        ((176, 170, 158), (220, 208, 186)),
    ),
    (
        ((80, 70, 140), (250, 150, 70)),
        ((60, 80, 150), (250, 180, 120)),
        ((150, 80, 110), (255, 170, 90)),
        ((110, 60, 90), (230, 90, 60)),
        ((120, 110, 150), (235, 160, 150)),
    ),
    (
        ((8, 10, 30), (24, 30, 60)),
        ((14, 20, 54), (40, 50, 90)),
        ((20, 30, 70), (64, 70, 110)),
        ((10, 10, 14), (44, 36, 40)),
        ((30, 26, 60), (74, 56, 86)),
    ),
)
#: the light on things by time of day, in 256ths a channel: dimmest and brightest
_LIGHTS = (((206, 206, 206), (268, 264, 258)), ((150, 116, 100), (240, 190, 160)), ((64, 70, 92), (116, 120, 156)))


def develop(scenes: Scenes, materials_NYX: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, SIZE, SIZE, 3) uint8 images."""
    dice = Dice(scenes.keys, 1)
    palette_NMY4 = _palette(dice, scenes)
    number = np.arange(len(scenes), dtype=np.int32)[:, None, None]
    place_NYX = (number * len(Material) + materials_NYX) * SIZE + ROWS_Y1
    flat = palette_NMY4.reshape(-1, 4).view(np.uint32)[:, 0]
    pixels = flat[place_NYX].view(np.uint8).reshape(*place_NYX.shape, 4)[..., :3].astype(np.int16)
    pixels += _texture(dice, scenes, materials_NYX)[..., None]
    pixels += _noise(dice, pixels.shape)
    return np.asarray(np.clip(pixels, 0, 255), np.uint8)


def _palette(dice: Dice, scenes: Scenes) -> NDArray[np.uint8]:
    """(N, M, SIZE, 4) the colour of each material in each row; the fourth channel pads to a 32-bit word."""
    sky_NY3 = _sky(dice, scenes)
    plain_NM3 = _lit(dice, scenes, _own_colours(dice))
    haze_NMY = _haze(dice, scenes)
    haze_colour = sky_NY3[np.arange(len(scenes)), scenes.horizon]
    away_NM3 = haze_colour[:, None, :] - plain_NM3
    colours = plain_NM3[:, :, None, :] + (away_NM3[:, :, None, :] * haze_NMY[..., None] >> 8)
    colours[:, Material.SKY] = sky_NY3
    return _exposed(dice, colours)


def _own_colours(dice: Dice) -> Ints:
    """(N, M, 3) what each material's colour is in this image, in white light."""
    options_MK3, count_M, vary_M = _colour_table()
    choice_NM = dice.roll(0, count_M - 1, len(Material))
    chosen = options_MK3[np.arange(len(Material)), choice_NM]
    return chosen + dice.roll(-vary_M[:, None], vary_M[:, None], len(Material), 3)


def _sky(dice: Dice, scenes: Scenes) -> Ints:
    """(N, SIZE, 3) the sky's colour by row; under an overcast sky it is half grey."""
    skies = np.array(_SKIES, np.int32)[scenes.time, dice.roll(0, len(_SKIES[0]) - 1)]
    skies += dice.roll(-10, 10, 2, 3)
    grey = skies.sum(axis=2, keepdims=True) // 3
    skies += (grey - skies) * np.where(dice.chance(30), dice.roll(0, 10), 0)[:, None, None] >> 4
    down = np.minimum(np.arange(SIZE) * 256 // scenes.horizon[:, None], 256)[:, :, None]
    return np.asarray(skies[:, :1] + ((skies[:, 1:] - skies[:, :1]) * down >> 8))


def _lit(dice: Dice, scenes: Scenes, colours_NM3: Ints) -> Ints:
    low, high = (np.array([light[i] for light in _LIGHTS], np.int32)[scenes.time] for i in (0, 1))
    light_N3 = low + ((high - low) * dice.roll(0, 256)[:, None] >> 8)
    glows = np.array([m.look.glows for m in Material])[:, None]
    return np.where(glows, colours_NM3, colours_NM3 * light_N3[:, None, :] >> 8)


def _haze(dice: Dice, scenes: Scenes) -> Ints:
    """(N, M, SIZE) how much of the horizon's colour lies over each material in each row, in 256ths."""
    distance_M = np.array([m.look.distance for m in Material], np.int32)
    ground_M = np.array([m.look.ground for m in Material])
    below = ROWS_Y1[:, 0] - scenes.horizon[:, None]
    nearness_NY = np.clip(below * 16 // (SIZE - scenes.horizon[:, None]), 0, 16)[:, None, :]
    distance = np.where(ground_M[:, None], distance_M[:, None] * (16 - nearness_NY) >> 4, distance_M[:, None])
    thick = np.where(dice.chance(30), dice.roll(120, 280), dice.roll(0, 120))
    return np.asarray(np.minimum(distance * thick[:, None, None] >> 4, 224))


def _exposed(dice: Dice, colours_NMY3: Ints) -> NDArray[np.uint8]:
    """Faded, tinted, brighter or darker, as a whole."""
    gain_N3 = dice.roll(222, 286, 1) + dice.roll(-9, 9, 3)
    lift = dice.roll(-8, 12)[:, None, None, None]
    grey = colours_NMY3.sum(axis=3, keepdims=True) // 3
    faded = colours_NMY3 + ((grey - colours_NMY3) * dice.roll(-2, 5)[:, None, None, None] >> 4)
    exposed = np.clip((faded * gain_N3[:, None, None, :] >> 8) + lift, 0, 255)
    return np.concatenate([exposed, np.zeros_like(exposed[..., :1])], axis=3).astype(np.uint8)


def _texture(dice: Dice, scenes: Scenes, materials_NYX: NDArray[np.uint8]) -> NDArray[np.int16]:
    """(N, SIZE, SIZE) what the materials' textures add."""
    shift_N2 = dice.roll(0, SIZE - 1, 2)
    row_NY1 = ((ROWS_Y1[:, 0] + shift_N2[:, :1]) % SIZE)[:, :, None] * SIZE
    column_N1X = ((ROWS_Y1[:, 0] + shift_N2[:, 1:]) % SIZE)[:, None, :]
    place = materials_NYX * np.int32(SIZE * SIZE) + (row_NY1 + column_N1X)
    strength = np.where(scenes.time == 2, 8, 16)[:, None, None].astype(np.int16)
    return np.asarray(_rough_materials()[place] * strength >> 4, np.int16)


def _noise(dice: Dice, shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Grain of the film; its strength differs from image to image."""
    pixels = shape[1] * shape[2] * shape[3]
    octets = dice.words(pixels // 8).astype("<u8").view(np.uint8).reshape(shape).astype(np.int16) - 128
    strength = dice.roll(2, 9)[:, None, None, None].astype(np.int16)
    return np.asarray(octets * strength >> 7, np.int16)


@lru_cache(maxsize=1)
def _colour_table() -> tuple[Ints, Ints, Ints]:
    """(M, K, 3) the colours a material may have, (M,) how many, (M,) how much they vary."""
    looks = [material.look for material in Material]
    most = max(len(look.colours) for look in looks)
    options = [look.colours + look.colours[:1] * (most - len(look.colours)) for look in looks]
    return (
        np.array(options, np.int32),
        np.array([len(look.colours) for look in looks], np.int32),
        np.array([look.vary for look in looks], np.int32),
    )


@lru_cache(maxsize=1)
def _rough_materials() -> NDArray[np.int16]:
    """(M * SIZE * SIZE,) each material's texture at its strength."""
    textures = _textures()
    rough = [textures[m.look.grain] * m.look.rough >> 6 for m in Material]
    return np.stack(rough).astype(np.int16).reshape(-1)


def _textures() -> dict[Grain, Ints]:
    """Tiles of white noise, smoothed along the directions that give each texture its look; about -64..64."""
    white = Dice(image_keys(0, 1, 0), 0).roll(-64, 64, len(Grain), SIZE, SIZE)[0]
    return {
        Grain.PLAIN: white[0] * 0,
        Grain.SPECKLE: white[1],
        Grain.RIPPLE: _smooth(_smooth(white[2], 0, 1), 0, 1),
        Grain.BLOTCH: _smooth(_smooth(white[3], 0, 1), 1, 0),
        Grain.STALK: _smooth(_smooth(white[4], 1, 0), 1, 0),
        Grain.SLANT: _smooth(_smooth(white[5], 1, 1), 1, 1),
    }


def _smooth(tile: Ints, down: int, right: int) -> Ints:
    """The sum of three neighbours, scaled so that the spread stays."""
    neighbours = [np.roll(tile, (k * down, k * right), (0, 1)) for k in range(3)]
    return np.asarray(np.sum(neighbours, axis=0) * 9 >> 4, np.int32)
