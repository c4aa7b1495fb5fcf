"""Random integers that are the same on every machine, and for each image independent of all others.

A counter-based stream (splitmix64): the n-th number of an image is a function of the image's key and n alone,
so nothing has to be drawn before it. All arithmetic is 64-bit integers that wrap around.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]

_WORD = (1 << 64) - 1
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _mix(words: Words) -> Words:
    """The finaliser of splitmix64; `words` is used up."""
    words ^= words >> np.uint64(30)
    words *= _FIRST
    words ^= words >> np.uint64(27)
    words *= _SECOND
    words ^= words >> np.uint64(31)
    return words


def image_keys(start: int, stop: int, seed: int) -> Words:
    """(N,) one key for each of the images start..stop-1 of `seed`."""
    root = _mix(np.array([seed & _WORD], np.uint64) + _GAMMA)
    return _mix(np.arange(start, stop, dtype=np.uint64) * _GAMMA + root)


class Dice:
    """The random numbers of one drawing step, for the N images whose keys are given."""

    def __init__(self, keys_N: Words, step: int) -> None:
        self._keys_N = _mix(keys_N + np.array([step + 1], np.uint64) * _FIRST)
        self._count = 0

    def words(self, count: int) -> Words:
        """(N, count) fresh 64-bit words."""
        counter = np.arange(self._count + 1, self._count + count + 1, dtype=np.uint64) * _GAMMA
        self._count += count
        return _mix(self._keys_N[:, None] + counter)

    def roll(self, low: ArrayLike, high: ArrayLike, *shape: int) -> Ints:
        """(N, *shape) int32, each from `low` to `high` inclusive; both may be arrays that broadcast to that shape."""
        count = 1
        for length in shape:
            count *= length
        first = np.asarray(low, np.int64)
        span = np.maximum(np.asarray(high, np.int64) - first + 1, 1).astype(np.uint64)
        upper_half = (self.words(count) >> np.uint64(32)).reshape(-1, *shape)
        return np.asarray(first + ((upper_half * span) >> np.uint64(32)).astype(np.int64), np.int32)

    def chance(self, percent: ArrayLike, *shape: int) -> Bools:
        """(N, *shape) True in `percent` of a hundred cases."""
        return np.asarray(self.roll(0, 99, *shape) < np.asarray(percent))

    def some(self, fewest: int, most: int) -> Bools:
        """(N, most) True for the first few, from `fewest` to `most`."""
        return np.arange(most) < self.roll(fewest, most)[:, None]

    def pick(self, weights: tuple[int, ...]) -> Ints:
        """(N,) index into `weights`, each as often as its weight says."""
        steps = np.cumsum(np.array(weights, np.int32))
        return np.searchsorted(steps, self.roll(0, int(steps[-1]) - 1), side="right").astype(np.int32)
