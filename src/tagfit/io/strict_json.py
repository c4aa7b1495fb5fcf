"""JSON that may come from a stranger: what two readers could take differently is refused."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tagfit.errors import BundleError
from tagfit.io.files import regular_file

#: how deep lists and objects may be nested; ours are not half as deep
DEEPEST = 32

#: bytes that a file may have; what it says takes several times as much memory
MOST_BYTES = 1 << 29


def read_json(path: Path) -> dict[str, object]:
    """The object in a file.

    Raises:
        BundleError: it cannot be read, or as `json_object`.
    """
    try:
        with regular_file(path, MOST_BYTES) as stream:
            content = stream.read()
    except OSError as error:
        raise BundleError(f"{path}: expected JSON; {error}") from error
    return json_object(path, content)


def json_object(path: Path, content: bytes) -> dict[str, object]:
    """What the bytes of the file `path` say.

    Raises:
        BundleError: no JSON, no object, a key that occurs twice, a number that is not finite, text that is no Unicode,
            or nested too deep.
    """
    try:
        values = json.loads(content.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse)
        _check(values)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: expected JSON; {error}") from error
    if not isinstance(values, dict):
        raise BundleError(f"{path}: expected a JSON object")
    return values


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice!r:.60} occurs twice")
    return values


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _check(values: object) -> None:
    level: list[object] = [values]
    for _ in range(DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    raise ValueError(f"lists and objects are nested more than {DEEPEST} deep")


def _inside(value: object) -> Iterable[object]:
    """What a list or an object holds; nothing of a plain value, which is checked."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is too large")
    if isinstance(value, str):
        value.encode()  # half of a surrogate pair has no UTF-8
    return ()
