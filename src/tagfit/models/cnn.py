"""The CNN family: small residual networks for small images, quick on a CPU.

One or two strided convolutions first, so that most of the work is done on small maps; then three
stages of residual blocks (He et al. 2016), each at half the size and twice the channels of the one before; then the
mean and the maximum over the image, Dropout, and a linear layer. Sizes are halved by 4 x 4 convolutions and by
averaging 2 x 2 points, which fall alike on an image and on its mirror image; a strided 3 x 3 convolution does not.

Shapes: B batch, V views, C channels, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tagfit.errors import RecipeError
from tagfit.models.layers import BatchNorm, Dropout, Standardise, StochasticDepth, convolution, linear
from tagfit.models.views import views_of
from tagfit.recipes import CnnModel

STAGES = 3

#: of BatchNorm's running moments: a training of some hundred steps is too short for Keras's 0.99
MOMENTUM = 0.9


class CnnNetwork(nn.Module):
    """Maps images (B, H, W, 3) to (B, L) logits."""

    def __init__(self, model: CnnModel, shape: tuple[int, ...], labels: int, generator: torch.Generator) -> None:
        super().__init__()
        _check(model, shape)
        self.views = model.views
        #: set where augmentation draws one of the views at random: then all are looked at in use only
        self.one_view_in_training = False
        self.standardise = Standardise(shape[-1]) if model.standardise else nn.Identity()
        layers: list[nn.Module] = []
        inputs = shape[-1]
        for channels in (model.width,) if model.stride == 2 else (max(1, model.width // 2), model.width):
            layers.append(_ConvNormRelu(inputs, channels, generator, side=4, stride=2))
            inputs = channels
        channels, blocks = model.width, STAGES * model.depth
        for stage in range(STAGES):
            if stage:
                layers += [nn.AvgPool2d(2, ceil_mode=True), _ConvNormRelu(channels, 2 * channels, generator)]
                channels *= 2
            for number in range(stage * model.depth, (stage + 1) * model.depth):
                layers.append(Residual(channels, model.stochastic_depth * (number + 1) / blocks, generator))
        self.trunk = nn.Sequential(*layers)
        self.dropout = Dropout(model.dropout)
        self.output = linear(2 * channels, labels, generator)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        return self._logits(self.trunk(self._looked_at(x)), x.shape[0])

    def maps(self, x: Tensor) -> Tensor:
        """(V * B, C, h, w): what the first stage makes of every view, view by view."""
        maps: Tensor = self.trunk[: self._first_stage()](self._looked_at(x))
        return maps

    def answer(self, maps: Tensor, images: int) -> Tensor:
        """(B, L) logits of what `maps` gave."""
        return self._logits(self.trunk[self._first_stage() :](maps), images)

    def _first_stage(self) -> int:
        """Where in the trunk it ends."""
        return next(number for number, layer in enumerate(self.trunk) if isinstance(layer, nn.AvgPool2d))

    def _looked_at(self, x: Tensor) -> Tensor:
        """(V * B, C, H, W): all views of images (B, H, W, C)."""
        views = 1 if self.training and self.one_view_in_training else self.views
        return _views(self.standardise(x).permute(0, 3, 1, 2), views)

    def _logits(self, maps: Tensor, images: int) -> Tensor:
        """(B, L) of the last maps of every view."""
        maps = maps.float()
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)
        pooled = pooled.view(-1, images, pooled.shape[1]).mean(0)
        logits: Tensor = self.output(self.dropout(pooled))
        return logits


class _ConvNormRelu(nn.Sequential):
    def __init__(
        self, inputs: int, outputs: int, generator: torch.Generator, *, side: int = 3, stride: int = 1
    ) -> None:
        super().__init__(
            convolution(inputs, outputs, generator, side=side, stride=stride),
            BatchNorm(outputs, MOMENTUM),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """x + two convolutions of it; the second's BatchNorm starts at 0, so that a fresh block hands x on."""

    def __init__(self, channels: int, left_out: float, generator: torch.Generator) -> None:
        super().__init__()
        last = BatchNorm(channels, MOMENTUM)
        nn.init.zeros_(last.weight)
        self.branch = nn.Sequential(
            _ConvNormRelu(channels, channels, generator), convolution(channels, channels, generator), last
        )
        self.depth = StochasticDepth(left_out)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.depth(self.branch(x)))


def _views(x: Tensor, count: int) -> Tensor:
    """(V * B, C, H, W): all views of the images (B, C, H, W)."""
    if count == 1:
        return x
    return torch.cat(views_of(x, count, height=2, width=3)).contiguous(memory_format=torch.channels_last)


def _check(model: CnnModel, shape: tuple[int, ...]) -> None:
    if len(shape) != 3:
        raise RecipeError(
            f"a CNN needs images; got rows of {shape[0]} features", "Use a dense recipe: --recipe dense-regularised."
        )
    if min(shape[:2]) < model.stride:
        raise RecipeError(f"model.stride = {model.stride} needs images of at least that size; got {shape[:2]}")
    if model.views == 8 and shape[0] != shape[1]:
        raise RecipeError(f"model.views = 8 turns images, which must be square; got {shape[0]} x {shape[1]}")
