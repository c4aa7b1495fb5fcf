"""Checkpoints: tensors and facts as bytes, in safetensors, so that a killed training goes on where it was."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Protocol, TypeVar

import msgspec
import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tagfit.io.typed_json import to_plain

log = logging.getLogger(__name__)

#: seconds of work between two checkpoints, at least
EVERY = 5.0

#: and at least this many times what writing the last one took
PATIENCE_FOR_WRITING = 20.0

_FACTS = "facts"

Facts = TypeVar("Facts")


class CheckpointStore(Protocol):
    """Where the checkpoint of one training is kept; saving replaces it whole or not at all."""

    def load(self) -> bytes | None: ...

    def save(self, content: bytes) -> None: ...


class Clock:
    """When the next checkpoint is due."""

    def __init__(self) -> None:
        self._last, self._pause = time.monotonic(), EVERY

    def due(self) -> bool:
        return time.monotonic() - self._last >= self._pause

    def saved(self, began: float) -> None:
        """One that was begun at `began` (of `time.monotonic`) has been written."""
        self._last = time.monotonic()
        self._pause = max(EVERY, PATIENCE_FOR_WRITING * (self._last - began))


def pack(tensors: Mapping[str, Tensor], facts: object) -> bytes:
    """Tensors and facts (a record or a mapping) as one safetensors file; `unpack` gives both back to the bit."""
    written = torch.from_numpy(np.frombuffer(json.dumps(to_plain(facts)).encode(), dtype=np.uint8).copy())
    return safetensors.torch.save(
        {_FACTS: written, **{name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}}
    )


def kept(checkpoints: CheckpointStore | None) -> tuple[dict[str, Tensor], Mapping[str, object]] | None:
    """The tensors and facts that `checkpoints` has; None where there are none, or none that can be read."""
    content = None if checkpoints is None else checkpoints.load()
    try:
        return None if content is None else unpack(content)
    except ValueError as error:
        log.warning("a checkpoint cannot be used, so that its training begins anew: %s", error)
        return None


def kept_of(kind: type[Facts], checkpoints: CheckpointStore | None) -> tuple[dict[str, Tensor], Facts | None]:
    """The tensors and facts of a training at work; None where there are none, or others than of this `kind`."""
    tensors, values = kept(checkpoints) or ({}, None)
    try:
        return tensors, None if values is None else msgspec.convert(values, kind)
    except msgspec.ValidationError:
        return {}, None


def unpack(content: bytes) -> tuple[dict[str, Tensor], Mapping[str, object]]:
    """The inverse of `pack`.

    Raises:
        ValueError: not what `pack` made.
    """
    try:
        tensors = safetensors.torch.load(content)
        facts = json.loads(tensors.pop(_FACTS).numpy().tobytes())
    except (safetensors.SafetensorError, KeyError) as error:
        raise ValueError(f"not a checkpoint: {error}") from error
    return tensors, facts


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` by longer names, so that several sets fit into one file."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def of(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `under`."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
