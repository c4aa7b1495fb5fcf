"""A key for each label: a letter of its name where one is free, else another letter or a digit."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase, digits

_KEYS = ascii_lowercase + digits[1:] + digits[0]


def label_keys(label_names: Sequence[str]) -> tuple[str, ...]:
    """(L,) one key for each label, empty once all letters and digits are given.

    Labels that come first choose first; the first letters of words are preferred.
    """
    free, found = dict.fromkeys(_KEYS), []
    for name in label_names:
        initials = "".join(word[0] for word in name.lower().replace("_", " ").replace("-", " ").split())
        key = next((one for one in (*initials, *name.lower(), *free) if one in free), "")
        free.pop(key, None)
        found.append(key)
    return tuple(found)
