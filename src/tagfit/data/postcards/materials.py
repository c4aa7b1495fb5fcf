"""What images are made of. An image is drawn as a map of materials; each has a label or none, and a look.

The label of a pixel follows from its material alone: that is what makes the labels true by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

#: a label holds where at least so many pixels of it are in sight
PIXELS_IN_SIGHT: dict[str, int] = {
    "beach": 40,
    "birds": 10,
    "boat": 16,
    "city": 30,
    "flowers": 16,
    "forest": 40,
    "mountain": 40,
    "night": 60,
    "people": 14,
    "sea": 40,
    "snow": 20,
    "sunset": 60,
}
#: in the order of the columns of `labels_NL`
LABELS: tuple[str, ...] = tuple(PIXELS_IN_SIGHT)


class Grain(IntEnum):
    """Textures; drawn in `light.py`."""

    PLAIN = 0
    SPECKLE = auto()
    RIPPLE = auto()
    BLOTCH = auto()
    STALK = auto()
    SLANT = auto()


Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """How a material is seen.

    Attributes:
        colours: an image takes one of them, then varies it by up to `vary` a channel.
        label: what a pixel of it shows; the sky's label depends on the time of day.
        distance: how much of the haze lies before it, in 16ths; ground gets nearer from the horizon to the bottom.
        rough: how strong its texture is.
        glows: keeps its colour at night.
    """

    colours: tuple[Colour, ...]
    label: str | None = None
    distance: int = 3
    grain: Grain = Grain.PLAIN
    rough: int = 0
    vary: int = 14
    ground: bool = False
    glows: bool = False


_GREENS = ((38, 84, 40), (58, 100, 44), (30, 68, 52), (84, 104, 40))
_AUTUMN = (*_GREENS, (150, 96, 36), (134, 64, 34))
_CLOTHES = ((200, 40, 44), (40, 74, 180), (240, 200, 50), (236, 236, 230), (36, 36, 44), (220, 110, 170))
_PETALS = ((226, 40, 60), (240, 120, 180), (246, 246, 240), (150, 70, 200), (250, 150, 40), (90, 110, 230))
_TOWERS = ((120, 116, 122), (150, 134, 120), (86, 92, 108), (170, 160, 150), (132, 90, 78))
_STONE = ((112, 106, 104), (96, 88, 80), (120, 100, 84), (84, 92, 104))
_WHITE = ((232, 236, 242), (222, 226, 234), (240, 240, 238))


class Material(IntEnum):
    """Every material, by how it is seen. Numbered in this order, which the drawn bytes depend on."""

    look: Look

    def __new__(cls, look: Look) -> Material:
        material = int.__new__(cls, len(cls.__members__))
        material._value_, material.look = int(material), look
        return material

    # fmt: off
    NOTHING = Look(((0, 0, 0),), vary=0)
    # sky
    SKY = Look(((0, 0, 0),), vary=0, grain=Grain.BLOTCH, rough=4, glows=True)
    HALO = Look(((250, 200, 120), (250, 170, 110), (252, 210, 150)), distance=5, glows=True)
    SUN = Look(((255, 236, 190), (255, 220, 140), (255, 190, 120)), distance=2, glows=True)
    MOON = Look(((236, 234, 214), (246, 240, 224)), distance=4, glows=True)
    STAR = Look(((220, 220, 230), (190, 196, 220)), distance=5, vary=30, glows=True)
    CLOUD = Look(((236, 238, 242), (214, 216, 222)), distance=6, grain=Grain.BLOTCH, rough=8)
    CLOUD_BELLY = Look(((200, 204, 212), (176, 180, 192)), distance=7, grain=Grain.BLOTCH, rough=8)
    BIRD = Look(((40, 40, 46), (24, 24, 28), (240, 240, 240)), "birds", distance=3)
    KITE = Look(_CLOTHES, distance=4)
    # far
    HILL = Look(((86, 118, 70), (112, 116, 74), (92, 104, 110), (128, 110, 84)), distance=9, grain=Grain.BLOTCH, rough=10)
    FAR_RIDGE = Look(((96, 106, 130), (112, 112, 124)), "mountain", distance=11, grain=Grain.SLANT, rough=10)
    RIDGE = Look(_STONE, "mountain", distance=7, grain=Grain.SLANT, rough=24)
    RIDGE_SHADE = Look(((70, 68, 74), (60, 58, 60), (78, 66, 60)), "mountain", distance=7, grain=Grain.SLANT, rough=22)
    CAP = Look(_WHITE, "snow", distance=6, grain=Grain.SLANT, rough=8)
    CAP_SHADE = Look(((186, 198, 222), (172, 182, 206)), "snow", distance=6, grain=Grain.SLANT, rough=8)
    TOWER_1 = Look(_TOWERS, "city", distance=6, vary=20)
    TOWER_2 = Look(_TOWERS, "city", distance=6, vary=20)
    TOWER_3 = Look(_TOWERS, "city", distance=6, vary=20)
    PANE = Look(((60, 70, 90), (170, 190, 205), (48, 48, 56)), "city", distance=5)
    PANE_LIT = Look(((250, 214, 120), (250, 230, 170)), "city", distance=4, glows=True)
    # ground
    SEA = Look(((36, 96, 150), (30, 126, 150), (76, 112, 126), (24, 64, 112), (60, 150, 160)), "sea", 9, Grain.RIPPLE, 20, ground=True)
    FOAM = Look(((226, 234, 236),), "sea", distance=3)
    GLINT = Look(((250, 216, 160), (240, 236, 220)), "sea", distance=3, glows=True)
    SAND = Look(((222, 196, 140), (206, 182, 140), (232, 214, 172), (190, 160, 116)), "beach", 4, Grain.SPECKLE, 16, ground=True)
    GRASS = Look(((96, 136, 56), (76, 120, 62), (126, 140, 66), (60, 104, 50)), None, 6, Grain.BLOTCH, 18, ground=True)
    WHEAT = Look(((214, 184, 104), (196, 168, 96), (176, 146, 90)), None, 6, Grain.STALK, 22, ground=True)
    EARTH = Look(((130, 100, 74), (150, 124, 96), (108, 84, 70)), None, 6, Grain.BLOTCH, 18, ground=True)
    PAVING = Look(((130, 130, 134), (104, 104, 110), (168, 160, 152)), None, 6, Grain.RIPPLE, 6, ground=True)
    SNOW = Look(_WHITE, "snow", 4, Grain.BLOTCH, 9, ground=True)
    # things that carry a label
    NEEDLES = Look(_GREENS, "forest", distance=4, grain=Grain.BLOTCH, rough=20)
    CROWN = Look(_AUTUMN, "forest", distance=4, grain=Grain.BLOTCH, rough=24)
    CROWN_SHADE = Look(_GREENS, "forest", distance=4, grain=Grain.BLOTCH, rough=20)
    TRUNK = Look(((74, 54, 40), (90, 76, 66)), "forest", distance=4)
    HULL = Look(((240, 240, 236), (150, 50, 44), (36, 44, 76), (120, 84, 56)), "boat")
    SAIL = Look(((246, 244, 236), (240, 236, 220), (214, 70, 56)), "boat")
    CABIN = Look(((236, 236, 232), (200, 204, 210)), "boat")
    SKIN = Look(((232, 190, 160), (196, 146, 110), (124, 84, 60)), "people")
    HAIR = Look(((60, 44, 36), (30, 26, 26), (170, 130, 70)), "people")
    SHIRT_1 = Look(_CLOTHES, "people", vary=24)
    SHIRT_2 = Look(_CLOTHES, "people", vary=24)
    SHIRT_3 = Look(_CLOTHES, "people", vary=24)
    TROUSERS = Look(((40, 50, 84), (50, 46, 44), (130, 110, 84)), "people")
    PETAL_1 = Look(_PETALS, "flowers", distance=1, vary=20)
    PETAL_2 = Look(_PETALS, "flowers", distance=1, vary=20)
    PISTIL = Look(((250, 214, 60), (120, 80, 30)), "flowers", distance=1)
    # things that carry none, and look like those that do
    LEAF = Look(((196, 110, 40), (206, 160, 50), (160, 60, 40), (90, 120, 50)), distance=1, vary=20)
    BUSH = Look(_AUTUMN, distance=2, grain=Grain.BLOTCH, rough=22)
    BERRY = Look(_PETALS, distance=2, vary=20)
    LONE_CROWN = Look(_AUTUMN, distance=4, grain=Grain.BLOTCH, rough=22)
    BARK = Look(((74, 54, 40), (90, 76, 66)), distance=2, grain=Grain.STALK, rough=10)
    WALL = Look(((226, 214, 196), (190, 150, 110), (160, 90, 70), (206, 206, 204)), distance=4)
    ROOF = Look(((160, 66, 48), (120, 60, 50), (84, 80, 86), (110, 84, 60)), distance=4)
    WINDOW = Look(((250, 214, 120), (70, 76, 90), (250, 230, 170)), distance=3, glows=True)
    ROCK = Look(_STONE, distance=3, grain=Grain.BLOTCH, rough=16)
    ROCK_LIGHT = Look(((150, 146, 142), (160, 146, 130)), distance=3, grain=Grain.BLOTCH, rough=12)
    POST = Look(((80, 60, 46), (150, 150, 150), (230, 230, 226), (180, 50, 46)), distance=2)
    CANVAS_1 = Look(_CLOTHES, vary=20)
    CANVAS_2 = Look(((244, 240, 230), (240, 200, 60)), vary=20)
    CAR = Look(_CLOTHES, vary=20)
    TYRE = Look(((24, 24, 26),), distance=2)
    RAIN = Look(((170, 180, 196),), distance=4)
    FLAKE = Look(((246, 248, 250),), distance=1)
    FRAME = Look(((246, 244, 236), (236, 228, 208), (250, 250, 250)), distance=0, vary=6, glows=True)
    # fmt: on


#: what the sky shows by time of day, for the materials that are sky
SKY_MATERIALS: tuple[Material, ...] = (Material.SKY, Material.HALO, Material.STAR, Material.MOON, Material.SUN)
