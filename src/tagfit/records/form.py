"""How an image becomes pixels. Loads nothing else: the processes that decode import it."""

from __future__ import annotations

from dataclasses import dataclass

#: Pillow's resampling filters, by their numbers there
FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")

MOST_PIXELS_A_SIDE = 4096


@dataclass(frozen=True)
class ImageForm:
    """An image becomes `size` x `size` pixels: all of it or, of some pretrained networks, its middle.

    Attributes:
        size: the width and height of the result, in pixels.
        filter: the resampling filter, by Pillow's name.
        shrunk_to: the width and height that the image is resized to before its middle is cut out; None for `size`.
        keeps_aspect: whether `shrunk_to` is the shorter side and the aspect ratio is kept.

    Raises:
        ValueError: fields that make no image.
    """

    size: int
    filter: str = "bicubic"
    shrunk_to: int | None = None
    keeps_aspect: bool = False

    def __post_init__(self) -> None:
        for side in (self.size, self.size if self.shrunk_to is None else self.shrunk_to):
            if not (isinstance(side, int) and 1 <= side <= MOST_PIXELS_A_SIDE):
                raise ValueError(f"a side must be a whole number from 1 to {MOST_PIXELS_A_SIDE}; got {side!r}")
        if self.filter not in FILTERS:
            raise ValueError(f"the filter must be one of {', '.join(FILTERS)}; got {self.filter!r}")
        if self.shrunk_to is not None and self.shrunk_to < self.size:
            raise ValueError(f"{self.size} pixels cannot be cut out of {self.shrunk_to}")

    @property
    def key(self) -> str:
        """What tells it from other forms: of a plain one, its size."""
        if self == ImageForm(self.size):
            return str(self.size)
        return f"{self.size} {self.filter} {self.shrunk_to or self.size} {'kept' if self.keeps_aspect else 'both'}"

    def box(self, width: int, height: int) -> tuple[float, float, float, float] | None:
        """The part of an image that becomes what comes out: left, top, right, bottom; None for all of it.

        As if the whole image were resized and its middle cut out, but however long it is, no more is ever made.
        """
        if self.shrunk_to is None and not self.keeps_aspect:
            return None
        to = (self.shrunk_to or self.size,) * 2
        if self.keeps_aspect:
            shorter = min(width, height)
            to = (to[0] * width // shorter, to[1] * height // shorter)
        first = [(side - self.size) // 2 for side in to]
        across, down = width / to[0], height / to[1]
        left, top = first[0] * across, first[1] * down
        return left, top, min(left + self.size * across, width), min(top + self.size * down, height)
