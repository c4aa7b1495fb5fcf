"""Lists and mappings written as text in a cell: Python's, JSON's, NumPy's."""

from __future__ import annotations

import ast
import json
import re

#: what such a text begins with; a label may be in brackets, but not in brackets and quotes
_OPEN = re.compile(r"""\s*(?:[\[({]\s*['"\[({\d\])}]|set\(|frozenset\(|(?:np\.|numpy\.)?array\()""")
_LONGEST = 1 << 16
#: NumPy writes ['a' 'b'], which Python would read as one text
_UNSEPARATED = re.compile(r"""(['"])\s+(?=['"])""")
_ARRAY = re.compile(r"(?:np\.|numpy\.)?array\((\[.*\])(?:,\s*dtype=[^)]*)?\)", re.DOTALL)
_BARE = re.compile(r"""[\[{]([^'"\[\](){}:]*)[\]}]""")


def looks_literal(text: str) -> bool:
    return _OPEN.match(text) is not None


def parse_bare(text: str) -> list[str] | None:
    """The words of `[beach, sea]` or `{beach,sea}`; None of anything else."""
    bare = _BARE.fullmatch(text.strip())
    return [word.strip() for word in bare[1].split(",") if word.strip()] if bare else None


def parse(text: str) -> object:
    """The list, set or mapping that a text writes; the text itself if it writes none."""
    stripped = text.strip()
    if array := _ARRAY.fullmatch(stripped):
        stripped = array[1]
    if len(stripped) > _LONGEST:
        return text
    if stripped in ("set()", "frozenset()"):
        return []
    try:
        return _compound(json.loads(stripped), text)
    except (ValueError, RecursionError):
        pass
    try:
        value = ast.literal_eval(_UNSEPARATED.sub(r"\1, ", stripped))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text
    return list(value) if isinstance(value, tuple | set | frozenset) else _compound(value, text)


def _compound(value: object, text: str) -> object:
    return value if isinstance(value, list | dict) else text
