"""Many postcards, drawn once into the cache and mapped into memory.

Two files, to which blocks of images are added and in which nothing ever changes: the pixels, and a mark for each
label of each image, which says by the way whether the image is drawn. A block has marks once its pixels are on
disk, so a drawing that is killed goes on where it was; two at once write the same bytes to the same places.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.data.postcards.album import draw
from tagfit.data.postcards.materials import LABELS
from tagfit.data.postcards.sheet import SIZE
from tagfit.images.workers import cores
from tagfit.io.cache import made_folder
from tagfit.io.files import sync

#: how the images of this version begin, by the SHA-256 of the first 64: other images are other files
DRAWING = "cb6bde36"

#: images that are drawn and written at a time
BLOCK = 1024

#: a mark is this much above its label, so that nothing written is no label
_DRAWN = 1

_SHAPE = (SIZE, SIZE, 3)

#: called with (done, total)
OnDraw = Callable[[int, int], object]


def stack(count: int, on_draw: OnDraw | None = None) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """The first `count` images of seed 0 as a read-only memory map (count, 64, 64, 3), and their labels (count, L).

    Raises:
        OSError, RuntimeError: the cache folder cannot be used.
    """
    folder = made_folder()
    pixels, marks = (folder / f"tagfit-postcards-{DRAWING}.{kind}" for kind in ("pixels", "labels"))
    starts = range(0, count, BLOCK)
    drawn = _marks(marks, len(starts) * BLOCK)
    missing = [start for start in starts if not drawn[start : start + BLOCK].all()]
    with ThreadPoolExecutor(cores()) as pool:
        blocks = [pool.submit(_draw_block, start, pixels, marks) for start in missing]
        try:
            for done, block in enumerate(as_completed(blocks), start=len(starts) - len(missing) + 1):
                block.result()
                if on_draw is not None:
                    on_draw(min(count, done * BLOCK), count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    labels_NL = (_marks(marks, count) - _DRAWN).astype(np.int8)
    return np.memmap(pixels, np.uint8, "r", shape=(count, *_SHAPE)), labels_NL


def _marks(path: Path, count: int) -> NDArray[np.uint8]:
    """(count, L), 0 where nothing is drawn yet."""
    marks = np.zeros((count, len(LABELS)), np.uint8)
    if path.exists():
        written = np.fromfile(path, np.uint8, count=marks.size)
        marks.reshape(-1)[: len(written)] = written
    return marks


def _draw_block(start: int, pixels: Path, marks: Path) -> None:
    x, labels_NL = draw(start, start + BLOCK)
    _write(pixels, start * x[0].nbytes, x.tobytes())
    _write(marks, start * len(LABELS), (labels_NL + _DRAWN).astype(np.uint8).tobytes())


def _write(path: Path, offset: int, content: bytes) -> None:
    """On disk when it returns."""
    path.touch()
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)
        sync(file)
