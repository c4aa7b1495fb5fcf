"""Which parts of an image speak for a label.

Of a CNN, Grad-CAM (Selvaraju et al. 2017): maps of the network, times how a label's logit grows with them. Taken are
the first stage's maps, each place with a gradient of its own (HiResCAM, Draelos & Carin 2020): the last maps are
coarse, each of their places sees much of the image, and they say less of where (benchmarks/explain_deletion.py). Of
any other network, occlusion (Zeiler & Fergus 2014): how much lower the logit is if a window is hidden behind the
image's mean colour. Both say what this network looks at, which need not be what makes the label true.

Shapes: S x S pixels, K labels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfit.metrics.scores import CLIP

if TYPE_CHECKING:
    from tagfit.models.cnn import CnnNetwork

#: gives (n, L) scores of (n, S, S, 3) uint8 images
Scores = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

#: windows that hide a part, along each side of an image
_WINDOWS = 13

#: sides of an overlay that is easy to look at
_SHOWN = 256

#: less is not made to look like much
FAINT = 0.1

#: the colour of a layer
_WARM = (255, 96, 0)

#: from no heat to the highest, dark to light in even steps: sRGB
_HEAT = np.array([(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)], np.float32)


@dataclass(frozen=True, eq=False)
class Explanation:
    """What of one image speaks for some labels.

    Attributes:
        image: (S, S, 3) uint8, as the network sees it.
        label_names: (K,).
        scores: (K,) float32, the network's scores of these labels.
        heat: (K, S, S) float32, in logits: above 0 where the image speaks for the label, below where it speaks
            against. By occlusion, what hiding the place takes; by Grad-CAM, a mean over the image that is about what
            all of it brings.
        method: `grad-cam` or `occlusion`.
    """

    image: NDArray[np.uint8]
    label_names: tuple[str, ...]
    scores: NDArray[np.float32]
    heat: NDArray[np.float32]
    method: str

    def overlay(self, label: str) -> Image.Image:
        """The image in grey, and over it, the lighter the more, what speaks for `label`; at least 256 pixels wide.

        Raises:
            ValueError: the label was not explained.
        """
        share = self._share(label)
        size = (max(_SHOWN, len(share)),) * 2
        part = np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)[..., None]
        grey = Image.fromarray(self.image).convert("L").resize(size, Image.Resampling.BICUBIC)
        below = np.asarray(grey, np.float32)[..., None] * 0.7
        step = part[..., 0] * (len(_HEAT) - 1)
        colour = np.stack([np.interp(step, range(len(_HEAT)), channel) for channel in _HEAT.T], -1)
        return Image.fromarray((below * (1 - 0.8 * part) + colour * 0.8 * part).round().astype(np.uint8))

    def png(self, label: str) -> bytes:
        """`overlay` as a PNG file."""
        return _png(self.overlay(label))

    def layer(self, label: str) -> bytes:
        """A PNG to be laid over the image, as large as it: the more opaque, the more speaks for `label`."""
        alpha = np.uint8(255 * self._share(label))
        return _png(Image.fromarray(np.dstack([np.full((*alpha.shape, 3), _WARM, dtype=np.uint8), alpha])))

    def _share(self, label: str) -> NDArray[np.float32]:
        """(S, S) what speaks for `label`, of the most that does."""
        if label not in self.label_names:
            raise ValueError(f"expected one of {', '.join(self.label_names)}; got {label!r}")
        heat = np.maximum(self.heat[self.label_names.index(label)], 0)
        share: NDArray[np.float32] = heat / max(float(heat.max()), FAINT)
        return share


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def hidden(image: NDArray[np.uint8], labels: Sequence[int], scores: Scores) -> NDArray[np.float32]:
    """(K, S, S) by occlusion: of each pixel the mean drop of the logit over the windows that hide it.

    Logits beyond 16 are clipped: if a network is surer than that, with the image and without, nothing shows.
    """
    starts, side = _windows(len(image))
    mean = image.mean((0, 1)).round().astype(np.uint8)
    drops = np.zeros((len(labels), *image.shape[:2]), np.float32)
    count = np.zeros(image.shape[:2], np.float32)
    whole = _logits(scores(image[None]))[0, labels]
    for top in starts:
        masked = np.repeat(image[None], len(starts), axis=0)
        for row, left in enumerate(starts):
            masked[row, max(0, top) : top + side, max(0, left) : left + side] = mean
        found = whole - _logits(scores(masked))[:, labels]
        for row, left in enumerate(starts):
            where = np.s_[max(0, top) : top + side, max(0, left) : left + side]
            drops[(slice(None), *where)] += found[row][:, None, None]
            count[where] += 1
    return np.divide(drops, count, dtype=np.float32)


def _windows(size: int) -> tuple[list[int], int]:
    """Where windows begin, some before the edge, so that each pixel lies in as many; and their side."""
    step = max(1, round(size / _WINDOWS))
    return list(range(-step, size, step)), 2 * step


def _logits(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    clipped = np.clip(scores.astype(np.float64), CLIP, 1 - CLIP)
    return np.log(clipped / (1 - clipped)).astype(np.float32)


def grad_cam(network: CnnNetwork, x: NDArray[np.float32], labels: Sequence[int]) -> NDArray[np.float32]:
    """(K, S, S) by Grad-CAM, of (S, S, 3) inputs of the network; views are turned back and averaged."""
    import torch
    from torch.nn.functional import interpolate

    from tagfit.models.views import turned_back

    device = network.output.weight.device
    with torch.no_grad():
        maps = network.maps(torch.from_numpy(x[None]).to(device))
    with torch.enable_grad():
        maps.requires_grad_()
        logits = network.answer(maps, 1)[0]
        found = []
        for label in labels:
            (slopes,) = torch.autograd.grad(logits[label], maps, retain_graph=True)
            heat_VHW = (slopes * maps.detach()).sum(1) * maps[0, 0].numel()
            found.append(sum(turned_back(view[None], number)[0] for number, view in enumerate(heat_VHW)))
    small = torch.stack([torch.as_tensor(heat) for heat in found])[:, None]
    large = interpolate(small, size=x.shape[:2], mode="bilinear", align_corners=False)[:, 0]
    return large.cpu().numpy()
