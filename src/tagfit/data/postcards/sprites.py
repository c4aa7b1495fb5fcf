"""Small things as character drawings, one letter a cell. They are stretched to size when they are put on a sheet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.data.postcards.materials import Material as M


@dataclass(frozen=True, eq=False)
class Sprites:
    """Drawings that replace one another: (S, height + 1, width + 1) materials, the last row and column empty.

    `width` per `height` (in 16ths) is the shape in which they look natural.
    """

    cells_SVU: NDArray[np.uint8]
    width_16: int

    def __len__(self) -> int:
        return len(self.cells_SVU)


def _sprites(drawings: str, legends: tuple[dict[str, M], ...]) -> Sprites:
    """Drawings stand side by side, parted by blanks; each is coloured in by every legend."""
    rows = [line.split() for line in drawings.strip().splitlines()]
    images = [[row[i] for row in rows] for i in range(len(rows[0]))]
    height, width = len(rows), len(rows[0][0])
    cells = np.zeros((len(images) * len(legends), height + 1, width + 1), np.uint8)
    for number, (legend, image) in enumerate((legend, p) for legend in legends for p in images):
        for v, row in enumerate(image):
            cells[number, v, :width] = [legend.get(letter, M.NOTHING) for letter in row]
    return Sprites(cells, 16 * width // height)


def _shirts(*shirts: M) -> tuple[dict[str, M], ...]:
    return tuple({"o": M.SKIN, "h": M.HAIR, "S": shirt, "L": M.TROUSERS} for shirt in shirts)


PERSON = _sprites(
    """
    ..h..  ..h..  .hh..  ..h..  ..h..
    ..o..  ..o..  .oo..  o.o.o  ..o..
    .SSS.  .SSS.  .SSS.  SSSSS  .SSS.
    SSSSS  SSSSo  .SSSo  .SSS.  .SSS.
    S.S.S  S.S..  .SSS.  .SSS.  oSSSo
    o.S.o  oSSS.  .SSS.  .SSS.  SSSSS
    .LLL.  .LLL.  .LLL.  .LLL.  SSSSS
    .L.L.  .L.LL  .L.L.  .L.L.  .o.o.
    .L.L.  LL..L  LL.LL  .L.L.  .o.o.
    """,
    _shirts(M.SHIRT_1, M.SHIRT_2, M.SHIRT_3),
)

BOAT = _sprites(
    """
    .....s.....  .....p.....  ...........
    .....ss....  .....pss...  ...........
    ....pss....  ....ppss...  ....p......
    ...sppsss..  ...sp.sss..  ....pccc...
    ..sspssss..  ..ssp.ssss.  ..cccccc...
    .ssspsssss.  .sssp.sssss  ..cpcpcccc.
    .....p.....  ....p......  hhhhhhhhhhh
    hhhhhhhhhhh  .hhhhhhhhh.  hhhhhhhhhh.
    .hhhhhhhhh.  ..hhhhhhh..  .hhhhhhhh..
    """,
    ({"s": M.SAIL, "p": M.HULL, "h": M.HULL, "c": M.CABIN},),
)

BIRD = _sprites(
    """
    b.....b  .......  bb...bb
    bb...bb  .bb.bb.  .bb.bb.
    .bb.bb.  bbbbbbb  ..bbb..
    ..bbb..  b..b..b  ...b...
    """,
    ({"b": M.BIRD},),
)

FLOWER = _sprites(
    """
    .ff.  ffff  f.f.
    fyyf  fyyf  .yff
    fyyf  .ff.  ffy.
    .ff.  .gg.  .f.f
    """,
    ({"f": M.PETAL_1, "y": M.PISTIL, "g": M.GRASS}, {"f": M.PETAL_2, "y": M.PISTIL, "g": M.GRASS}),
)

CONIFER = _sprites(
    """
    ....n....  ....n....
    ....n....  ...nn....
    ...nnn...  ...nnn...
    ...nnn...  ..nnnn...
    ..nnnnn..  ...nnnn..
    ...nnn...  ..nnnnn..
    ..nnnnn..  .nnnnnnn.
    .nnnnnnn.  ..nnnnn..
    ..nnnnn..  .nnnnnn..
    .nnnnnnn.  nnnnnnnn.
    nnnnnnnnn  .nnnnnnnn
    ....t....  ....t....
    """,
    ({"n": M.NEEDLES, "t": M.TRUNK}, {"n": M.CROWN_SHADE, "t": M.TRUNK}),
)

_LEAFY = """
    ...ccc...  ..ccc....
    ..ccccc..  .cccccc..
    .ccccccc.  ccccccccc
    .cccccsc.  cccccccc.
    cccccccss  .ccccssc.
    ccccccsss  .cccsssss
    .cccsssss  ..csssss.
    ..cssss..  ...ssss..
    ...ttt...  ....tt...
    ....t....  ....t....
    ....t....  ....t....
    """

LEAFY = _sprites(_LEAFY, ({"c": M.CROWN, "s": M.CROWN_SHADE, "t": M.TRUNK},))
LONE_TREE = _sprites(_LEAFY, ({"c": M.LONE_CROWN, "s": M.BUSH, "t": M.BARK}, {"c": M.BUSH, "s": M.BUSH, "t": M.BARK}))

BUSH = _sprites(
    """
    ...bbb....  ....bb....
    .bbbbbbb..  ..bbbbbb..
    bbbbrbbbb.  .bbbbbbbb.
    bbrbbbbbbb  bbbbbbbbbb
    bbbbbbrbbb  bbbbbbbbbb
    bbbbbbbbbb  .bbbbbbbb.
    """,
    ({"b": M.BUSH, "r": M.BERRY}, {"b": M.BUSH, "r": M.BUSH}),
)

ROCK = _sprites(
    """
    ...rr...  ........  ..rr....
    ..rrrr..  ..rrrr..  .rlrrr..
    .rllrrr.  .rllrrrr  rllrrrr.
    rllrrrrr  rlrrrrrr  rrrrrrrr
    rrrrrrrr  rrrrrrr.  rrrrrrrr
    """,
    ({"r": M.ROCK, "l": M.ROCK_LIGHT},),
)

HOUSE = _sprites(
    """
    ....rr....  ..........
    ...rrrr...  .rrrrrr...
    ..rrrrrr..  rrrrrrrr..
    .rrrrrrrr.  rrrrrrrrr.
    rrrrrrrrrr  .wwwwwww..
    .wwwwwwww.  .wiwwwiw..
    .wiiwwiiw.  .wwwiwww..
    .wiiwwiiw.  .wwwiwww..
    .wwwwwwww.  .wwwiwww..
    """,
    ({"r": M.ROOF, "w": M.WALL, "i": M.WINDOW},),
)

#: thin upright things that stand where people stand
POST = _sprites(
    """
    .ppp.  .www.  .....  ..p..
    .ppp.  .www.  ..p..  ..p..
    ..p..  ..p..  ppppp  .ppp.
    ..p..  ..p..  ..p..  .p.p.
    ..p..  ..p..  ppppp  .p.p.
    ..p..  ..p..  ..p..  .ppp.
    ..p..  ..p..  ..p..  ..p..
    ..p..  ..p..  ..p..  ..p..
    ..p..  .ppp.  ..p..  ..p..
    """,
    ({"p": M.POST, "w": M.WINDOW},),
)

#: triangles like sails, on land
CANVAS = _sprites(
    """
    ....a....  ....c....  ....a....
    ...aaa...  ...aca...  ....aa...
    ..acaca..  ..aacaa..  ...aaaa..
    .acacaca.  .aaacaaa.  ..aaacaa.
    acacacaca  .aaaccaaa  ..aacccaa
    ....p....  aaaccccaa  .aaacccaa
    ....p....  aaaccccaa  aaccccaaa
    """,
    ({"a": M.CANVAS_1, "c": M.CANVAS_2, "p": M.POST},),
)

CAR = _sprites(
    """
    ...ccccc...  .........cc
    ..cwwcwwc..  cccccccccwc
    ccccccccccc  cccccccccwc
    ccccccccccc  ccccccccccc
    .tt.....tt.  .tt.....tt.
    """,
    ({"c": M.CAR, "w": M.WINDOW, "t": M.TYRE},),
)

CLOUD = _sprites(
    """
    .....cc.......  ..............  ...ccc........
    ...cccccc.....  ...ccccccc....  .ccccccc.ccc..
    .cccccccccccc.  cccccccccccccc  cccccccccccccc
    cccccccccccccc  .bbbccccccbbb.  .cccbbbbccccc.
    .bbbbbbbbbbb..  ...bbbbbb.....  ...bb....bb...
    """,
    ({"c": M.CLOUD, "b": M.CLOUD_BELLY},),
)

#: things that fly, and are no birds
KITE = _sprites(
    """
    ...k...  .......  ..kkk..
    ..kkk..  k......  .kkkkk.
    .kkkkk.  kk.....  .kkkkk.
    ..kkk..  kkkkkkk  ..kkk..
    ...k...  ...kk..  ...k...
    ....k..  ..kk...  ..kkk..
    """,
    ({"k": M.KITE},),
)

DISC = _sprites(
    """
    ..dddd..
    .dddddd.
    dddddddd
    dddddddd
    dddddddd
    dddddddd
    .dddddd.
    ..dddd..
    """,
    ({"d": M.SUN}, {"d": M.HALO}, {"d": M.MOON}),
)

SPOT = _sprites("d", tuple({"d": m} for m in (M.STAR, M.LEAF, M.FLAKE, M.GLINT, M.FOAM, M.ROCK_LIGHT)))
STREAK = _sprites(
    """
    ..r  .r.
    ..r  .r.
    .r.  .r.
    .r.  r..
    r..  r..
    """,
    ({"r": M.RAIN},),
)

#: tall things at the very front, which hide what is behind them
FRONT = _sprites(
    """
    ..kkk...  bbbbbb..  ........  ....pp..
    ..kkk...  bbbbbbb.  ..bbb...  ....pp..
    ..kkk...  bbbbbb..  .bbbbbb.  ....pp..
    ..kkk...  bbbkbb..  bbbrbbbb  ....pp..
    ..kkkk..  .bkkb...  bbbbbbbb  ....pp..
    ..kkk...  ..kk....  bbbbbrbb  ....pp..
    ..kkk...  ..kk....  bbrbbbbb  ....pp..
    ..kkk...  ..kk....  bbbbbbbb  ....pp..
    ..kkk...  ..kk....  bbbbbbbb  ....pp..
    .kkkkk..  .kkkk...  bbbbbbbb  ....pp..
    """,
    ({"k": M.BARK, "b": M.BUSH, "r": M.BERRY, "p": M.POST},),
)
