"""Augmentation: what is done at random to every picture in training, on tensors. Off under the lock.

Shapes: B batch, H x W pixels, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

#: how far a crop may shift, as a share of the side
SHIFT = 0.1
#: how much of the side a zoom shows, from and to
ZOOM = (0.7, 1.1)
#: how far brightness goes from 0, contrast and each colour from 1
BRIGHTNESS, CONTRAST, COLOUR = 0.1, 0.2, 0.05
#: of the Beta distribution that mixup and cutmix draw their share from
MIXING = 0.4

#: the changes that draw one of the views that a network may look at
VIEWS_DRAWN = frozenset({"mirror", "flip", "turn"})

Change = Callable[[Tensor, torch.Generator], Tensor]


class Augmentation:
    """Does what a recipe names, in the order of AUGMENTATIONS.

    Args:
        names: from recipes.AUGMENTATIONS.
        generator: where every draw comes from.
    """

    def __init__(self, names: tuple[str, ...], generator: torch.Generator) -> None:
        self._changes = [change for name, change in CHANGES.items() if name in names]
        self._mixes = [mix for name, mix in MIXES.items() if name in names]
        self._generator = generator

    def __call__(self, x: Tensor, targets_BL: Tensor, known_BL: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Pictures (B, H, W, 3) in [0, 1], targets and known cells of a step, changed."""
        for change in self._changes:
            x = change(x, self._generator)
        if self._mixes and len(x) > 1:
            # one of them a step; the first that is asked for, at even odds
            which = int(torch.randint(len(self._mixes), (1,), generator=self._generator, device=x.device))
            others = torch.randperm(len(x), generator=self._generator, device=x.device)
            x, share = self._mixes[which](x, x[others], self._generator)
            targets_BL = share * targets_BL + (1 - share) * targets_BL[others]
            known_BL = None if known_BL is None else torch.minimum(known_BL, known_BL[others])
        return x, targets_BL, known_BL


def _uniform(x: Tensor, generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.rand(len(x), *shape, generator=generator, device=x.device, dtype=x.dtype) * (high - low) + low


def _half(x: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 1, 1, 1) True for about every second picture."""
    return _uniform(x, generator, 0, 1, 1, 1, 1) < 0.5


def mirror(x: Tensor, generator: torch.Generator) -> Tensor:
    """Left to right, every second picture."""
    return torch.where(_half(x, generator), x.flip(2), x)


def flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Upside down, every second picture: for pictures taken from above."""
    return torch.where(_half(x, generator), x.flip(1), x)


def turn(x: Tensor, generator: torch.Generator) -> Tensor:
    """Along the diagonal, every second picture; with mirror and flip, all quarter turns. Square pictures only."""
    return torch.where(_half(x, generator), x.transpose(1, 2), x)


def crop(x: Tensor, generator: torch.Generator) -> Tensor:
    """Shifted by up to a tenth of the side; what is missing is reflected."""
    height, width = x.shape[1:3]
    down, right = round(SHIFT * height), round(SHIFT * width)
    if not (down or right):
        return x
    padded = pad(x.permute(0, 3, 1, 2), (right, right, down, down), mode="reflect").permute(0, 2, 3, 1)
    rows = torch.randint(2 * down + 1, (len(x), 1), generator=generator, device=x.device)
    columns = torch.randint(2 * right + 1, (len(x), 1), generator=generator, device=x.device)
    rows = rows + torch.arange(height, device=x.device)
    columns = columns + torch.arange(width, device=x.device)
    return padded[torch.arange(len(x), device=x.device)[:, None, None], rows[:, :, None], columns[:, None, :]]


def zoom(x: Tensor, generator: torch.Generator) -> Tensor:
    """A part of the picture, or slightly more than it, brought to its size; what is missing is reflected."""
    scale = _uniform(x, generator, *ZOOM)
    centre = _uniform(x, generator, -1, 1, 2) * (1 - scale).abs()[:, None]
    theta = torch.zeros(len(x), 2, 3, device=x.device, dtype=x.dtype)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = centre
    pictures = x.permute(0, 3, 1, 2)
    grid = affine_grid(theta, list(pictures.shape), align_corners=False)
    return grid_sample(pictures, grid, padding_mode="reflection", align_corners=False).permute(0, 2, 3, 1)


def colour(x: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and the balance of the three colours."""
    gain = _uniform(x, generator, 1 - CONTRAST, 1 + CONTRAST, 1, 1, 1)
    gain = gain * _uniform(x, generator, 1 - COLOUR, 1 + COLOUR, 1, 1, 3)
    shift = _uniform(x, generator, -BRIGHTNESS, BRIGHTNESS, 1, 1, 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * gain + mean + shift


def mixup(x: Tensor, others: Tensor, generator: torch.Generator) -> tuple[Tensor, float]:
    """Pictures averaged in pairs (Zhang et al. 2018); the share of the first."""
    share = _beta(generator)
    return share * x + (1 - share) * others, share


def cutmix(x: Tensor, others: Tensor, generator: torch.Generator) -> tuple[Tensor, float]:
    """A rectangle of one pasted into the other (Yun et al. 2019); the share of the first that is left."""
    height, width = x.shape[1:3]
    side = math.sqrt(1 - _beta(generator))
    down, right = round(side * height), round(side * width)
    top = int(torch.randint(height - down + 1, (1,), generator=generator, device=generator.device))
    left = int(torch.randint(width - right + 1, (1,), generator=generator, device=generator.device))
    x = x.clone()
    x[:, top : top + down, left : left + right] = others[:, top : top + down, left : left + right]
    return x, 1 - down * right / (height * width)


def _beta(generator: torch.Generator) -> float:
    """From Beta(MIXING, MIXING), by two Gamma draws (torch's own takes no generator); Johnk's method."""
    while True:
        u, v = torch.rand(2, generator=generator, device=generator.device).tolist()
        a, b = u ** (1 / MIXING), v ** (1 / MIXING)
        if 0 < a + b <= 1:
            return float(a / (a + b))


#: by the name that a recipe writes
CHANGES: dict[str, Change] = {
    "mirror": mirror,
    "flip": flip,
    "turn": turn,
    "crop": crop,
    "zoom": zoom,
    "colour": colour,
}
MIXES: dict[str, Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, float]]] = {
    "mixup": mixup,
    "cutmix": cutmix,
}
