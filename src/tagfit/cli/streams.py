"""The one gate through which all text goes out, whatever it says and wherever it goes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO

from tagfit.errors import InputError

#: what would move the cursor, colour the terminal, turn the direction of text or break a line where a name has none
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Gate:
    """A text stream that writes escapes in place of control characters and of what its encoding lacks.

    Once a reader has gone away (`| head`), the rest is dropped: a training that is done has not failed for that.

    Attributes:
        stream: what lies behind it.
        clean: what is done to text.
        required: whether a full disk is an error here; on stderr nobody could be told.
    """

    def __init__(self, stream: TextIO, clean: Callable[[str], str] | None = None, *, required: bool = True) -> None:
        with suppress(AttributeError):  # no file, but what a program put in its place
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
        self.stream, self.clean, self.required = stream, clean or visible, required
        self._gone = False

    def write(self, text: str) -> int:
        cleaned = self.clean(text)
        if cleaned:  # click writes nothing to find out what it may write
            self._try(lambda: self.stream.write(cleaned))
        return len(text)

    def flush(self) -> None:
        self._try(self.stream.flush)

    def drop(self) -> None:
        """Whatever is still to be written leads nowhere: Python would try it again when it ends."""
        self._gone = True
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def _try(self, do: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            do()
        except OSError as error:
            self.drop()
            if self.required and not isinstance(error, BrokenPipeError):
                raise

    @property
    def encoding(self) -> str:
        return self.stream.encoding

    @property
    def errors(self) -> str | None:
        return self.stream.errors

    def fileno(self) -> int:
        return self.stream.fileno()

    def isatty(self) -> bool:
        return self.stream.isatty()


def stdout_bytes() -> BinaryIO:
    """Stdout as a stream of bytes, for files that go there.

    Raises:
        InputError: it takes none.
    """
    if (found := getattr(getattr(sys.stdout, "stream", sys.stdout), "buffer", None)) is None:
        raise InputError("stdout cannot take binary output", "Name a file with -o.")
    sys.stdout.flush()
    return found  # type: ignore[no-any-return]


def visible(text: str) -> str:
    r"""Control characters, those that turn the direction of text, and lone surrogates, as `\u` and four digits.

    What was JSON is the same JSON after it.
    """
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@contextmanager
def gated() -> Iterator[None]:
    """Stdout and stderr go through a gate; one that is closed leads nowhere, and not into the next file that opens."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stdout and Gate(sys.stdout)
    sys.stderr = sys.stderr and Gate(sys.stderr, required=False)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
