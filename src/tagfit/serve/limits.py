"""What one request may ask for, and how much may wait."""

from __future__ import annotations

from dataclasses import dataclass

from tagfit.errors import DataError

#: bodies that are held at once are, together, at most so many of the largest
_LARGEST_BODIES = 8


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how much may wait.

    Attributes:
        body: bytes of a request's body.
        pixels: that one image may claim.
        images: images, or feature rows, of one request.
        seconds: from a request's first byte to its answer.
        queue: images and rows that are waited for, of all requests together.

    Raises:
        DataError: a queue that is shorter than what one request may bring.
    """

    body: int = 32 << 20
    pixels: int = 100_000_000
    images: int = 64
    seconds: float = 30.0
    queue: int = 256

    def __post_init__(self) -> None:
        if self.queue < self.images:
            raise DataError(f"the queue must hold what one request may bring, {self.images} images; got {self.queue}")

    @property
    def memory(self) -> int:
        """Bytes of the bodies that are held at once."""
        return _LARGEST_BODIES * self.body
