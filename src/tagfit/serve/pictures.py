"""Images for a page, made as they are asked for; the smallest are kept, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock, Semaphore

import numpy as np
from numpy.typing import NDArray

from tagfit.images.decode import UnreadableImageError
from tagfit.images.thumbnails import enlarged, thumbnail, upright_thumbnail
from tagfit.io.files import regular_file
from tagfit.records.data import Dataset
from tagfit.serve.problems import ProblemError

#: bytes of thumbnails that are kept
_KEPT = 64 << 20

#: pixels of the longer side of an image that is looked at closely; bytes of its file; how many are decoded at once
_SIDE, _MOST_BYTES, _AT_ONCE = 1280, 512 << 20, 2


class Pictures:
    """The images of a data set, by row."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        form = dataset.preprocessing.form
        self._squeezed = form is not None and form.shrunk_to is None and not form.keeps_aspect
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._size, self._lock, self._decoding = 0, Lock(), Semaphore(_AT_ONCE)

    def small(self, row: int) -> bytes:
        """A WebP file made from the cache of decoded images.

        Raises:
            ProblemError: 404.
        """
        with self._lock:
            if row in self._kept:
                self._kept.move_to_end(row)
                return self._kept[row]
        made = self._make_small(row)
        with self._lock:
            if row not in self._kept:
                self._size += len(made)
            self._kept[row] = made
            while self._size > _KEPT:
                self._size -= len(self._kept.popitem(last=False)[1])
        return made

    def large(self, row: int) -> bytes:
        """A WebP file of the original, or of what is cached of it where there is no file.

        Raises:
            ProblemError: 404.
        """
        self._images(row)
        file = None if self._dataset.files is None else self._dataset.files[row]
        if file is None:
            return self.small(row)
        with self._decoding:
            try:
                return enlarged(self._content(file), _SIDE)
            except (OSError, UnreadableImageError) as error:
                raise ProblemError(404, f"The image cannot be read any more: {error}") from None

    def _content(self, file: Path | bytes) -> bytes:
        if isinstance(file, bytes):
            return file
        with regular_file(file, _MOST_BYTES) as stream:
            return stream.read()

    def _images(self, row: int) -> NDArray[np.uint8]:
        images = self._dataset.images
        if images is None:
            raise ProblemError(404, "These samples are rows of features, not images.")
        if not 0 <= row < len(images):
            raise ProblemError(404, "There is no such sample.")
        return images

    def _make_small(self, row: int) -> bytes:
        pixels = self._images(row)[row]
        file = None if self._dataset.files is None else self._dataset.files[row]
        if self._squeezed and isinstance(file, Path):
            return upright_thumbnail(pixels, file)
        return thumbnail(pixels)
