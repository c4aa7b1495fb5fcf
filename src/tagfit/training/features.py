"""Images become features: a backbone run over each image once, while the next ones are decoded.

What is kept is what the network says. What is handed on is evened: of each value the root, with its sign, and all of an
image brought to one length (Perronnin et al., "Improving the Fisher kernel", ECCV 2010), so that neither a few large
values nor an image's contrast decide.

Shapes: N images of S x S pixels, D features.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tagfit.errors import DataError
from tagfit.io.memory_maps import release
from tagfit.models.backbones import Pretrained
from tagfit.models.folding import folded
from tagfit.training.thread_pool import ThreadPool

#: images that a network is given at a time: on a core of a CPU few, as the maps of many leave its cache
ON_A_CORE, ON_A_DEVICE = 4, 64

#: batches that wait for each thread: more would only take memory
_WAITING = 3

#: images that are read from a memory map at once
_READ_AT_ONCE = 256


def evened(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D) signed roots, of each image with a mean square of one half."""
    roots = np.sign(features) * np.sqrt(np.abs(features))
    lengths = np.sqrt(2 * (roots**2).mean(axis=1, keepdims=True))
    scaled: NDArray[np.float32] = roots / np.maximum(lengths, np.float32(1e-12))
    return scaled


class Known(Protocol):
    """Where features are kept, by the SHA-256 of an image's bytes."""

    def __contains__(self, digest: bytes) -> bool: ...
    def put(self, digests: Sequence[bytes], rows: NDArray[np.float32]) -> None: ...
    def rows(self, digests: Sequence[bytes]) -> NDArray[np.float32]: ...


class Extractor:
    """Runs a backbone: on a CPU one thread a core, each on images of its own; on another device one thread.

    BatchNorm is folded into the convolutions before it.
    """

    def __init__(self, pretrained: Pretrained, device: torch.device) -> None:
        self._backbone, self._device = pretrained.backbone, device
        size = self._backbone.form.size
        example = torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(0))
        network = folded(pretrained.network, example)
        self._network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        on_cpu = device.type == "cpu"
        self.threads = torch.get_num_threads() if on_cpu else 1
        self.at_once = ON_A_CORE if on_cpu else ON_A_DEVICE

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, D), evened, of (N, S, S, 3) uint8 images.

        Raises:
            DataError: features that are not finite.
        """
        found = np.empty((len(images), self._backbone.features), np.float32)

        def extract(start: int) -> None:
            rows = slice(start, start + self.at_once)
            found[rows] = self.raw(images[rows])

        with ThreadPool(self.threads) as pool:
            pool.map(extract, range(0, len(images), self.at_once))
        return evened(found)

    def raw(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, D), as the network makes them, of as many images as it is given at a time."""
        with torch.inference_mode():
            x = torch.from_numpy(images).to(self._device, torch.float32).mul_(1 / 255)
            features: NDArray[np.float32] = self._network(x).float().cpu().numpy()
        if not np.isfinite(features).all():
            raise DataError(f"{self._backbone.name} makes features that are not finite")
        return features

    def looking(self, known: Known) -> Looking:
        """Look at images as they are decoded, and keep their features; to be used in a `with`."""
        return Looking(self, known)


class Looking:
    """Images on their way to a network; what a thread of it raises is raised where more is handed in."""

    def __init__(self, extractor: Extractor, known: Known) -> None:
        self._extractor, self._known = extractor, known
        self._pool = ThreadPoolExecutor(extractor.threads, initializer=torch.set_num_threads, initargs=(1,))
        self._at_work: deque[Future[None]] = deque()
        self._digests: list[bytes] = []
        self._images: list[NDArray[np.uint8]] = []

    def __enter__(self) -> Looking:
        return self

    def __exit__(self, kind: object, *failure: object) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            self._wait(0)

    def at(self, digest: bytes, image: NDArray[np.uint8]) -> None:
        """Look at one image, unless its features are known; waits where the network is slower."""
        if digest in self._known:
            return
        self._digests.append(digest)
        self._images.append(image)
        if len(self._digests) == self._extractor.at_once:
            self._hand_over()

    def features(
        self,
        images: NDArray[np.uint8],
        digests: Sequence[bytes],
        on_read: Callable[[int, int], object] = lambda done, total: None,
    ) -> NDArray[np.float32]:
        """(N, D), evened, of (N, S, S, 3) images, which may be a memory map, in their order."""
        self._finish()
        missing = {digest: row for row, digest in enumerate(digests) if digest not in self._known}
        done = len(digests) - len(missing)
        for number, (digest, row) in enumerate(missing.items(), 1):
            self.at(digest, np.array(images[row]))
            if number % _READ_AT_ONCE == 0:
                release(images)
            on_read(done + number, len(digests))
        self._finish()
        return evened(self._known.rows(digests))

    def _hand_over(self) -> None:
        if self._digests:
            self._wait(_WAITING * self._extractor.threads - 1)
            self._at_work.append(self._pool.submit(self._keep, self._digests, np.stack(self._images)))
            self._digests, self._images = [], []

    def _keep(self, digests: Sequence[bytes], images: NDArray[np.uint8]) -> None:
        self._known.put(digests, self._extractor.raw(images))

    def _finish(self) -> None:
        self._hand_over()
        self._wait(0)

    def _wait(self, most: int) -> None:
        """Until at most so many batches are at work."""
        while len(self._at_work) > most:
            self._at_work.popleft().result()
