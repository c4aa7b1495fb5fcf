"""From a label table to samples that a network can take."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfit.data.feature_names import feature_order
from tagfit.data.lock import hash_rows
from tagfit.errors import DataError
from tagfit.images.decode import MAX_PIXELS, pixels
from tagfit.images.store import OnPixels, OnRead, open_images
from tagfit.images.workers import Decode
from tagfit.records.data import PARTS, UNKNOWN, Array, Dataset, LabelTable, Part, Preprocessing
from tagfit.records.form import MOST_PIXELS_A_SIDE, ImageForm

DEFAULT_SIZE = 64

T = TypeVar("T")
Told = TypeVar("Told", LabelTable, Dataset)

log = logging.getLogger(__name__)

#: the column of metadata that says when each image was taken, where its file says so and no other column does
CAPTURE_TIME = "capture time"


def build(
    table: LabelTable,
    *,
    size: int | ImageForm = DEFAULT_SIZE,
    max_pixels: int | None = None,
    strict: bool = False,
    on_read: OnRead | None = None,
    on_pixels: OnPixels | None = None,
    decode: Decode | None = None,
) -> Dataset:
    """Open, hash and decode what `table` names.

    Args:
        table: N rows of labels.
        size: image files become `size` x `size`, and arrays keep the shape they have; or the form of both.
        max_pixels: an image file with more is set aside; 100 megapixels unless given.
        strict: refuse images that cannot be read, instead of setting them aside.
        on_read: told of progress.
        on_pixels: shown the images that are decoded, as they come.
        decode: decodes them, here unless given.

    Raises:
        DataError: no readable sample, or nothing to learn; where `strict`, every unreadable image.
    """
    if not isinstance(size, ImageForm) and not (isinstance(size, int) and 1 <= size <= MOST_PIXELS_A_SIDE):
        raise DataError(f"the image size must be a whole number from 1 to {MOST_PIXELS_A_SIDE}; got {size!r}")
    if max_pixels is not None and not (isinstance(max_pixels, int) and max_pixels > 0):
        raise DataError(f"the most pixels of an image must be a whole number above 0; got {max_pixels!r}")
    if table.x is None:
        form = size if isinstance(size, ImageForm) else ImageForm(size)
        return _from_images(table, form, max_pixels or MAX_PIXELS, strict, on_read, on_pixels, decode)
    if max_pixels is not None:
        raise DataError("a limit of pixels was given, but means nothing for arrays", "Leave it away.")
    # once here, rather than at every use; a memory map stays one
    x = table.x if table.x.flags.c_contiguous else np.ascontiguousarray(table.x)
    hashes = hash_rows(x)
    if isinstance(size, ImageForm) and table.kind == "images":
        x = _resized(x, size)
    scale = 1 / 255 if table.kind == "images" else 1.0
    shape = tuple(x.shape[1:])
    how = Preprocessing(table.kind, shape, scale, feature_names=table.feature_names, pixel_range=table.pixel_range)
    return _dataset(table, x, hashes, how)


def align_labels(dataset: Dataset, label_names: tuple[str, ...]) -> tuple[Dataset, tuple[str, ...], tuple[str, ...]]:
    """`dataset` with exactly the columns `label_names`; its labels that are not among them; those that it lacks.

    A label that the data does not mention is no where each sample lists all its labels, unknown otherwise.

    Raises:
        DataError: not one label in common.
    """
    if not set(label_names) & set(dataset.label_names):
        raise DataError(
            f"no label in common: the model knows {', '.join(label_names[:8])}; "
            f"{dataset.name} has {', '.join(dataset.label_names[:8])}",
            "Name the labels alike (label_names in an .npz).",
        )
    known = {name: column for column, name in enumerate(dataset.label_names)}
    labels_NL = np.full((len(dataset), len(label_names)), dataset.absent_label, dtype=np.int8)
    for column, name in enumerate(label_names):
        if name in known:
            labels_NL[:, column] = dataset.labels_NL[:, known[name]]
    surplus = tuple(name for name in dataset.label_names if name not in set(label_names))
    missing = tuple(name for name in label_names if name not in known)
    return replace(dataset, labels_NL=labels_NL, label_names=label_names), surplus, missing


def align_features(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """`dataset` with its columns of features in the order of `names`; as it is where it or they have no names.

    Raises:
        DataError: columns that are missing, and columns that are not expected.
    """
    order = feature_order(dataset.preprocessing.feature_names, names, dataset.name)
    if order is None:
        return dataset
    x = np.ascontiguousarray(dataset.x[:, order])
    preprocessing = replace(dataset.preprocessing, feature_names=tuple(names))
    return replace(dataset, x=x, hashes=hash_rows(x), preprocessing=preprocessing)


def rows_of_part(dataset: Dataset, part: Part) -> Dataset:
    """The samples of one part of the data's own split.

    Raises:
        DataError: the data brings no split, or none of its samples is in that part.
    """
    if dataset.given_split is None:
        raise DataError(
            f"{dataset.name} brings no split of its own, so it has no {part} part to take",
            "Leave --part away: all of it is scored then. What a run scored on its own parts, tagfit report RUN says.",
        )
    rows = np.flatnonzero(dataset.given_split == PARTS.index(part))
    if not len(rows):
        raise DataError(f"{dataset.name} has no sample in its {part} part")
    return rows_of(dataset, rows)


def rows_of(dataset: Dataset, rows: NDArray[np.intp]) -> Dataset:
    """Some samples of `dataset`, in the order of `rows`."""
    pixels = None if dataset.pixels is None else dataset.pixels[rows]
    return replace(_of_rows(dataset, rows), x=dataset.x[rows], pixels=pixels, hashes=dataset.hashes[rows])


def _resized(x: NDArray[np.uint8], form: ImageForm) -> NDArray[np.uint8]:
    """(N, size, size, 3) uint8 of (N, H, W, 3)."""
    found = np.empty((len(x), form.size, form.size, 3), np.uint8)
    for number, image in enumerate(x):
        found[number] = pixels(Image.fromarray(image), form)
    return found


def _from_images(
    table: LabelTable,
    form: ImageForm,
    max_pixels: int,
    strict: bool,
    on_read: OnRead | None,
    on_pixels: OnPixels | None,
    decode: Decode | None,
) -> Dataset:
    sources = table.files or table.encoded or ()
    images = open_images(sources, form, max_pixels=max_pixels, on_read=on_read, on_pixels=on_pixels, decode=decode)
    reasons = tuple((table.sample_names[row], reason) for row, reason in images.set_aside.items())
    missing = table.set_aside if strict else ()
    if missing or (reasons and (strict or not len(images.rows))):
        raise DataError(
            [f"{name}: {reason}" for name, reason in (*missing, *reasons)],
            "Mend them or take them out of the label file; without --strict (strict=True) they are set aside."
            if len(images.rows)
            else "No image could be read, so there is nothing to learn from.",
        )
    if reasons:
        table = replace(_of_rows(table, images.rows), encoded=_chosen(table.encoded, images.rows))
    if any(images.times) and CAPTURE_TIME not in table.metadata:
        table = replace(table, metadata={**table.metadata, CAPTURE_TIME: images.times})
    table = replace(table, notes=(*table.notes, *images.notes))
    preprocessing = Preprocessing("images", (form.size, form.size, 3), 1 / 255)
    return _dataset(table, images.x, images.hashes, preprocessing, reasons)


def _of_rows(told: Told, rows: NDArray[np.intp]) -> Told:
    """What is said of some samples; their content is left to the caller."""
    return replace(
        told,
        labels_NL=told.labels_NL[rows],
        sample_names=tuple(told.sample_names[row] for row in rows),
        files=_chosen(told.files, rows),
        given_split=None if told.given_split is None else told.given_split[rows],
        metadata={name: tuple(values[row] for row in rows) for name, values in told.metadata.items()},
    )


def _chosen(of_each: tuple[T, ...] | None, rows: NDArray[np.intp]) -> tuple[T, ...] | None:
    return None if of_each is None else tuple(of_each[row] for row in rows)


def _dataset(
    table: LabelTable,
    x: Array,
    hashes: NDArray[np.uint8],
    preprocessing: Preprocessing,
    set_aside: tuple[tuple[str, str], ...] = (),
) -> Dataset:
    if not len(table.label_names):
        raise DataError(f"{table.name}: there is no label to learn")
    if (table.labels_NL == UNKNOWN).all():
        raise DataError(f"{table.name}: every label cell is unknown, so there is nothing to learn from")
    set_aside = (*table.set_aside, *set_aside)
    if set_aside:
        name, reason = set_aside[0]
        log.warning("%s: %d images are set aside, the first of them %s: %s", table.name, len(set_aside), name, reason)
    return Dataset(
        name=table.name,
        label_names=table.label_names,
        labels_NL=table.labels_NL,
        sample_names=table.sample_names,
        x=x,
        hashes=hashes,
        preprocessing=preprocessing,
        given_split=table.given_split,
        metadata=table.metadata,
        absent_label=table.absent_label,
        notes=table.notes,
        set_aside=set_aside,
        files=table.files or table.encoded,
        reading=table.reading,
        unlabelled=table.unlabelled,
    )
