"""The text of a label file: UTF-8, or a message that says where it is not."""

from __future__ import annotations

import codecs
from pathlib import Path

from tagfit.errors import DataError
from tagfit.io.free_memory import memory_fault

_SAVE_AS = "Save the file as UTF-8 (in a spreadsheet: 'CSV UTF-8')."
#: what spreadsheets write as "Unicode text"; UTF-32 first, as its mark begins as that of UTF-16 does
OTHER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_bytes(path: Path) -> bytes:
    """All of a file.

    Raises:
        DataError: the file cannot be read, or is larger than memory.
    """
    try:
        if fault := memory_fault(2 * path.stat().st_size, f"{path}: what it holds, with a copy,"):
            raise DataError(f"{fault}.")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error


def read_text(path: Path, name: str = "") -> str:
    """A file's text without its byte order mark; line ends are left as they are.

    Args:
        name: what messages call the file, if not by its name alone.

    Raises:
        DataError: empty, not UTF-8, or with NUL bytes.
    """
    raw, name = read_bytes(path), name or path.name
    for mark, encoding in OTHER_MARKS:
        if raw.startswith(mark):
            raw = _recoded(raw.removeprefix(mark), encoding, name)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if not raw.strip():
        raise DataError(f"{name}: the file is empty.", "Expected a header line and one line a sample.")
    if b"\0" in raw:
        raise DataError(
            f"{name}:{_line(raw, raw.index(0))}: holds NUL bytes: a binary file, or UTF-16 without a mark.",
            _SAVE_AS,
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}:{_line(raw, error.start)}: expected UTF-8 text; got byte 0x{raw[error.start]:02x}.", _SAVE_AS
        ) from error


def _recoded(raw: bytes, encoding: str, name: str) -> bytes:
    try:
        return raw.decode(encoding).encode()
    except UnicodeError as error:
        raise DataError(f"{name}: its mark says {encoding}, and it is not: {error}.", _SAVE_AS) from error


def _line(raw: bytes, at: int) -> int:
    return raw.count(b"\n", 0, at) + 1


def lines_of(text: str) -> list[str]:
    """Lines split at LF, CRLF or CR only: `str.splitlines` would also split inside a line, and miscount."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
