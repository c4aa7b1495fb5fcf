"""The mirrored and turned views of an image that a network may look at.

Shapes: B batch, H x W pixels, C channels.
"""

from __future__ import annotations

from torch import Tensor


def views_of(x: Tensor, count: int, *, height: int = 1, width: int = 2) -> list[Tensor]:
    """The images (B, H, W, C), their mirror images, both upside down, and all these turned by a quarter.

    Args:
        x: (B, H, W, C), or with other axes for `height` and `width`.
        count: 1, 2, 4 or 8 of them.
    """
    views = [x]
    if count >= 2:
        views.append(x.flip(width))
    if count >= 4:
        views += [view.flip(height) for view in views]
    if count >= 8:
        views += [view.transpose(height, width) for view in views]
    return views


def turned_back(view: Tensor, number: int, *, height: int = 1, width: int = 2) -> Tensor:
    """View number `number` of `views_of`, or a map of it, as the image lies."""
    if number & 4:
        view = view.transpose(height, width)
    if number & 2:
        view = view.flip(height)
    return view.flip(width) if number & 1 else view
