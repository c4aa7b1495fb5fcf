"""Faults, gathered until all of them are known."""

from __future__ import annotations

import json

from tagfit.errors import DataError

_LONGEST = 60


def shortened(value: object) -> str:
    """A value as messages quote it: strings in quotes, the rest as JSON, long ones cut."""
    try:
        is_text = isinstance(value, str)
        text = repr(value) if is_text else json.dumps(value, default=str, skipkeys=True, ensure_ascii=False)
    except RecursionError:
        text = f"a {type(value).__name__} that is nested too deep"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


class Faults:
    """What is wrong with a source; raised as one error, so that one pass over a file repairs it."""

    def __init__(self) -> None:
        self._messages: list[str] = []
        self._todos: dict[str, None] = {}

    def add(self, message: str, todo: str = "") -> None:
        """Remember a fault; equal advice is given once, however many faults ask for it."""
        self._messages.append(message)
        if todo:
            self._todos[todo] = None

    def __len__(self) -> int:
        return len(self._messages)

    def check(self) -> None:
        """Raise what was gathered, if anything was.

        Raises:
            DataError: with every fault.
        """
        if self._messages:
            raise DataError(self._messages, " ".join(self._todos))
