"""Runs of neighbours: images whose file numbers or capture times follow each other.

They are often of one place, one minute or one hand. Whether they are shows in their colours: neighbours are compared
with random pairs of the same series and labels in a permutation test.

Shapes: N samples, M pairs of neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tagfit.io.memory_maps import release
from tagfit.records.data import Neighbours

#: neighbours lie this near: file numbers, or seconds of capture time
NEAR = {"file numbers": 2, "capture times": 60}
#: a block is of the file numbers that differ in their last digit only, or of so many images of one run of times
BLOCK = 10
#: pairs that are compared, pairs that are too few to say anything, and shuffles
PAIRS, TOO_FEW, SHUFFLES = 2000, 20, 199

_NUMBERED = re.compile(r"(.*?)(\d{1,15})(\D*)")


@dataclass(frozen=True, eq=False)
class Series:
    """Where each sample stands in which series.

    Attributes:
        by: what it is read from: `file numbers` of one folder and stem, or `capture times` of one folder.
        series: (N,) int, -1 if there is neither number nor time.
        position: (N,) float64, file number or seconds.
        place: (N,) int, the place of each sample's name among the sorted names, which decides between equals.
    """

    by: str
    series: NDArray[np.intp]
    position: NDArray[np.float64]
    place: NDArray[np.intp]

    @classmethod
    def of(cls, names: Sequence[str], times: Sequence[str] = ()) -> Series:
        """From sample names, or from capture times (ISO text, or nothing) if half of the samples have one."""
        seconds = [_seconds(text) for text in times]
        if sum(second is not None for second in seconds) * 2 > len(names):
            folders = [name.rpartition("/")[0] for name in names]
            return cls._of("capture times", names, list(zip(folders, seconds, strict=True)))
        return cls._of("file numbers", names, [_numbered(name) for name in names])

    @classmethod
    def _of(cls, by: str, names: Sequence[str], places: list[tuple[str, float | None]]) -> Series:
        known = {name: code for code, name in enumerate(sorted({name for name, at in places if at is not None}))}
        series = np.array([-1 if at is None else known[name] for name, at in places], dtype=np.intp)
        position = np.array([0.0 if at is None else at for _, at in places], dtype=np.float64)
        place = np.empty(len(names), dtype=np.intp)
        place[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
        return cls(by, series, position, place)

    def neighbours(self) -> NDArray[np.intp]:
        """(M, 2) rows of samples that follow each other nearly enough."""
        order = self._order()
        first, second = order[:-1], order[1:]
        near = self.position[second] - self.position[first] <= NEAR[self.by]
        near &= self.series[first] == self.series[second]
        return np.stack([first[near], second[near]], axis=1)

    def blocks(self) -> NDArray[np.intp]:
        """(N,) int number of the block that each sample is in, -1 for those in no series."""
        order = self._order()
        at, series = self.position[order], self.series[order]
        if self.by == "file numbers":
            begins = (np.diff(at // BLOCK) != 0) | (np.diff(series) != 0)
        else:
            begins = (np.diff(at) > NEAR[self.by]) | (np.diff(series) != 0)
            run = np.r_[0, np.cumsum(begins)]
            within = np.arange(len(order)) - np.searchsorted(run, run)
            begins |= within[1:] % BLOCK == 0
        block = np.full(len(self.series), -1, dtype=np.intp)
        block[order] = np.r_[0, np.cumsum(begins)][: len(order)]
        return block

    def _order(self) -> NDArray[np.intp]:
        order = np.lexsort((self.place, self.position, self.series))
        return order[self.series[order] >= 0]


def runs_of_neighbours(x: NDArray[np.uint8], labels_NL: NDArray[np.int8], series: Series) -> Neighbours | None:
    """Compare neighbours of the same labels with random pairs of the same series and labels.

    Args:
        x: (N, H, W, 3) uint8; may be a memory map.
        labels_NL: (N, L) int8.

    Returns:
        What came of it, or None if there are too few neighbours.
    """
    pairs = series.neighbours()
    _, label_set = np.unique(labels_NL, axis=0, return_inverse=True)
    alike = pairs[label_set.ravel()[pairs[:, 0]] == label_set.ravel()[pairs[:, 1]]]
    if len(alike) < TOO_FEW:
        return None
    compared = alike[np.linspace(0, len(alike) - 1, min(PAIRS, len(alike))).astype(np.intp)]
    rows, place = np.unique(compared, return_inverse=True)
    place = place.reshape(-1, 2)
    colours = _colours(x, rows)
    stratum = series.series[rows] * (int(label_set.max()) + 1) + label_set.ravel()[rows]
    # rows in the order of their names, so that the order of the label file does not move the shuffles
    sorted_rows = np.lexsort((series.place[rows], stratum))
    rng = np.random.default_rng(0)
    distance = _distance(colours, place)
    nearer, as_near = 0.0, 0
    for _ in range(SHUFFLES):
        shuffled = np.empty(len(rows), dtype=np.intp)
        shuffled[sorted_rows] = sorted_rows[np.lexsort((rng.random(len(rows)), stratum[sorted_rows]))]
        by_chance = _distance(colours, shuffled[place])
        nearer += float((distance < by_chance).mean() + (distance == by_chance).mean() / 2) / SHUFFLES
        as_near += int(by_chance.mean() <= distance.mean())
    return Neighbours(series.by, pairs, nearer, (1 + as_near) / (1 + SHUFFLES))


def _colours(x: NDArray[np.uint8], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """(n, 6) mean and spread of each colour."""
    found = np.empty((len(rows), 6))
    for number, row in enumerate(rows):
        pixels = x[row].reshape(-1, 3)
        found[number] = [*pixels.mean(axis=0), *pixels.std(axis=0)]
        if number % 1024 == 1023:
            release(x)
    return found


def _distance(colours: NDArray[np.float64], pairs: NDArray[np.intp]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.sqrt(((colours[pairs[:, 0]] - colours[pairs[:, 1]]) ** 2).sum(axis=1))
    return distance


def _numbered(name: str) -> tuple[str, float | None]:
    """`images/beach07.jpg` is number 7 of `images/beach .jpg`; a name without digits has no number."""
    folder, _, file = name.rpartition("/")
    stem, dot, ending = file.rpartition(".")
    parts = _NUMBERED.fullmatch(stem if dot else ending)
    if parts is None:
        return name, None
    before, number, after = parts.groups()
    return f"{folder}/{before} {after}", float(number)


def _seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
