"""What networks of each kind are given of the same samples: features or pixels, or what a backbone's lower blocks make.

Shapes: N samples, V views, S x S pixels.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tagfit.io.memory_maps import release
from tagfit.models.fine_tuned import FineTunedNetwork
from tagfit.records.data import Array, Dataset
from tagfit.training.batches import Samples
from tagfit.training.events import ImagesPassed, Listener
from tagfit.training.features import ON_A_CORE
from tagfit.training.thread_pool import thread_pool_for

#: of an image as it was decoded
PIXEL_SCALE = 1 / 255


@dataclass(eq=False)
class NetworkInputs:
    """N samples in every shape that some network takes; what has to be computed is computed once.

    Attributes:
        x: (N, ...) what most networks take; None where no network needs it.
        scale: what `x` is multiplied by.
        pixels: (N, S, S, 3) uint8 images for fine-tuned networks, where there are any.
        on_event: told how many images have run through the lower blocks.
    """

    x: Array | None
    scale: float
    device: torch.device
    pixels: NDArray[np.uint8] | None = None
    on_event: Listener = lambda event: None
    _activations: dict[tuple[int, int], NDArray[np.float32]] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset, device: torch.device, on_event: Listener = lambda event: None) -> NetworkInputs:
        return cls(dataset.x, dataset.preprocessing.scale, device, dataset.pixels, on_event)

    def samples(self, network: nn.Module) -> Samples:
        """What `network` is given.

        Raises:
            ValueError: it looks at images, and there are none.
        """
        if not isinstance(network, FineTunedNetwork):
            if self.x is None:
                raise ValueError("this network takes what is not here")
            return Samples.of(self.x, self.scale, self.device)
        if self.pixels is None:
            raise ValueError("a fine-tuned network takes images; there are only features")
        if not network.parted:
            return Samples.of(self.pixels, PIXEL_SCALE, self.device)
        key = (network.first, network.model.views)
        if key not in self._activations:
            self._activations[key] = self._run_lower(network, self.pixels)
        return Samples.of(self._activations[key], 1.0, self.device)

    def _run_lower(self, network: FineTunedNetwork, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, V, ...) activations, in a file that goes when nobody uses it any more."""
        images = Samples.of(pixels, PIXEL_SCALE, self.device)
        whole = network.whole.to(self.device)

        def of(start: int) -> NDArray[np.float32]:
            rows = torch.arange(start, min(start + ON_A_CORE, len(pixels)))
            with torch.inference_mode():
                return network.activations(images.take(rows)).cpu().numpy()

        with thread_pool_for(whole, ON_A_CORE) as pool:
            first = of(0)
            with tempfile.TemporaryFile() as file:  # which lives as long as the map of it
                found: Array = np.memmap(file, np.float32, "w+", shape=(len(pixels), *first.shape[1:]))
            done = 0

            def put(start: int) -> None:
                nonlocal done
                found[start : start + ON_A_CORE] = of(start)
                done += ON_A_CORE
                self.on_event(ImagesPassed(min(done, len(pixels)), len(pixels)))

            pool.map(put, range(0, len(pixels), ON_A_CORE))
        release(pixels)
        return found
