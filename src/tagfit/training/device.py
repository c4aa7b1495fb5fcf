"""Where a network is trained and run."""

from __future__ import annotations

import llvmlite.binding as llvm
import torch

from tagfit.errors import RecipeError
from tagfit.io.forks import demand_own_threads
from tagfit.options.shared import DEVICES


def find_device(name: str = "auto") -> torch.device:
    """The device by name; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        RecipeError: no such device, or not on this machine.
        TagfitError: this process was forked after networks were used.
    """
    demand_own_threads()
    if name not in DEVICES:
        raise RecipeError(f"device must be one of {', '.join(DEVICES)}; got {name!r}")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(candidate for candidate in ("cuda", "mps", "cpu") if there[candidate])
    if not there[name]:
        raise RecipeError(f"torch finds no {name} device on this machine", "Remove --device.")
    return torch.device(name)


def multiplies_in_bfloat16(device: torch.device) -> bool:
    """Whether the hardware has multiply-adds of bfloat16 numbers, without which autocast only costs time."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(llvm.get_host_cpu_features().get("avx512bf16"))
