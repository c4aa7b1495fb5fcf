"""The tensors of a bundle: whether they are those of the networks that it describes.

They are compared twice: as the headers have them, before anything of their size takes memory, and as they were read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tagfit.bundle.files import StoredTensor
from tagfit.errors import BundleError
from tagfit.models.outline import outline
from tagfit.records.data import Array, Backbone

#: what safetensors calls the dtypes that networks have
_DTYPES = {"float32": "F32", "int64": "I64", "bool": "BOOL"}

Named = TypeVar("Named")


def unfit(build: Callable[[], nn.Module], stored: Mapping[str, StoredTensor]) -> list[str]:
    """How the tensors of a file differ from those of what `build` makes."""
    expected = outline(build, len(stored), sum(math.prod(one.shape) for one in stored.values()))
    return _differences(expected, {name: (one.shape, one.dtype) for name, one in stored.items()})


def _differences(expected: Mapping[str, Tensor], given: Mapping[str, tuple[tuple[int, ...], str]]) -> list[str]:
    faults = [f"the tensor {name} is missing" for name in expected if name not in given]
    faults += [f"the tensor {name!r:.80} is not part of the network" for name in given if name not in expected]
    for name in expected.keys() & given.keys():
        shape, dtype = given[name]
        if shape != tuple(expected[name].shape):
            faults.append(f"the tensor {name} has shape {shape}, expected {tuple(expected[name].shape)}")
        if dtype != _dtype(expected[name]):
            faults.append(f"the tensor {name} is of {dtype}, expected {_dtype(expected[name])}")
    return faults


def _dtype(tensor: Tensor | Array) -> str:
    return _DTYPES.get(str(tensor.dtype).removeprefix("torch."), str(tensor.dtype))


def unfit_output(stored: Mapping[str, StoredTensor], labels: int, backbone: Backbone | None) -> list[str]:
    """Of a backbone trained further, which has no more tensors than the backbone beside it, and this one."""
    shape = (labels, 0 if backbone is None else backbone.features)
    if "output.weight" in stored and stored["output.weight"].shape == shape:
        return []
    return [f"the tensor output.weight of a fine-tuned network is missing, or has another shape than {shape}"]


def of_member(tensors: Mapping[str, Named], number: int, count: int) -> dict[str, Named]:
    """Those of one network, by its own names."""
    own = "" if count == 1 else prefix(number)
    return {name.removeprefix(own): one for name, one in tensors.items() if name.startswith(own)}


def prefix(number: int) -> str:
    """Of what an Ensemble calls the tensors of a member."""
    return f"members.{number}."


def load_weights(network: nn.Module, weights: Mapping[str, Array]) -> None:
    """Put `weights` into `network`.

    Raises:
        BundleError: missing, surplus, wrongly shaped or non-finite tensors, all of them named.
    """
    given = {name: (array.shape, _dtype(array)) for name, array in weights.items()}
    faults = _differences(network.state_dict(), given)
    faults += [
        f"the tensor {name} has values that are not finite"
        for name, array in weights.items()
        if not np.isfinite(array).all()
    ]
    if faults:
        raise BundleError(faults)
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})


def weights_of(network: nn.Module) -> dict[str, Array]:
    return {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
