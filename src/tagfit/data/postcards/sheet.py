"""The sheets that are drawn on: one map of materials for each image, painted from the back to the front."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagfit.data.postcards.dice import Bools, Ints
from tagfit.data.postcards.sprites import Sprites

SIZE = 64
#: room around the image, so that things may stand half outside
_MARGIN = 40
_SIDE = SIZE + 2 * _MARGIN
_INSIDE = slice(_MARGIN, _MARGIN + SIZE)

#: broadcasting grids of an image's columns and rows
COLUMNS_X = np.arange(SIZE, dtype=np.int32)
ROWS_Y1 = COLUMNS_X[:, None]


class Sheets:
    """The maps of B images, or of some of them: what is painted on a selection is painted on the whole."""

    def __init__(self, count: int) -> None:
        self._maps_BYX = np.zeros((count, _SIDE, _SIDE), np.uint8)
        self._rows_N: NDArray[np.intp] = np.arange(count)

    def only(self, rows_N: NDArray[np.intp]) -> Sheets:
        """The same sheets, of which those in `rows_N` alone are painted on."""
        selection = Sheets.__new__(Sheets)
        selection._maps_BYX = self._maps_BYX
        selection._rows_N = self._rows_N[rows_N]
        return selection

    @property
    def materials_NYX(self) -> NDArray[np.uint8]:
        """(N, SIZE, SIZE) uint8 of Material."""
        return self._maps_BYX[self._rows_N, _INSIDE, _INSIDE]

    def fill(self, mask_NYX: Bools, material: ArrayLike) -> None:
        """Paint the pixels in `mask_NYX` with one material, or with a map of materials that broadcasts."""
        painted = np.where(mask_NYX, np.asarray(material, np.uint8), self.materials_NYX)
        self._maps_BYX[self._rows_N, _INSIDE, _INSIDE] = painted

    def stamp(
        self,
        sprites: Sprites,
        which_NK: Ints,
        middle_NK: Ints,
        foot_NK: Ints,
        size_NK: tuple[Ints, Ints],
        shown_NK: Bools,
    ) -> None:
        """Put up to K sprites on each image, one after the other.

        Args:
            which_NK: the drawing.
            middle_NK: its middle column.
            foot_NK: its lowest row.
            size_NK: height and width in pixels.
            shown_NK: whether it is put there at all.
        """
        for k in range(shown_NK.shape[1]):
            rows = np.flatnonzero(shown_NK[:, k])
            if not len(rows):
                continue
            height_n, width_n = (np.maximum(size[rows, k], 1) for size in size_NK)
            left_n = np.clip(middle_NK[rows, k] - width_n // 2 + _MARGIN, 0, _SIDE - width_n)
            top_n = np.clip(foot_NK[rows, k] - height_n + 1 + _MARGIN, 0, _SIDE - height_n)
            patch_nYX = _stretched(sprites.cells_SVU, which_NK[rows, k], height_n, width_n)
            n, y, x = np.nonzero(patch_nYX)
            self._maps_BYX[self._rows_N[rows][n], top_n[n] + y, left_n[n] + x] = patch_nYX[n, y, x]


def _stretched(cells_SVU: NDArray[np.uint8], which_n: Ints, height_n: Ints, width_n: Ints) -> NDArray[np.uint8]:
    """(n, tallest, widest) each drawing at its own size; empty beyond it."""
    _, V, U = cells_SVU.shape
    v_nY, u_nX = _cells(height_n, V - 1), _cells(width_n, U - 1)
    return cells_SVU[which_n[:, None, None], v_nY[:, :, None], u_nX[:, None, :]]


def _cells(length_n: Ints, cells: int) -> Ints:
    """(n, longest) the cell that each pixel of a thing `length_n` pixels long shows; beyond it the empty last one."""
    pixel = np.arange(int(length_n.max()), dtype=np.int32)
    return np.asarray(np.minimum(pixel * cells // length_n[:, None], cells))
