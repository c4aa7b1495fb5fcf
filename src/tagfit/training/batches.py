"""Rows of a data set as tensors on a device: where pixels become numbers.

Shapes: N rows, B batch, L labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tagfit.io.memory_maps import release
from tagfit.records.data import UNKNOWN, Array, LockedData, Part

#: rows at a time where no gradient is needed
INFERENCE_BATCH = 512


#: bytes of a memory map that are read before its pages are let go: the system maps many times as much around them
READ_AT_ONCE = 4 * 2**20


@dataclass(eq=False)
class Samples:
    """Inputs, gathered and scaled batch by batch; a contiguous array is never copied, so it may be a memory map."""

    x: Tensor
    scale: float
    device: torch.device
    dtype: torch.dtype = torch.float32
    source: Array | None = None
    _read: int = 0

    @classmethod
    def of(cls, x: Array, scale: float, device: torch.device) -> Samples:
        """Wrap (N, ...) uint8 images or float32 features."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return cls(torch.from_numpy(np.ascontiguousarray(x)), scale, device, source=x)

    def take(self, rows: Tensor) -> Tensor:
        """(B, ...) floating-point inputs of the network."""
        rows_of_x = self.x.index_select(0, rows)
        self._read += rows_of_x.nbytes
        if self.source is not None and self._read > READ_AT_ONCE:
            self._read = 0
            release(self.source)
        batch = rows_of_x.to(self.device, self.dtype)
        return batch if self.scale == 1.0 else batch.mul_(self.scale)


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """The rows of one part, or of several, with their targets.

    Attributes:
        rows_N: row numbers in `samples`.
        targets_NL: 1.0 yes, 0.0 no (and 0.0 where unknown).
        known_NL: 1.0 known, 0.0 unknown; None where every cell is known.
    """

    samples: Samples
    rows_N: Tensor
    targets_NL: Tensor
    known_NL: Tensor | None

    @classmethod
    def of(
        cls,
        data: LockedData,
        part: Part | tuple[Part, ...],
        device: torch.device,
        samples: Samples | None = None,
    ) -> LabelledRows:
        """The rows of `part`; of `samples`, unless it is the data's own `x` that a network takes."""
        dataset = data.dataset
        parts = (part,) if isinstance(part, str) else part
        rows = np.sort(np.concatenate([data.split.rows(one) for one in parts]))
        samples = samples or Samples.of(dataset.x, dataset.preprocessing.scale, device)
        return cls.labelled(samples, rows, dataset.labels_NL[rows])

    @classmethod
    def labelled(cls, samples: Samples, rows: NDArray[np.intp], labels_NL: NDArray[np.int8]) -> LabelledRows:
        """The rows of `samples` with the labels of each, (len(rows), L)."""
        device = samples.device
        known_NL = torch.from_numpy(labels_NL != UNKNOWN).to(device, torch.float32)
        return cls(
            samples=samples,
            rows_N=torch.from_numpy(rows.astype(np.int64)),
            targets_NL=torch.from_numpy(np.maximum(labels_NL, 0)).to(device, torch.float32),
            known_NL=None if bool((known_NL == 1).all()) else known_NL,
        )

    def __len__(self) -> int:
        return len(self.rows_N)

    def take(self, positions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Inputs, targets and known cells of the rows at `positions` (B,) int64 on the CPU."""
        where = positions.to(self.targets_NL.device)
        known = None if self.known_NL is None else self.known_NL.index_select(0, where)
        return self.samples.take(self.rows_N[positions]), self.targets_NL.index_select(0, where), known

    def first(self, count: int) -> LabelledRows:
        """The first rows of the part, at most `count`."""
        known = None if self.known_NL is None else self.known_NL[:count]
        return LabelledRows(self.samples, self.rows_N[:count], self.targets_NL[:count], known)

    def in_order(self) -> Iterator[Tensor]:
        """Positions of all rows, in batches for inference."""
        yield from torch.split(torch.arange(len(self)), INFERENCE_BATCH)
