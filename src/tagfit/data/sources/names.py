"""Label names: stripped, distinct and writable everywhere."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from tagfit.data.sources.faults import Faults


def is_writable(text: str) -> bool:
    """Whether a text is free of control characters and of halves of surrogate pairs, which UTF-8 cannot hold."""
    return text.isprintable() or not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text)


def label_names(written: Iterable[str], source: str, faults: Faults) -> tuple[str, ...]:
    """Names as they are used from here on: without surrounding space; empty, repeated or unwritable ones are faults."""
    names = tuple(name.strip() for name in written)
    if not names:
        faults.add(f"{source}: there are no labels at all.", "Expected at least one label.")
    for number, name in enumerate(names, 1):
        if not name:
            faults.add(f"{source}: label {number} has an empty name.")
        elif not is_writable(name):
            faults.add(f"{source}: label name {name!r} holds control characters.")
    for name, count in Counter(names).items():
        if count > 1 and name:
            faults.add(f"{source}: label name {name!r} occurs {count} times.", "Give each label its own name.")
    return names


def alike_note(names: Sequence[str]) -> tuple[str, ...]:
    """A note on names that differ only in case or in how an accent is encoded: usually one label, spelled twice."""
    seen: dict[str, list[str]] = {}
    for name in names:
        seen.setdefault(unicodedata.normalize("NFKC", name).casefold(), []).append(name)
    alike = [" and ".join(map(repr, group)) for group in seen.values() if len(group) > 1]
    return (f"Label names that differ only in spelling are kept apart: {', '.join(alike)}.",) if alike else ()
