"""A network's probabilities, in inference mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tagfit.models.losses import Loss
from tagfit.training.batches import INFERENCE_BATCH, LabelledRows, Samples


@contextmanager
def inference_mode(network: nn.Module) -> Iterator[None]:
    """BatchNorm with running moments, no dropout, no gradients; the mode it was in comes back."""
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(was_training)


def probabilities(network: nn.Module, samples: Samples, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """(len(rows), L) float32 uncalibrated probabilities."""
    numbers = torch.from_numpy(rows.astype(np.int64))
    with inference_mode(network):
        batches = [
            torch.sigmoid(network(samples.take(part))).float().cpu() for part in torch.split(numbers, INFERENCE_BATCH)
        ]
    return torch.cat(batches).numpy()


def loss_and_probabilities(network: nn.Module, labelled: LabelledRows, loss: Loss) -> tuple[float, NDArray[np.float32]]:
    """The loss over all known cells of a part, and its probabilities (n, L) float32."""
    with inference_mode(network):
        logits = torch.cat([network(labelled.samples.take(labelled.rows_N[part])) for part in labelled.in_order()])
        value = float(loss(logits, labelled.targets_NL, labelled.known_NL))
        return value, torch.sigmoid(logits).float().cpu().numpy()
