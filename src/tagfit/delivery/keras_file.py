"""The networks of a bundle as the content of a Keras file, of Keras's own layers alone, held against torch first.

Shapes: N samples, L labels, H x W pixels.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor, nn

from tagfit.delivery.bundle import Bundle
from tagfit.delivery.made_file import MadeFile, difference, samples_of, told_of
from tagfit.delivery.torch_networks import TorchNetworks
from tagfit.errors import ExportError, MissingExtraError
from tagfit.models.cnn import CnnNetwork, Residual
from tagfit.models.dense import DenseNetwork
from tagfit.models.ensemble import members_of
from tagfit.models.layers import BatchNorm, Dropout, Noise, Standardise

#: the file in the archive that says what the network's scores mean; Keras leaves it alone
TOLD = "tagfit.json"


def keras_of(bundle: Bundle, examples: ArrayLike | None = None) -> MadeFile:
    """`bundle` as a Keras file that gives its raw scores, which was loaded again and run beside torch.

    Dropout and noise are in it, for further training; what a CNN leaves out at random of its blocks is not.

    Args:
        examples: samples to compare on; random ones are taken as well.

    Raises:
        MissingExtraError: Keras is not installed.
        ExportError: a network with a backbone, or one whose scores would be others.
    """
    if bundle.preprocessing.backbone is not None:
        raise ExportError(
            "a bundle with a pretrained backbone cannot be written as a Keras file, as that network is not Keras's. "
            "An ONNX file (--to onnx) has it inside."
        )
    samples, networks = samples_of(bundle, examples), TorchNetworks(bundle, "cpu")
    with _keras() as keras, tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "model.keras")
        _model(keras, bundle).save(file)
        again = keras.models.load_model(file)
        scores = [np.asarray(again.predict(x, verbose=0)) for x in samples]
        worst = max(difference(found, networks.scores(x), "Keras") for found, x in zip(scores, samples, strict=True))
        return MadeFile(_with_told(file.read_bytes(), bundle), ("scores",), sum(map(len, samples)), worst)


@contextmanager
def _keras() -> Iterator[Any]:
    """Keras, on torch unless it is in use already or KERAS_BACKEND says otherwise; it leaves no file in the home."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as home, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ.setdefault("KERAS_BACKEND", "torch")
        os.environ.setdefault("KERAS_HOME", home)
        try:
            import keras
        except ImportError as error:
            if importlib.util.find_spec("keras") is None:
                raise MissingExtraError("a Keras file", "keras") from None
            raise ExportError(f"Keras does not start: {error}. Is KERAS_BACKEND what is installed?") from error
        finally:
            for name in ("KERAS_BACKEND", "KERAS_HOME"):
                if name not in before:
                    del os.environ[name]
        yield keras


def _with_told(content: bytes, bundle: Bundle) -> bytes:
    told = io.BytesIO(content)
    with zipfile.ZipFile(told, "a") as archive:
        archive.writestr(TOLD, json.dumps(told_of(bundle), ensure_ascii=False, allow_nan=False, indent=1))
    return told.getvalue()


def _model(keras: Any, bundle: Bundle) -> Any:
    """(N, H, W, 3) uint8 or (N, D) float32 to (N, L) scores, scaling inside."""
    taken = bundle.preprocessing
    dtype = "uint8" if taken.takes_pictures else "float32"
    given = keras.Input(taken.shape, dtype=dtype, name=taken.input_name)
    scaled = given if taken.scale == 1.0 else keras.layers.Rescaling(taken.scale)(given)
    scores = [_writer(keras, network).scores(scaled) for network in members_of(bundle.network)]
    joined = scores[0] if len(scores) == 1 else keras.layers.Average(name="scores")(scores)
    return keras.Model(given, joined, name="tagfit")


def _writer(keras: Any, network: nn.Module) -> _Dense | _Cnn:
    return _Cnn(keras, network) if isinstance(network, CnnNetwork) else _Dense(keras, cast(DenseNetwork, network))


class _Layers:
    """Keras's layers with the weights of ours."""

    def __init__(self, keras: Any) -> None:
        self.keras, self.layers = keras, keras.layers

    def linear(self, layer: nn.Linear, x: Any, activation: str | None = None) -> Any:
        return self._with(self.layers.Dense(layer.out_features, activation), x, layer.weight.T, layer.bias)

    def norm(self, layer: BatchNorm, x: Any) -> Any:
        ours = self.layers.BatchNormalization(momentum=layer.momentum, epsilon=layer.epsilon)
        return self._with(ours, x, layer.weight, layer.bias, layer.running_mean, layer.running_var)

    def convolution(self, layer: nn.Conv2d, x: Any) -> Any:
        ours = self.layers.Conv2D(layer.out_channels, layer.kernel_size, layer.stride, use_bias=False)
        return self._with(ours, self.layers.ZeroPadding2D(layer.padding)(x), layer.weight.permute(2, 3, 1, 0))

    def standardise(self, layer: Standardise, x: Any) -> Any:
        mean, deviation = (one.double().numpy() for one in (layer.mean, layer.deviation))
        return self.layers.Normalization(mean=mean.tolist(), variance=np.square(deviation).tolist())(x)

    @staticmethod
    def _with(layer: Any, x: Any, *weights: Tensor) -> Any:
        answer = layer(x)
        layer.set_weights([weight.detach().numpy() for weight in weights])
        return answer


class _Dense(_Layers):
    """A dense network."""

    def __init__(self, keras: Any, network: DenseNetwork) -> None:
        super().__init__(keras)
        self.network = network

    def scores(self, x: Any) -> Any:
        *hidden, output = self.network.layers
        for layer in hidden:
            match layer:
                case Standardise():
                    x = self.standardise(layer, x)
                case nn.Flatten():
                    x = self.layers.Flatten()(x)
                case Noise():
                    x = self.layers.GaussianNoise(layer.deviation)(x)
                case Dropout():
                    x = self.layers.Dropout(layer.share)(x)
                case nn.Linear():
                    x = self.linear(layer, x)
                case nn.ReLU():
                    x = self.layers.ReLU()(x)
                case BatchNorm():
                    x = self.norm(layer, x)
        return self.linear(cast(nn.Linear, output), x, "sigmoid")


class _Cnn(_Layers):
    """A CNN: its trunk is one model, which looks at each view."""

    def __init__(self, keras: Any, network: CnnNetwork) -> None:
        super().__init__(keras)
        self.network = network

    def scores(self, x: Any) -> Any:
        if isinstance(self.network.standardise, Standardise):
            x = self.standardise(self.network.standardise, x)
        trunk = self._trunk(x.shape[1:])
        pooled = [trunk(view) for view in self._views(x)]
        joined = pooled[0] if len(pooled) == 1 else self.layers.Average()(pooled)
        dropped = self.layers.Dropout(self.network.dropout.share)(joined) if self.network.dropout.share else joined
        return self.linear(self.network.output, dropped, "sigmoid")

    def _views(self, x: Any) -> list[Any]:
        """As `models.views.views_of`."""
        flip, count = self.keras.ops.flip, self.network.views
        views = [x]
        if count >= 2:
            views.append(flip(x, axis=2))
        if count >= 4:
            views += [flip(view, axis=1) for view in views]
        if count >= 8:
            views += [self.layers.Permute((2, 1, 3))(view) for view in views]
        return views

    def _trunk(self, shape: Sequence[int]) -> Any:
        given = self.keras.Input(shape)
        maps = self._through(self.network.trunk, given)
        pooled = [self.layers.GlobalAveragePooling2D()(maps), self.layers.GlobalMaxPooling2D()(maps)]
        return self.keras.Model(given, self.layers.Concatenate()(pooled))

    def _through(self, block: nn.Module, x: Any) -> Any:
        match block:
            case nn.Conv2d():
                return self.convolution(block, x)
            case BatchNorm():
                return self.norm(block, x)
            case nn.ReLU():
                return self.layers.ReLU()(x)
            case nn.AvgPool2d():
                return self.layers.AveragePooling2D(2, padding="same")(x)
            case Residual():
                return self.layers.ReLU()(self.layers.Add()([x, self._through(block.branch, x)]))
        for part in cast(nn.Sequential, block):
            x = self._through(part, x)
        return x
