"""A network's probabilities, in inference mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagfit.models.ensemble import Ensemble
from tagfit.models.fine_tuned import FineTunedNetwork
from tagfit.records.runs import Units
from tagfit.training.batches import INFERENCE_BATCH, LabelledRows, Samples
from tagfit.training.inputs import NetworkInputs
from tagfit.training.thread_pool import ThreadPool, thread_pool_for


@contextmanager
def inference_mode(network: nn.Module) -> Iterator[None]:
    """BatchNorm with running moments, no dropout; the mode it was in comes back."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def probabilities(network: nn.Module, inputs: NetworkInputs, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """(len(rows), L) float32 uncalibrated probabilities."""
    logits = _all_logits(network, inputs, torch.from_numpy(rows.astype(np.int64)))
    return torch.sigmoid(logits).float().cpu().numpy()


def _all_logits(network: nn.Module, inputs: NetworkInputs, numbers: Tensor) -> Tensor:
    """(n, L); each member of an ensemble is given what it takes."""
    if isinstance(network, Ensemble):
        return network.joined(torch.stack([_all_logits(member, inputs, numbers) for member in network.members]))
    samples = inputs.samples(network)
    with thread_pool_for(network, INFERENCE_BATCH) as pool:
        return _logits(network, samples, numbers, pool)


def logits_of(network: nn.Module, labelled: LabelledRows, pool: ThreadPool) -> Tensor:
    """(n, L) logits of a part, in the order of its rows."""
    return _logits(network, labelled.samples, labelled.rows_N, pool)


def _logits(network: nn.Module, samples: Samples, rows_N: Tensor, pool: ThreadPool) -> Tensor:
    """(n, L); written into one tensor, since small results of many batches would keep the memory between them."""
    step = _rows_at_once(network)

    def of(rows_B: Tensor) -> Tensor:
        with torch.inference_mode():  # torch keeps this by thread
            logits: Tensor = network(samples.take(rows_B))
            return logits

    with inference_mode(network):
        first = of(rows_N[:step])
        found = torch.empty(len(rows_N), first.shape[1], dtype=first.dtype, device=first.device)

        def put(start: int) -> None:
            found[start : start + step] = of(rows_N[start : start + step])

        found[:step] = first
        pool.map(put, range(step, len(rows_N), step))
    return found


def _rows_at_once(network: nn.Module) -> int:
    """Convolutions hold many maps an image at once, so they get fewer images."""
    convolutional = any(parameter.ndim > 2 for parameter in network.parameters())
    return INFERENCE_BATCH // 8 if convolutional else INFERENCE_BATCH


def dead_units(network: nn.Module, inputs: NetworkInputs, rows: NDArray[np.intp]) -> list[Units]:
    """Of each layer of relu units, or of channels, of all members of an ensemble: how many answer 0 to every sample.

    Of a fine-tuned network nothing: its backbone came with the units that it has.
    """
    if isinstance(network, Ensemble):
        several = [(number, dead_units(member, inputs, rows)) for number, member in enumerate(network.members)]
        return [replace(one, layer=f"members.{number}.{one.layer}") for number, found in several for one in found]
    if isinstance(network, FineTunedNetwork):
        return []
    samples = inputs.samples(network)
    alive: dict[str, Tensor] = {}

    def note(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(layer: nn.Module, given: object, answer: Tensor) -> None:
            fired = (answer > 0).any(0) if answer.ndim == 2 else (answer > 0).transpose(0, 1).flatten(1).any(1)
            alive[name] = fired | alive.get(name, fired)

        return hook

    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.ReLU)]
    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers]
    try:
        with inference_mode(network), torch.inference_mode():
            for part in torch.split(torch.from_numpy(rows.astype(np.int64)), _rows_at_once(network)):
                network(samples.take(part))
    finally:
        for hook in hooks:
            hook.remove()
    return [Units(name, int((~alive[name]).sum()), alive[name].numel()) for name, _ in layers]
