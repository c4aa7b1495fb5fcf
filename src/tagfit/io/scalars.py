"""NumPy's scalars where Python's own values are meant."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own number, text or switch; anything else as it is."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 else value
