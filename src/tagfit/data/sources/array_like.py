"""What a person gives as an array: NumPy's and its masked arrays, sparse matrices, frames, tensors, lists.

None of the libraries is imported. Shapes: N samples, D features.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults
from tagfit.data.sources.frames import column_names, frame_values, is_frame, numbers_of
from tagfit.errors import DataError
from tagfit.io.free_memory import memory_fault


def plain_array(value: Any, name: str) -> NDArray[Any]:
    """`value` as a plain array: what is masked, or None among numbers, becomes nan; a sparse matrix becomes dense.

    Raises:
        DataError: rows of unequal length, a tensor on a GPU, more than memory holds, and the like.
    """
    try:
        if is_frame(value):
            return frame_values(value)
        return _numbers(_unmasked(_dense(value, name) if is_sparse(value) else value))
    except DataError:
        raise
    except (TypeError, ValueError, RuntimeError, MemoryError) as error:
        why = str(error) or type(error).__name__
        todo = "Are rows of unequal length? Is a tensor on a GPU?"
        raise DataError(f"{name} cannot be converted to an array: {why}.", todo) from error


def names_of_columns(value: object) -> tuple[str, ...]:
    """The column names of a frame; none of anything else.

    Raises:
        DataError: a name occurs twice.
    """
    return tuple(column_names(value, Faults())) if is_frame(value) else ()


def is_sparse(value: object) -> bool:
    """Whether this is one of SciPy's sparse matrices or arrays."""
    return hasattr(value, "toarray")


def is_masked(value: object) -> bool:
    """Whether some value of a masked array is masked."""
    return isinstance(value, np.ma.MaskedArray) and bool(np.ma.getmaskarray(value).any())


def _dense(matrix: Any, name: str) -> NDArray[Any]:
    """Raises DataError: it would take more memory than is free."""
    size, shape = math.prod(matrix.shape) * matrix.dtype.itemsize, tuple(matrix.shape)
    if fault := memory_fault(size, f"{name}: a sparse matrix of shape {shape}, with its zeros stored,"):
        raise DataError(
            fault,
            "Give fewer columns: the most common ones, or sklearn.decomposition.TruncatedSVD(256).fit_transform(X).",
        )
    dense: NDArray[Any] = matrix.toarray()
    return dense


def _unmasked(value: Any) -> NDArray[Any]:
    if not is_masked(value):
        return np.asarray(value)
    as_float = np.float32 if value.dtype == np.float32 else np.float64
    return np.asarray(value.astype(as_float).filled(np.nan))


def _numbers(array: NDArray[Any]) -> NDArray[Any]:
    """Objects that are all numbers or None, as float64; anything else as it is."""
    if array.dtype != object or not array.ndim:
        return array
    numbers = numbers_of(array.ravel().tolist())
    return array if numbers is None or np.isnan(numbers).all() else numbers.reshape(array.shape)
