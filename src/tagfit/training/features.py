"""Images become features: a backbone run over each image once, while the next ones are decoded.

What is kept is what the network says. What is handed on is evened: of each value the root, with its sign, and all of an
image brought to one length (Perronnin et al., "Improving the Fisher kernel", ECCV 2010), so that neither a few large
values nor an image's contrast decide.

Shapes: N images of S x S pixels, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Queue
from threading import Thread
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tagfit.errors import DataError
from tagfit.io.memory_maps import release
from tagfit.models.backbones import Pretrained
from tagfit.models.folding import folded

#: images that a network is given at a time: on a core of a CPU few, as the maps of many leave its cache
ON_A_CORE, ON_A_DEVICE = 4, 64

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
        self._threads = torch.get_num_threads() if on_cpu else 1
        self.at_once = ON_A_CORE if on_cpu else ON_A_DEVICE

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, D), evened, of (N, S, S, 3) uint8 images.

        Raises:
            DataError: features that are not finite.
        """
        found = np.empty((len(images), self._backbone.features), np.float32)

        def keep(rows: NDArray[np.intp], features: NDArray[np.float32]) -> None:
            found[rows] = features

        with _Crew(self._threads, self._of, keep) as pool:
            for start in range(0, len(images), self.at_once):
                rows = np.arange(start, min(start + self.at_once, len(images)))
                pool.put(rows, images[rows])
        return evened(found)

    def _of(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            x = torch.from_numpy(images).to(self._device, torch.float32).mul_(1 / 255)
            features: NDArray[np.float32] = self._network(x).float().cpu().numpy()
        if not np.isfinite(features).all():
            raise DataError(f"{self._backbone.name} makes features that are not finite")
        return features

    def looking(self, known: Known) -> Looking:
        """Look at images as they are decoded, and keep their features; to be used in a `with`."""
        return Looking(_Crew(self._threads, self._of, known.put), known, self.at_once)


class Looking:
    """Images on their way to a network."""

    def __init__(self, pool: _Crew, known: Known, at_once: int) -> None:
        self._pool, self._known, self._at_once = pool, known, at_once
        self._digests: list[bytes] = []
        self._images: list[NDArray[np.uint8]] = []

    def __enter__(self) -> Looking:
        self._pool.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self._pool.__exit__(*failure)

    def at(self, digest: bytes, image: NDArray[np.uint8]) -> None:
        """Look at one image, unless its features are known; waits where the network is slower."""
        if digest in self._known:
            return
        self._digests.append(digest)
        self._images.append(image)
        if len(self._digests) == self._at_once:
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
            self._pool.put(self._digests, np.stack(self._images))
            self._digests, self._images = [], []

    def _finish(self) -> None:
        self._hand_over()
        self._pool.finish()


class _Crew:
    """Threads that make features of what is put in; what one of them raises is raised where more is put in."""

    def __init__(self, size: int, action: Callable[..., NDArray[np.float32]], keep: Callable[..., object]) -> None:
        self._action, self._keep = action, keep
        self._waiting: Queue[Any] = Queue(2 * size)
        self._failure: BaseException | None = None
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(size)]

    def __enter__(self) -> _Crew:
        for thread in self._threads:
            thread.start()
        return self

    def put(self, names: object, images: NDArray[np.uint8]) -> None:
        self._check()
        self._waiting.put((names, images))

    def finish(self) -> None:
        """Wait until all is done."""
        self._waiting.join()
        self._check()

    def __exit__(self, kind: object, *failure: object) -> None:
        if kind is not None:
            self._failure = self._failure or KeyboardInterrupt()  # nobody wants the rest
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        if kind is None:
            self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        torch.set_num_threads(1)  # of this thread
        while (item := self._waiting.get()) is not None:
            try:
                if self._failure is None:
                    names, images = item
                    self._keep(names, self._action(images))
            except BaseException as error:  # raised again where more is put in
                self._failure = error
            finally:
                self._waiting.task_done()
        self._waiting.task_done()
