"""The networks of a bundle in Keras's own layers; imports Keras, so only a process of its own imports this.

Shapes: N samples, L labels, H x W pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
from keras import layers
from torch import Tensor, nn

from tagfit.bundle.read import read_bundle
from tagfit.bundle.record import Bundle
from tagfit.inference.export.keras_file import BUNDLE, FILE, SAMPLES, SCORES
from tagfit.inference.export.whole import HIGHEST_FLOAT
from tagfit.models.cnn import CnnNetwork, Residual
from tagfit.models.dense import DenseNetwork
from tagfit.models.ensemble import members_of
from tagfit.models.layers import BatchNorm, Dropout, Noise, Standardise, StochasticDepth


def main() -> None:
    """Run as `python -m tagfit.inference.export.keras_layers FOLDER`: write, load and run the file."""
    folder = Path(sys.argv[1])
    model_of(read_bundle(folder / BUNDLE)).save(folder / FILE)
    loaded = keras.models.load_model(folder / FILE)
    with np.load(folder / SAMPLES) as samples:
        np.savez(folder / SCORES, *(loaded.predict(x, verbose=0) for x in samples.values()))


def model_of(bundle: Bundle) -> Any:
    """(N, H, W, 3) images or (N, D) features to (N, L) scores, scaling inside."""
    taken, networks = bundle.preprocessing, members_of(bundle.network)
    given = keras.Input(taken.shape, dtype="float32", name=taken.input_name)
    scale = taken.scale * (255 / taken.pixel_range if taken.takes_images else 1)
    scaled = given if scale == 1.0 else layers.Rescaling(scale)(given)
    name = None if taken.takes_images else "scores"
    if len(networks) == 1:
        scores = _scores(networks[0], scaled, name)
    else:
        scores = layers.Average(name=name)([_scores(network, scaled) for network in networks])
    if taken.takes_images:
        scores = layers.Multiply(name="scores")([scores, _one_if_fitting(given, taken.pixel_range)])
    return keras.Model(given, scores, name="tagfit")


def _one_if_fitting(given: Any, pixel_range: int) -> Any:
    """(N, 1) of 1, and NaN for images that cannot go from 0 to `pixel_range`."""
    ops, pixels = keras.ops, (1, 2, 3)
    low, high = ops.min(given, axis=pixels), ops.max(given, axis=pixels)
    fits = ops.logical_and(low >= 0, high <= (HIGHEST_FLOAT if pixel_range == 1 else 255))
    if pixel_range == 255:
        whole = ops.max(ops.abs(given - ops.round(given)), axis=pixels) <= 0
        fits = ops.logical_and(fits, ops.logical_or(high > 1, whole))
    number = ops.cast(ops.expand_dims(fits, 1), "float32")
    return number / number


def _scores(network: nn.Module, x: Any, name: str | None = None) -> Any:
    if isinstance(network, CnnNetwork):
        features, output = _through(network.dropout, _pooled(network, x)), network.output
    else:
        *hidden, last = cast(DenseNetwork, network).layers
        features, output = _through(nn.Sequential(*hidden), x), cast(nn.Linear, last)
    return _with(layers.Dense(output.out_features, "sigmoid", name=name), features, output.weight.T, output.bias)


def _pooled(network: CnnNetwork, x: Any) -> Any:
    """The mean of what the trunk, a model of its own, makes of each view."""
    x = _through(network.standardise, x)
    image = keras.Input(x.shape[1:])
    maps = _through(network.trunk, image)
    pooled = layers.Concatenate()([layers.GlobalAveragePooling2D()(maps), layers.GlobalMaxPooling2D()(maps)])
    trunk = keras.Model(image, pooled)
    found = [trunk(view) for view in _views(x, network.views)]
    return found[0] if len(found) == 1 else layers.Average()(found)


def _views(x: Any, count: int) -> list[Any]:
    """As `models.views.views_of`."""
    views = [x]
    if count >= 2:
        views.append(keras.ops.flip(x, axis=2))
    if count >= 4:
        views += [keras.ops.flip(view, axis=1) for view in views]
    if count >= 8:
        views += [layers.Permute((2, 1, 3))(view) for view in views]
    return views


def _through(block: nn.Module, x: Any) -> Any:
    """What `block` makes of `x`, with its weights."""
    match block:
        case nn.Sequential():
            for part in block:
                x = _through(part, x)
            return x
        case Residual():
            return layers.ReLU()(layers.Add()([x, _through(block.depth, _through(block.branch, x))]))
        case nn.Linear():
            return _with(layers.Dense(block.out_features), x, block.weight.T, block.bias)
        case nn.Conv2d():
            padded = layers.ZeroPadding2D(block.padding)(x)
            ours = layers.Conv2D(block.out_channels, block.kernel_size, block.stride, use_bias=False)
            return _with(ours, padded, block.weight.permute(2, 3, 1, 0))
        case BatchNorm():
            norm = layers.BatchNormalization(momentum=block.momentum, epsilon=block.epsilon)
            return _with(norm, x, block.weight, block.bias, block.running_mean, block.running_var)
        case Standardise():  # keras.layers.Normalization holds variances, and takes no deviation below 1e-7
            return (x - block.mean.numpy()) / block.deviation.numpy()
        case StochasticDepth():
            return layers.Dropout(block.share, noise_shape=(None, 1, 1, 1))(x) if block.share else x
        case Dropout():
            return layers.Dropout(block.share)(x) if block.share else x
        case Noise():
            return layers.GaussianNoise(block.deviation)(x)
        case nn.ReLU():
            return layers.ReLU()(x)
        case nn.AvgPool2d():
            return layers.AveragePooling2D(2, padding="same")(x)
        case nn.Flatten():
            return layers.Flatten()(x)
        case nn.Identity():
            return x
    raise TypeError(f"there is no Keras layer for {type(block).__name__}")


def _with(layer: Any, x: Any, *weights: Tensor) -> Any:
    answer = layer(x)
    layer.set_weights([weight.detach().numpy() for weight in weights])
    return answer


if __name__ == "__main__":
    main()
