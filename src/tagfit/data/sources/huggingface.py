"""Hugging Face datasets, read into a `Table` and its samples without importing the library.

Shapes: N samples, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.columns import IMAGE_NAMES, LABELS_NAMES, pick
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.parts import PART_NAMES
from tagfit.data.sources.table import Table, join
from tagfit.errors import DataError
from tagfit.records.data import Part

FEATURE_NAMES = ("features", "x", "embedding", "embeddings")

_NUMBERS = ("float", "int", "uint")


@dataclass(frozen=True, eq=False)
class Columns:
    """A dataset, or one part of it, as read. Images that are files are a column `image` of the table.

    Attributes:
        table: all that is known of the samples; class numbers have become names.
        encoded: (N,) bytes of the image files if the dataset holds them, else None.
        x: (N, D) features if the samples are such, else None.
        left_out: columns that are none of these.
    """

    table: Table
    encoded: tuple[bytes, ...] | None
    x: NDArray[Any] | None
    left_out: tuple[str, ...]


def is_dataset(value: object) -> bool:
    """Whether this is a Dataset or DatasetDict, or one of the streaming kinds."""
    return any(base.__module__.split(".")[0] == "datasets" for base in type(value).__mro__)


def dataset_columns(data: Any, faults: Faults) -> Columns:
    """Read a Dataset, or the parts of a DatasetDict as those of one split; one part alone is no split.

    Raises:
        DataError: a streamed dataset, no samples in it, or parts that are not known or differ.
    """
    if "Iterable" in type(data).__name__:
        raise DataError(
            "the dataset is streamed, so it has no length.", "Load all of it: load_dataset(..., streaming=False)."
        )
    if not isinstance(data, Mapping):
        return _read(data, "", faults)
    if len(data) == 1:
        return _read(next(iter(data.values())), "", faults)
    parts: dict[str, Part] = {str(name): PART_NAMES[name] for name in data if name in PART_NAMES}
    if len(set(parts.values())) < len(data):
        faults.add(
            f"the dataset: expected the splits train, validation and test; got {', '.join(map(str, data))}.",
            "Rename or remove splits; each of train, validation, calibration and test may occur once.",
        )
    faults.check()
    return _joined([(_read(data[name], f"{name} ", faults), part) for name, part in parts.items()], faults)


def _joined(parts: Sequence[tuple[Columns, Part]], faults: Faults) -> Columns:
    read = [columns for columns, _ in parts]
    if len({(columns.encoded is None, columns.x is None) for columns in read}) > 1:
        faults.add("the dataset: the splits hold different kinds of samples.", "Give all of them the same columns.")
    table = join([(columns.table, part) for columns, part in parts], faults)
    encoded = None if read[0].encoded is None else tuple(one for columns in read for one in columns.encoded or ())
    x = None if read[0].x is None else np.concatenate([columns.x for columns in read if columns.x is not None])
    return Columns(table, encoded, x, read[0].left_out)


def _read(data: Any, part: str, faults: Faults) -> Columns:
    data = data.with_format(None)  # plain Python values, whatever the person set
    features: dict[str, Any] = dict(data.features)
    where = [f"{part}row {row}" for row in range(1, len(data) + 1)]
    columns, encoded, x = _samples(data, features, where, faults)
    left_out, declared = [], None
    for name, feature in features.items():
        cells, names = _cells(data, name, feature, where, faults)
        declared = names if name.lower() in LABELS_NAMES and names else declared
        if cells is None or name in columns:
            left_out.append(name)
        else:
            columns[name] = cells
    source = f"the {part}split" if part else "the dataset"
    return Columns(Table(source, source, columns, where, declared), encoded, x, tuple(left_out))


# ----------------------------------------------------------------------------------------------- samples


def _samples(
    data: Any, features: dict[str, Any], where: Sequence[str], faults: Faults
) -> tuple[dict[str, Sequence[object]], tuple[bytes, ...] | None, NDArray[Any] | None]:
    """Paths, encoded images or features; the column that held them is taken out of `features`."""
    image = next((name for name, feature in features.items() if type(feature).__name__ == "Image"), None)
    if image is not None:
        stored = data.cast_column(image, type(features.pop(image))(decode=False))[image][:]
        paths, encoded = _images(stored, where, faults)
        return ({} if paths is None else {"image": paths}), encoded, None
    path = pick(features, IMAGE_NAMES)
    if path is not None:
        del features[path]
        return {"image": data[path][:]}, None, None
    vector = pick((name for name, feature in features.items() if _is_vector(feature)), FEATURE_NAMES)
    if vector is None:
        raise DataError(
            f"the dataset: expected images or features; its columns are {', '.join(features) or 'none'}.",
            f"Cast the image column to datasets.Image(), or call the feature column {FEATURE_NAMES[0]}.",
        )
    del features[vector]
    return {}, None, np.asarray(data.with_format("numpy")[vector][:])


def _images(
    stored: Sequence[Mapping[str, Any] | None], where: Sequence[str], faults: Faults
) -> tuple[list[object] | None, tuple[bytes, ...] | None]:
    """Encoded images if all rows hold bytes, else paths."""
    held = [image or {} for image in stored]
    if all(image.get("bytes") for image in held):
        return None, tuple(image["bytes"] for image in held)
    has_bytes = any(image.get("bytes") for image in held)
    for image, place in zip(held, where, strict=True):
        if not (image.get("bytes") or image.get("path")):
            faults.add(f"{place}: there is no image.", "Leave out rows without an image.")
        elif has_bytes and not image.get("bytes"):
            faults.add(f"{place}: the image is a file, others are bytes.", "Store all images in the same way.")
    return [image.get("path") for image in held], None


def _is_vector(feature: Any) -> bool:
    inner = _inner(feature)
    return inner is not None and str(getattr(inner, "dtype", "")).startswith(_NUMBERS) and not hasattr(inner, "names")


def _inner(feature: Any) -> Any:
    """What a list feature is a list of; None for others."""
    if isinstance(feature, list) and len(feature) == 1:  # how older versions write it
        return feature[0]
    return getattr(feature, "feature", None)


# ----------------------------------------------------------------------------------------- what is said of them


def _cells(
    data: Any, name: str, feature: Any, where: Sequence[str], faults: Faults
) -> tuple[Sequence[object] | None, tuple[str, ...] | None]:
    """A column's cells, None if it cannot be told in words; and the class names that it declares."""
    inner = _inner(feature)
    classes = getattr(feature if inner is None else inner, "names", None)
    if inner is None and type(feature).__name__ not in ("Value", "ClassLabel"):
        return None, None
    cells: Sequence[Any] = data[name][:]
    if classes is None:
        return cells, None
    is_listing = inner is not None or name.lower() in LABELS_NAMES
    lists = [cell if isinstance(cell, list) else [cell] for cell in cells]
    for numbers, place in zip(lists, where, strict=True):
        if not all(isinstance(number, int) and 0 <= number < len(classes) for number in numbers):
            faults.add(f"{place}: {name!r} must hold class numbers from 0 to {len(classes) - 1}; got {numbers}.")
    named = [[_class_name(classes, number) for number in numbers] for numbers in lists]
    return (named, tuple(classes)) if is_listing else ([names[0] for names in named], None)


def _class_name(classes: Sequence[str], number: object) -> str:
    return classes[number] if isinstance(number, int) and 0 <= number < len(classes) else ""
