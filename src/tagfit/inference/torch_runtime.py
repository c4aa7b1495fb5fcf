"""A bundle's networks in torch."""

from __future__ import annotations

import copy
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tagfit.bundle.record import Bundle
from tagfit.io.forks import demand_own_threads
from tagfit.models.cnn import CnnNetwork
from tagfit.models.ensemble import members_of
from tagfit.models.fine_tuned import FineTunedNetwork
from tagfit.records.data import Array
from tagfit.records.runs import Units
from tagfit.training.device import find_device
from tagfit.training.features import Extractor
from tagfit.training.inference import dead_units, probabilities
from tagfit.training.inputs import NetworkInputs


class TorchNetworks:
    """Gives scores to arrays, on any device.

    Attributes:
        network: in inference mode, on the device.
    """

    def __init__(self, bundle: Bundle, device: str = "auto") -> None:
        self._bundle, self._device = bundle, find_device(device)
        self.network = copy.deepcopy(bundle.network).to(self._device)

    def takes(self, x: Array) -> bool:
        """Whether `x`, of a shape and dtype that the bundle takes, is what these networks take: always."""
        return True

    def scores(self, x: Array) -> NDArray[np.float32]:
        """(n, L) float32 of n samples: features, or images, which a backbone looks at if there is one."""
        demand_own_threads()
        return probabilities(self.network, self._inputs(x), np.arange(len(x)))

    def dead_units(self, x: Array) -> list[Units]:
        """The units that answer 0 to every sample of `x`, by layer."""
        return dead_units(self.network, self._inputs(x), np.arange(len(x)))

    @property
    def cnn(self) -> CnnNetwork | None:
        """The network, if it is one CNN."""
        return self.network if isinstance(self.network, CnnNetwork) else None

    @property
    def fine_tuned(self) -> bool:
        """Whether some network looks at the images that the others are given features of."""
        return any(isinstance(network, FineTunedNetwork) for network in members_of(self.network))

    @cached_property
    def _extractor(self) -> Extractor | None:
        pretrained = self._bundle.pretrained
        return None if pretrained is None else Extractor(pretrained, self._device)

    def _inputs(self, x: Array) -> NetworkInputs:
        """What each network is given of samples, or of the images that a backbone looks at."""
        if x.ndim < 4 or self._extractor is None:
            return NetworkInputs(x, self._bundle.preprocessing.scale, self._device)
        features = any(not isinstance(network, FineTunedNetwork) for network in members_of(self.network))
        return NetworkInputs(self._extractor.features(x) if features else None, 1.0, self._device, pixels=x)
