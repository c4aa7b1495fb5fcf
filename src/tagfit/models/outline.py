"""The tensors that a network would have, before any of them takes memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

#: what a network may have beside the tensors of its file: parts without weights, and what is computed when it is built
_BESIDE, _VALUES_BESIDE = 1000, 1_000_000


def outline(build: Callable[[], nn.Module], tensors: int = 10**9, values: int = 10**15) -> Mapping[str, Tensor]:
    """Every tensor of what `build` makes, on torch's meta device, where it has a shape and a dtype only.

    Args:
        build: makes no tensor on any other device.
        tensors, values: how many are at hand to fill it. Building stops where far more are needed, so that what
            describes a network of a billion layers is not followed to its end.

    Raises:
        ValueError: far more are needed.
    """
    with _limited(10 * tensors + _BESIDE, 4 * values + _VALUES_BESIDE), torch.device("meta"):
        return build().state_dict()


def outlined() -> bool:
    """Whether a network is being built for its outline alone."""
    return torch.get_default_device().type == "meta"


@contextmanager
def _limited(parts: int, values: int) -> Iterator[None]:
    """Modules may take in so many tensors and modules, each tensor of so many values; of this thread alone."""
    here, left = threading.get_ident(), parts

    def count(owner: nn.Module, name: str, part: Any) -> None:
        nonlocal left
        if threading.get_ident() != here:
            return
        left -= 1
        if left < 0:
            raise ValueError("it describes a network of far more parts than there are weights for")
        if isinstance(part, Tensor) and part.numel() > values:
            raise ValueError(f"it describes a tensor {tuple(part.shape)}, far larger than all weights that there are")

    with ExitStack() as stack:
        for register in (
            hooks.register_module_parameter_registration_hook,
            hooks.register_module_buffer_registration_hook,
            hooks.register_module_module_registration_hook,
        ):
            handle = register(count)
            stack.callback(handle.remove)
        yield
