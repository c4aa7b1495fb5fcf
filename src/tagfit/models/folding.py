"""BatchNorm folded into the convolutions before it: the same function of an image, in fewer passes over memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

#: how far features may move, as a share of their largest; a network that moves farther is left as it is
EXACT = 1e-4


def folded(network: nn.Module, example: Tensor) -> nn.Module:
    """A copy of `network` without the BatchNorms that directly follow a convolution; itself where that is not exact.

    Args:
        network: in inference mode.
        example: an input; what follows what is seen by running it.
    """
    with torch.no_grad(), one_thread():
        expected = network(example)
        lighter = copy.deepcopy(network)
        pairs = _pairs(lighter, example)
        for convolution, norm in pairs:
            fused = fuse_conv_bn_eval(cast(Any, convolution), cast(Any, norm))
            convolution.weight, convolution.bias = fused.weight, fused.bias
            norm.forward = nn.Identity().forward  # type: ignore[method-assign]
        moved = (lighter(example) - expected).abs().max()
    return lighter if pairs and bool(moved <= EXACT * expected.abs().max()) else network


@contextmanager
def one_thread() -> Iterator[None]:
    """A single image is looked at on one core: threads that wait for each other take longer on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution whose output a BatchNorm is given as it is, where both are run once."""
    outputs: list[tuple[Tensor, nn.Conv2d]] = []  # held, so that no two have the same identity
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    runs: dict[nn.Module, int] = {}

    def see(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        runs[module] = runs.get(module, 0) + 1
        if isinstance(module, nn.Conv2d):
            outputs.append((output, module))
        elif isinstance(module, nn.BatchNorm2d):
            found.extend((convolution, module) for made, convolution in outputs if made is inputs[0])

    kinds = (nn.Conv2d, nn.BatchNorm2d)
    hooks = [m.register_forward_hook(see) for m in network.modules() if isinstance(m, kinds)]
    try:
        network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for pair in found if all(runs[module] == 1 for module in pair)]
