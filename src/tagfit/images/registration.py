"""Lay one image over another: scale and shift of both axes by Gauss-Newton steps.

Lucas & Kanade, "An iterative image registration technique with an application to stereo vision", IJCAI 1981.

Shapes: P pairs of images, S pixels a side, C colours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

#: the most that is scaled, either way, and shifted, as a fraction of a side
SCALED, SHIFTED = 1.25, 0.125


def registered(
    first: NDArray[np.float32], second: NDArray[np.float32], moves: NDArray[np.float32], *, rounds: int
) -> NDArray[np.float32]:
    """(P, 4) scale and shift of rows, scale and shift of columns that lay `second` over `first`."""
    target, source = (_standardised(blurred(images @ LUMA)) for images in (first, second))
    count, side = len(target), target.shape[1]
    place = _places(side)
    damping = 0.1 * np.eye(6, dtype=np.float32)
    for _ in range(rounds):
        laid, covered = moved(source[..., None], moves)
        laid = laid[..., 0]
        down, across = np.gradient(laid, axis=1) * side, np.gradient(laid, axis=2) * side
        # beside the four of the move, an offset and a factor take up what is left of brightness and contrast
        slopes = [down * place[:, None], down, across * place, across, np.ones_like(laid), laid]
        jacobian = (np.stack(slopes, axis=-1) * covered[..., None]).reshape(count, -1, 6)
        rest = ((target - laid) * covered).reshape(count, -1, 1)
        transposed = jacobian.transpose(0, 2, 1)
        steps = np.linalg.solve(transposed @ jacobian + damping, transposed @ rest)[:, :4, 0]
        moves = moves + np.clip(steps, -0.1, 0.1)
        moves = np.clip(moves, 2 * [1 / SCALED, -SHIFTED], 2 * [SCALED, SHIFTED]).astype(np.float32)
    return moves


def moved(images: NDArray[np.float32], moves: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(P, S, S, C) images after their (P, 4) moves, bilinear; (P, S, S) if there was an image to take from."""
    count, side, _, colours = images.shape
    down, inside_down = _taken(moves[:, :2], side)
    across, inside_across = _taken(moves[:, 2:], side)
    lines = (down @ images.reshape(count, side, -1)).reshape(count, side, side, colours)
    columns = (across @ lines.swapaxes(1, 2).reshape(count, side, -1)).reshape(count, side, side, colours)
    laid: NDArray[np.float32] = np.ascontiguousarray(columns.swapaxes(1, 2))
    return laid, inside_down[:, :, None] & inside_across[:, None, :]


def _taken(moves: NDArray[np.float32], side: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(P, side, side) share of each pixel of a line in each after the (P, 2) moves; (P, side) if there is any."""
    at = (_places(side) * moves[:, :1] + moves[:, 1:]) * side + (side - 1) / 2
    inside = (at > -0.5) & (at < side - 0.5)
    at = np.clip(at, 0, side - 1)
    share = np.clip(1 - np.abs(at[:, :, None] - np.arange(side, dtype=np.float32)), 0, None)
    return share.astype(np.float32), inside


def blurred(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """(P, S, S, ...) averaged with their neighbours, 1:2:1 along both axes; a gradient stays what it is."""
    for axis in (1, 2):
        margin = [(int(number == axis),) * 2 for number in range(images.ndim)]
        padded = np.moveaxis(np.pad(images, margin, mode="reflect", reflect_type="odd"), axis, 0)
        mixed = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / np.float32(4)
        images = np.moveaxis(mixed, 0, axis)
    return images


def _standardised(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    spread = grey.std(axis=(1, 2), keepdims=True) + 1e-3
    standardised: NDArray[np.float32] = (grey - grey.mean(axis=(1, 2), keepdims=True)) / spread
    return standardised


def _places(side: int) -> NDArray[np.float32]:
    """(side,) where the middle of each pixel lies, from -1/2 to 1/2."""
    return ((np.arange(side) - (side - 1) / 2) / side).astype(np.float32)
