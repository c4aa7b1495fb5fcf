"""Text and numbers as people see them. Label and file names are strangers' text, and may hold anything."""

from __future__ import annotations

import unicodedata

#: joins letters and emoji, and is harmless
_KEPT = frozenset("\u200c\u200d")


def visible(text: str, width: int | None = None) -> str:
    """The text with whatever has no shape of its own, or turns the text around it, written out: `⟨U+202E⟩`.

    Args:
        width: characters; longer text is cut.
    """
    shortened = text if width is None or len(text) <= width else text[: width - 1] + "…"
    return "".join(map(_shape, shortened))


def written(value: float, form: str) -> str:
    """A number by a format such as `.3f`: with a real minus, and never a negative zero."""
    text = f"{value:{form}}"
    return (f"{0.0:{form}}" if float(text) == 0 else text).replace("-", "−")


def number(value: float | None, digits: int = 3) -> str:
    """A number of so many digits after the point, or a dash."""
    return "–" if value is None else written(value, f".{digits}f")


def duration(seconds: float) -> str:
    """In seconds or, from two minutes on, in minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _shape(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return character
    return f"⟨U+{ord(character):04X}⟩"
