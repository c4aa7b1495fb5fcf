"""Augmentation: what is done at random to every image in training, on tensors. Off under the lock.

Shapes: B batch, H x W pixels, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

#: at a strength of 1: how far a crop may shift, as a share of the side
SHIFT = 0.1
#: how much less and more of the side than all of it a zoom shows
CLOSER, WIDER = 0.3, 0.1
#: how far brightness goes from 0, contrast and each colour from 1
BRIGHTNESS, CONTRAST, COLOUR = 0.1, 0.2, 0.05
#: of the Beta distribution that mixup and cutmix draw their share from
MIXING = 0.4


class Augmentation:
    """Does what a recipe names, in the order of AUGMENTATIONS; what is moved and zoomed is sampled once.

    Args:
        names: from recipes.AUGMENTATIONS.
        generator: where every draw comes from.
        strength: how far everything goes; 1 is as far as the constants above, 0 does nothing.
    """

    def __init__(self, names: tuple[str, ...], generator: torch.Generator, strength: float = 1.0) -> None:
        named = set(names) if strength else set()
        self._moves = [move for name, move in MOVES.items() if name in named]
        self._changes = [change for name, change in CHANGES.items() if name in named]
        self._mixes = [mix for name, mix in MIXES.items() if name in named]
        self._generator, self._strength = generator, strength

    def __call__(self, x: Tensor, targets_BL: Tensor, known_BL: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images (B, H, W, 3) in [0, 1], targets and known cells of a step, changed."""
        x = self._moved(x) if self._moves else x
        for change in self._changes:
            x = change(x, self._generator, self._strength)
        if self._mixes and len(x) > 1:
            # one of them a step; the first that is asked for, at even odds
            which = int(torch.randint(len(self._mixes), (1,), generator=self._generator, device=x.device))
            others = torch.randperm(len(x), generator=self._generator, device=x.device)
            x, share = self._mixes[which](x, others, self._generator, self._strength)
            targets_BL = share * targets_BL + (1 - share) * targets_BL[others]
            known_BL = None if known_BL is None else torch.minimum(known_BL, known_BL[others])
        return x, targets_BL, known_BL

    def _moved(self, x: Tensor) -> Tensor:
        """All moves as one: where each pixel comes from, between pixels linearly; what is missing is reflected."""
        height, width = x.shape[1:3]
        places_B23 = torch.eye(2, 3, device=x.device, dtype=x.dtype).repeat(len(x), 1, 1)
        for move in self._moves:
            places_B23 = move(places_B23, (width, height), self._generator, self._strength)
        return grid_sample(
            x.permute(0, 3, 1, 2), _grid(places_B23, height, width), padding_mode="reflection", align_corners=False
        ).permute(0, 2, 3, 1)


def _grid(places_B23: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W, 2): where the pixels come from, from -1 to 1; as `affine_grid` has it, at a fifth of its time."""
    across_W, down_H = (
        (torch.arange(side, device=places_B23.device, dtype=places_B23.dtype) * 2 + 1) / side - 1
        for side in (width, height)
    )
    by_column = places_B23[:, None, None, :, 0] * across_W[:, None]
    by_row = places_B23[:, None, None, :, 1] * down_H[:, None, None] + places_B23[:, None, None, :, 2]
    return by_column + by_row


def _uniform(like: Tensor, generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    drawn = torch.rand(len(like), *shape, generator=generator, device=like.device, dtype=like.dtype)
    return drawn * (high - low) + low


def _half(places_B23: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 1) True for about every second image."""
    return _uniform(places_B23, generator, 0, 1, 1) < 0.5


# Moves change the places (B, 2, 3) where pixels come from: the rows give x and y, each so much of x, of y, and of 1.


def reflect(
    places_B23: Tensor, sides: tuple[int, int], generator: torch.Generator, strength: float, *, axis: int
) -> Tensor:
    """Left to right (axis 0) or upside down (axis 1: for images taken from above), every second image."""
    places_B23[:, axis] *= _half(places_B23, generator) * -2 + 1
    return places_B23


def turn(places_B23: Tensor, sides: tuple[int, int], generator: torch.Generator, strength: float) -> Tensor:
    """Along the diagonal, every second image; with mirror and flip, all quarter turns. Square images only."""
    return torch.where(_half(places_B23, generator)[:, None], places_B23.flip(1), places_B23)


def crop(places_B23: Tensor, sides: tuple[int, int], generator: torch.Generator, strength: float) -> Tensor:
    """Shifted by whole pixels, up to a tenth of the side."""
    for axis, side in enumerate(sides):
        most = round(SHIFT * strength * side)
        shifts_B = torch.randint(2 * most + 1, (len(places_B23),), generator=generator, device=places_B23.device) - most
        places_B23[:, axis, 2] += shifts_B * (2 / side)
    return places_B23


def zoom(places_B23: Tensor, sides: tuple[int, int], generator: torch.Generator, strength: float) -> Tensor:
    """A part of the image, or slightly more than it, brought to its size."""
    shown_B1 = _uniform(places_B23, generator, 1 - CLOSER * strength, 1 + WIDER * strength, 1)
    places_B23[:, :, :2] *= shown_B1[:, None]
    places_B23[:, :, 2] += _uniform(places_B23, generator, -1, 1, 2) * (1 - shown_B1).abs()
    return places_B23


def colour(x: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Brightness, contrast and the balance of the three colours."""
    contrast, balance, brightness = CONTRAST * strength, COLOUR * strength, BRIGHTNESS * strength
    gain = _uniform(x, generator, 1 - contrast, 1 + contrast, 1, 1, 1)
    gain = gain * _uniform(x, generator, 1 - balance, 1 + balance, 1, 1, 3)
    shift = _uniform(x, generator, -brightness, brightness, 1, 1, 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    return torch.addcmul(mean * (1 - gain) + shift, x, gain)


def mixup(x: Tensor, others: Tensor, generator: torch.Generator, strength: float) -> tuple[Tensor, float]:
    """Images averaged in pairs (Zhang et al. 2018); the share of the first."""
    share = _beta(generator, MIXING * strength)
    return x[others].lerp_(x, share), share


def cutmix(x: Tensor, others: Tensor, generator: torch.Generator, strength: float) -> tuple[Tensor, float]:
    """A rectangle of one pasted into the other (Yun et al. 2019); the share of the first that is left."""
    height, width = x.shape[1:3]
    side = math.sqrt(1 - _beta(generator, MIXING * strength))
    down, right = round(side * height), round(side * width)
    top = int(torch.randint(height - down + 1, (1,), generator=generator, device=generator.device))
    left = int(torch.randint(width - right + 1, (1,), generator=generator, device=generator.device))
    pasted = x.clone()
    pasted[:, top : top + down, left : left + right] = x[:, top : top + down, left : left + right][others]
    return pasted, 1 - down * right / (height * width)


def _beta(generator: torch.Generator, shape: float) -> float:
    """From Beta(shape, shape), below 1 mostly near 0 or 1 (torch's own takes no generator); Johnk's method, in logs."""
    while True:
        u, v = (
            math.log(max(one, 1e-38)) / shape
            for one in torch.rand(2, generator=generator, device=generator.device).tolist()
        )
        if max(u, v) + math.log1p(math.exp(-abs(u - v))) <= 0:
            return float(1 / (1 + math.exp(min(v - u, 700.0))))


Move = Callable[[Tensor, tuple[int, int], torch.Generator, float], Tensor]
Change = Callable[[Tensor, torch.Generator, float], Tensor]
Mix = Callable[[Tensor, Tensor, torch.Generator, float], tuple[Tensor, float]]

#: by the name that a recipe writes
MOVES: dict[str, Move] = {
    "mirror": partial(reflect, axis=0), "flip": partial(reflect, axis=1), "turn": turn, "crop": crop, "zoom": zoom
}  # fmt: skip
CHANGES: dict[str, Change] = {"colour": colour}
MIXES: dict[str, Mix] = {"mixup": mixup, "cutmix": cutmix}
