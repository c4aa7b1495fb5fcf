"""Arrays of features or pixels with 0/1 labels, checked and made into a `LabelTable`.

Shapes: N samples, L labels, D features, H x W pixels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfit.data.feature_names import feature_order
from tagfit.data.sources.cells import MINUS, settle_minus_one
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.names import alike_note, label_names
from tagfit.data.sources.parts import PART_NAMES
from tagfit.data.sources.pixels import flattened_note, pixels, range_of_pixels
from tagfit.data.sources.reading import MinusOne
from tagfit.errors import DataError, did_you_mean
from tagfit.records.data import NO, PARTS, UNKNOWN, YES, LabelTable, Part, PixelRange

_KEY = re.compile(r"([xy])(?:_([a-z]+))?")
_EXPECTED_KEYS = "X and y, or X_train, y_train and X_val, y_val (and X_test, y_test)"


@dataclass(frozen=True, eq=False)
class Block:
    """Samples that came together: all of a file, or one part of a split.

    Attributes:
        x: (N, D) numbers or (N, H, W[, C]) pixels, unchecked.
        y: (N, L) of 0, 1, -1 and nan, unchecked.
        x_name, y_name: what messages call them.
        part: of which part of a split they are.
        feature_names: (D,) names of the columns of x; none if they have none.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    x_name: str = "X"
    y_name: str = "y"
    part: Part | None = None
    feature_names: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------- which array is what


def is_array_key(name: str) -> bool:
    """Whether an array of this name is read: `X`, `y_train`, `x_val`, `label_names`, `feature_names`."""
    return name in ("label_names", "feature_names") or _role(name) is not None


def names_in(
    array: NDArray[Any] | None, source: str, faults: Faults, what: str = "label_names"
) -> tuple[str, ...] | None:
    """Names that came as an array of text; None if none came."""
    if array is None:
        return None
    if array.ndim != 1 or array.dtype.kind not in "US":
        faults.add(f"{source}: {what} must be a row of text; got {array.dtype} of shape {array.shape}.")
        return None
    return tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in array.tolist())


def _role(key: str) -> tuple[str, Part | None] | None:
    """x or y, and the part, of a key such as `X_train`."""
    match = _KEY.fullmatch(key.lower())
    if match is None or (match[2] is not None and match[2] not in PART_NAMES):
        return None
    return match[1], PART_NAMES[match[2]] if match[2] else None


def blocks_of(
    arrays: Mapping[str, NDArray[Any]], source: str, faults: Faults, others: Iterable[str] = ()
) -> list[Block]:
    """Pair the X and y of each part; keys may be upper or lower case, and `others` are named if nothing is found.

    An array `feature_names` names the columns of every X.
    """
    names = names_in(arrays.get("feature_names"), source, faults, "feature_names") or ()
    found: dict[Part | None, dict[str, str]] = {}
    for key in arrays:
        role = _role(key)
        if role is None:
            continue
        axis, part = role
        if axis in found.setdefault(part, {}):
            faults.add(f"{source}: {found[part][axis]} and {key} are the same array twice.", "Keep one of them.")
        found[part][axis] = key
    _check_keys(found, (*arrays, *others), source, faults)
    order = [None, *PARTS]
    return [
        Block(arrays[keys["x"]], arrays[keys["y"]], keys["x"], keys["y"], part, names)
        for part, keys in sorted(found.items(), key=lambda item: order.index(item[0]))
        if len(keys) == 2
    ]


def _check_keys(
    found: Mapping[Part | None, Mapping[str, str]], keys: Iterable[str], source: str, faults: Faults
) -> None:
    todo = f"Expected the arrays {_EXPECTED_KEYS}."
    for pair in found.values():
        if len(pair) == 1:
            key = next(iter(pair.values()))
            other = {"X": "y", "x": "y", "Y": "X", "y": "X"}[key[0]] + key[1:]
            faults.add(f"{source}: {key} has no {other} beside it.", todo)
    if not found:
        names = ", ".join(keys) or "no array"
        hint = next(filter(None, (did_you_mean(key, ("X_train", "y_train", "X", "y")) for key in keys)), "")
        faults.add(f"{source}: expected {_EXPECTED_KEYS}; got {names}.{hint}", todo)
    elif None in found and len(found) > 1:
        faults.add(f"{source}: holds both X, y and the parts of a split.", todo)
    elif None not in found and "train" not in found:
        faults.add(f"{source}: holds parts of a split, but no X_train and y_train.", todo)


# --------------------------------------------------------------------------------------------- one table


def array_table(
    blocks: Sequence[Block],
    source: str,
    *,
    names: Sequence[str] | None,
    minus_one: MinusOne | None,
    faults: Faults,
) -> LabelTable:
    """Check the blocks and put them below each other.

    Args:
        names: (L,) label names, or None to count them.

    Raises:
        DataError: with every fault of every block, and those gathered before.
    """
    notes: list[str] = []
    feature_row = _feature_names(blocks, faults)
    blocks = [_in_order(block, feature_row, faults) for block in blocks]
    _check_against_each_other(blocks, faults)
    pixel_range = range_of_pixels({block.x_name: block.x for block in blocks}, faults)
    x = [samples(block.x, block.x_name, faults, notes, pixel_range) for block in blocks]
    codes = [_codes(block.y, block.y_name, faults) for block in blocks]
    n_labels = next((part.shape[1] for part in codes if part is not None), None)
    label_row = _label_names(names, n_labels, source, faults, notes)
    if any(part is None for part in (*x, *codes)) or len({part.shape[1] for part in codes if part is not None}) > 1:
        faults.check()
    codes_NL = _stack([part for part in codes if part is not None])
    labels_NL, minus_notes = settle_minus_one(codes_NL, minus_one, source, faults)
    if (labels_NL == UNKNOWN).all():
        faults.add(f"{source}: every label cell is unknown.", "Expected 0 or 1 in at least some cells of y.")
    faults.check()
    stacked = _stack([part for part in x if part is not None])
    notes += flattened_note(stacked)
    return LabelTable(
        name=source,
        label_names=label_row,
        labels_NL=labels_NL,
        sample_names=_sample_names(blocks),
        x=stacked,
        feature_names=feature_row,
        pixel_range=pixel_range,
        given_split=_given_split(blocks, notes),
        absent_label=UNKNOWN,
        notes=(*dict.fromkeys(notes), *minus_notes, *alike_note(label_row)),
    )


def _stack(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _feature_names(blocks: Sequence[Block], faults: Faults) -> tuple[str, ...]:
    """The names of the features, in the order of the first block that has any."""
    names = next((block.feature_names for block in blocks if block.feature_names), ())
    width = blocks[0].x.shape[-1] if blocks[0].x.ndim == 2 else 0
    if names and len(names) != width:
        faults.add(f"{len(names)} feature names for {blocks[0].x_name} of shape {blocks[0].x.shape}.")
    elif len(set(names)) < len(names):
        twice, times = Counter(names).most_common(1)[0]
        faults.add(f"the feature name {twice!r} occurs {times} times.", "Give each column its own name.")
    else:
        return names
    return ()


def _in_order(block: Block, names: tuple[str, ...], faults: Faults) -> Block:
    """With the columns of x in the order of `names`."""
    if block.x.ndim != 2 or not names:
        return block
    try:
        order = feature_order(block.feature_names, names, block.x_name)
    except DataError as error:
        for fault in error.faults:
            faults.add(fault, error.todo)
        return block
    return block if order is None else replace(block, x=block.x[:, order], feature_names=names)


def _check_against_each_other(blocks: Sequence[Block], faults: Faults) -> None:
    first = blocks[0]
    for block in blocks:
        if block.x.ndim and block.y.ndim and len(block.x) != len(block.y):
            faults.add(f"{block.x_name} has {len(block.x)} rows and {block.y_name} has {len(block.y)}.")
        if block.x.shape[1:] != first.x.shape[1:]:
            faults.add(
                f"{block.x_name} has samples of shape {block.x.shape[1:]}; those of {first.x_name} are "
                f"{first.x.shape[1:]}."
            )
        if block.y.ndim == 2 == first.y.ndim and block.y.shape[1] != first.y.shape[1]:
            faults.add(f"{block.y_name} has {block.y.shape[1]} labels; {first.y_name} has {first.y.shape[1]}.")


def _sample_names(blocks: Sequence[Block]) -> tuple[str, ...]:
    """`row 17`, or `train row 17` if there are parts: counted from 1."""
    return tuple(
        f"{block.part} row {row}" if block.part and len(blocks) > 1 else f"row {row}"
        for block in blocks
        for row in range(1, len(block.x) + 1)
    )


def _given_split(blocks: Sequence[Block], notes: list[str]) -> NDArray[np.int8] | None:
    """A train part alone is no split: the person has not said what to judge by."""
    if len(blocks) == 1:
        if blocks[0].part is not None:
            notes.append(f"There is only a {blocks[0].part} part, so it is split as if it were all of the data.")
        return None
    codes = [PARTS.index(block.part) for block in blocks if block.part is not None]
    return np.repeat(np.array(codes, np.int8), [len(block.x) for block in blocks])


def _label_names(
    names: Sequence[str] | None, n_labels: int | None, source: str, faults: Faults, notes: list[str]
) -> tuple[str, ...]:
    if names is None:
        notes.append(f"No label names were given, so the columns of y are called label_1 to label_{n_labels}.")
        return tuple(f"label_{number}" for number in range(1, (n_labels or 0) + 1))
    if n_labels is not None and len(names) != n_labels:
        faults.add(
            f"{source}: {len(names)} label names for {n_labels} columns of y.", "Give one name for each column of y."
        )
    return label_names(map(str, names), f"{source}: label_names", faults)


# -------------------------------------------------------------------------------------------- one array


def samples(
    x: NDArray[Any], name: str, faults: Faults, notes: list[str], pixel_range: PixelRange = 255
) -> NDArray[Any] | None:
    """(N, D) float32 or (N, H, W, 3) uint8; None after a fault."""
    if x.dtype.kind not in "biuf":
        faults.add(f"{name} must hold numbers; got dtype {x.dtype}.{_object_hint(x)}")
    elif x.ndim not in (2, 3, 4):
        faults.add(f"{name} must be (N, D) features or (N, H, W, 3) images; got shape {x.shape}.")
    elif 0 in x.shape:
        faults.add(f"{name} is empty: its shape is {x.shape}.")
    else:
        return _features(x, name, faults, notes) if x.ndim == 2 else pixels(x, name, faults, notes, pixel_range)
    return None


def _object_hint(array: NDArray[Any]) -> str:
    if array.dtype != object:
        return ""
    return " Are rows of unequal length, or does a column hold text?"


def _features(x_ND: NDArray[Any], name: str, faults: Faults, notes: list[str]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        narrow_ND = x_ND.astype(np.float32, copy=False)
    finite_ND = np.isfinite(narrow_ND)
    if not finite_ND.all():
        row, column = map(int, np.argwhere(~finite_ND)[0])
        faults.add(
            f"{name}: {int((~finite_ND).sum())} cells are nan, infinite or beyond float32; "
            f"the first is {name}[{row}, {column}] = {x_ND[row, column]}.",
            "Fill in missing features, or leave out those samples, before you load the data.",
        )
    elif narrow_ND.dtype != x_ND.dtype and not _same(narrow_ND, x_ND):
        notes.append(f"Features are rounded from {x_ND.dtype} to float32.")
        lost = _distinct(x_ND) - _distinct(narrow_ND)
        if lost:
            notes.append(
                f"{name}: rounding to float32 makes {lost} distinct rows equal to others. "
                "Subtract the mean of each column: X - X.mean(axis=0)."
            )
    return _without_minus_zero(narrow_ND)


def _same(narrow_ND: NDArray[np.float32], x_ND: NDArray[Any]) -> bool:
    with np.errstate(invalid="ignore"):
        return bool((narrow_ND.astype(x_ND.dtype) == x_ND).all())


def _distinct(x_ND: NDArray[Any]) -> int:
    """How many rows differ, by a hash of 64 bits that may take two for one in one of 10^7 tables of a million rows."""
    rng = np.random.default_rng(0)
    hashes_N = np.zeros(len(x_ND), np.uint64)
    exact = np.float64 if x_ND.dtype.kind == "f" else np.int64
    for column_N in x_ND.T:
        bits_N = (column_N.astype(exact) + exact(0)).view(np.uint64)
        bits_N = (bits_N ^ bits_N >> np.uint64(32)) * (rng.integers(2**63, dtype=np.uint64) | np.uint64(1))
        hashes_N = (hashes_N ^ bits_N ^ bits_N >> np.uint64(29)) * np.uint64(0x9E3779B97F4A7C15)
        hashes_N ^= hashes_N >> np.uint64(32)
    return len(np.unique(hashes_N))


def _without_minus_zero(x_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """With 0.0 for -0.0, so that equal rows are equal bytes; a copy only if there is one."""
    has_any = any(
        (np.signbit(rows_ND) & (rows_ND == 0)).any() for rows_ND in np.array_split(x_ND, -(-len(x_ND) // 4096))
    )
    return x_ND + np.float32(0) if has_any else x_ND


def _codes(y: NDArray[Any], name: str, faults: Faults) -> NDArray[np.int8] | None:
    """(N, L) int8 of YES, NO, UNKNOWN and MINUS; None after a fault."""
    if y.dtype.kind not in "biuf":
        faults.add(f"{name} must hold 0 and 1, one column for each label; got dtype {y.dtype}.{_object_hint(y)}")
    elif y.ndim == 1:
        faults.add(
            f"{name} must be (N, L), one 0/1 column for each label; got shape {y.shape}.",
            "One label: y[:, None]. Class numbers: keras.utils.to_categorical(y).",
        )
    elif y.ndim != 2 or y.shape[1] == 0:
        faults.add(f"{name} must be (N, L), one 0/1 column for each label; got shape {y.shape}.")
    else:
        codes_NL = np.select([y == 1, y == 0, y == -1, y != y], [YES, NO, MINUS, UNKNOWN], _WRONG).astype(np.int8)
        _check_values(y, codes_NL == _WRONG, name, faults)
        return codes_NL
    return None


_WRONG = -3


def _check_values(y: NDArray[Any], wrong_NL: NDArray[np.bool_], name: str, faults: Faults) -> None:
    if wrong_NL.any():
        row, column = map(int, np.argwhere(wrong_NL)[0])
        todo = f"Write yes as 1 and no as 0: ({name} > 0).astype(int)." if len(np.unique(y)) == 2 else ""
        faults.add(
            f"{name}: {int(wrong_NL.sum())} cells are not 0, 1, -1 or nan; "
            f"the first is {name}[{row}, {column}] = {y[row, column]}.",
            todo,
        )
