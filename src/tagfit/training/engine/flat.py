"""A dense network as flat arrays, and a part's rows as arrays: what the compiled loops work on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from tagfit.models.dense import DenseNetwork
from tagfit.models.layers import BatchNorm, Dropout, Noise, Standardise
from tagfit.records.data import Array
from tagfit.training.batches import LabelledRows
from tagfit.training.engine.kernels import COLUMNS, Data, Memory, Net

#: places begin at multiples of so many values
ALIGNED = 16

#: rows that go through the network together where no gradient is needed, if batches are not larger
INFERENCE_ROWS = 128


@dataclass
class _Stage:
    """A linear layer and what comes after it, up to the next."""

    linear: nn.Linear
    norm: BatchNorm | None = None
    dropout: float = 0.0


@dataclass
class _Room:
    """Places in a flat array, one after the other."""

    taken: int = 0
    tensors: dict[int, Tensor] = field(default_factory=dict)

    def take(self, count: int) -> int:
        """The place of `count` values."""
        place = self.taken
        self.taken += -(-count // ALIGNED) * ALIGNED
        return place

    def put(self, *tensors: Tensor) -> int:
        """The place of tensors that lie right behind each other."""
        place = self.take(sum(tensor.numel() for tensor in tensors))
        begin = place
        for tensor in tensors:
            self.tensors[begin] = tensor.detach()
            begin += tensor.numel()
        return place


class FlatNetwork:
    """Where everything of a network lies: its weights in a flat state, and what a batch needs in a work area.

    Attributes:
        net: for the compiled loops.
        dtype: of the weights.
    """

    def __init__(self, network: DenseNetwork, batch: int) -> None:
        stages, standardise, noise, dropout = _parts(network)
        rows = max(batch, INFERENCE_ROWS)
        state, work = _Room(), _Room()
        kernels = [state.put(stage.linear.weight.T) for stage in stages]
        kernels_end = state.taken
        biases = [state.put(stage.linear.bias) for stage in stages]
        gammas = [state.put(stage.norm.weight, stage.norm.bias) if stage.norm else -1 for stage in stages]
        parameters_end = state.taken
        moments = [state.put(stage.norm.running_mean, stage.norm.running_var) if stage.norm else -1 for stage in stages]
        wide = stages[0].linear.in_features
        work.take(rows * wide)  # the inputs come first
        input_mask = work.take(2 * batch * wide) if noise or dropout else -1
        layers = []
        for number, stage in enumerate(stages):
            units = stage.linear.out_features
            active = work.take(rows * units)
            out = work.take(batch * units) if stage.norm or stage.dropout else active
            mask = work.take(batch * units) if stage.dropout else -1
            slope, sums = work.take(batch * units), work.take(2 * units)
            places = kernels[number], biases[number], gammas[number], moments[number]
            turned = work.take(stage.linear.weight.numel()) if number else -1
            layers.append((stage.linear.in_features, units, *places, sums, active, out, mask, slope, turned))
        norm = next((stage.norm for stage in stages if stage.norm), None)
        self.dtype = np.dtype(str(stages[0].linear.weight.dtype).removeprefix("torch."))
        self.net = Net(
            layers=np.array(layers, np.int64).reshape(-1, COLUMNS),
            shares=np.array([stage.dropout for stage in stages]),
            input_noise=float(noise),
            input_dropout=float(dropout),
            input_mask=input_mask,
            rows=rows,
            batch=batch,
            kernels=kernels_end,
            parameters=parameters_end,
            momentum=norm.momentum if norm else 0.0,
            epsilon=norm.epsilon if norm else 0.0,
        )
        self._tensors, self._size, self._work = state.tensors, state.taken, work.taken
        self._standardise, self._wide = standardise, wide

    def memory(self, *, averaged: bool) -> Memory:
        """Of a training that begins with the network's weights."""

        def zeros(count: int) -> Array:
            return np.zeros(count, self.dtype)

        state = zeros(self._size)
        for begin, tensor in self._tensors.items():
            state[begin : begin + tensor.numel()] = tensor.numpy().ravel()
        trained = self.net.parameters
        return Memory(
            state, state.copy() if averaged else zeros(0), zeros(trained), zeros(trained), zeros(trained),
            zeros(self._work),
        )  # fmt: skip

    def write_back(self, state: Array) -> None:
        """Give the network the weights and moments in `state`."""
        for begin, tensor in self._tensors.items():
            tensor.copy_(torch.from_numpy(state[begin : begin + tensor.numel()]).view_as(tensor))

    def data(self, labelled: LabelledRows) -> Data:
        """A part, with the standardisation that the network has been fitted to; samples are not copied."""
        x = labelled.samples.x.flatten(1).numpy()
        if x.dtype not in (np.float32, np.uint8):  # compiled loops check no index
            raise TypeError(f"samples must be float32 or uint8; got {x.dtype}")
        mean, gain = np.zeros(self._wide, np.float32), np.ones(self._wide, np.float32)
        if self._standardise is not None:
            times = self._wide // len(self._standardise.mean)
            mean = np.tile(self._standardise.mean.float().numpy(), times)
            gain = np.tile((1 / self._standardise.deviation).float().numpy(), times)
        targets = labelled.targets_NL.numpy()
        known = labelled.known_NL
        return Data(
            features=x if x.dtype == np.float32 else np.empty((0, self._wide), np.float32),
            images=x if x.dtype == np.uint8 else np.empty((0, self._wide), np.uint8),
            scale=float(labelled.samples.scale),
            mean=mean,
            gain=gain,
            rows=labelled.rows_N.numpy(),
            targets=targets,
            known=np.empty((0, targets.shape[1]), np.float32) if known is None else known.numpy(),
        )


def _parts(network: DenseNetwork) -> tuple[list[_Stage], Standardise | None, float, float]:
    """The stages, the standardisation, and the noise and dropout of the inputs."""
    stages: list[_Stage] = []
    standardise, noise, dropout = None, 0.0, 0.0
    for layer in network.layers:
        match layer:
            case Standardise():
                standardise = layer
            case Noise():
                noise = layer.deviation
            case Dropout() if not stages:
                dropout = layer.share
            case Dropout():
                stages[-1].dropout = layer.share
            case BatchNorm():
                stages[-1].norm = layer
            case nn.Linear():
                stages.append(_Stage(layer))
    return stages, standardise, noise, dropout
