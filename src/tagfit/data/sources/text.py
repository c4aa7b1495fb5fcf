"""The text of a label file: UTF-8, or a message that says where it is not."""

from __future__ import annotations

import codecs
import re
import shlex
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
    name = name or path.name
    raw = _raw_text(path, name)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(raw, error.start, path, name) from error


def read_table_text(path: Path, name: str = "") -> tuple[str, tuple[str, ...]]:
    """As `read_text`, and how it was read: also text of an old code page in which all Latin ones agree.

    Spreadsheets of Windows write such files. `ä` and `é` are the same bytes in all these code pages; in the others
    these bytes are letters that don't stand alone between those of ASCII.
    """
    raw = _raw_text(path, name or path.name)
    try:
        return raw.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        words = set(re.findall(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*", raw))
        if not all(map(_is_latin, words)):
            raise _not_utf8(raw, error.start, path, name or path.name) from error
    line = f"{name or path.name} is not UTF-8: it is read as Windows-1252."
    return raw.decode("cp1252"), (line,)


def _is_latin(word: bytes) -> bool:
    """Whether most letters of a word are those of ASCII, and the others the same in all Latin code pages."""
    spelled = {word.decode(page, "replace") for page in ("cp1252", "cp1250", "cp1254", "iso8859-2", "iso8859-15")}
    return len(spelled) == 1 and spelled.pop().isalpha() and 2 * sum(byte > 127 for byte in word) <= len(word)


def _raw_text(path: Path, name: str) -> bytes:
    raw = read_bytes(path)
    for mark, encoding in OTHER_MARKS:
        if raw.startswith(mark):
            raw = _recoded(raw.removeprefix(mark), encoding, name)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if not raw.strip():
        raise DataError(f"{name}: the file is empty.", "Expected a header line and one line for each sample.")
    if b"\0" in raw:
        raise DataError(
            f"{name}:{_line(raw, raw.index(0))}: holds NUL bytes: a binary file, or UTF-16 without a mark.",
            _SAVE_AS,
        )
    return raw


def _not_utf8(raw: bytes, at: int, path: Path, name: str) -> DataError:
    complaint = f"{name}:{_line(raw, at)}: expected UTF-8 text; got byte 0x{raw[at]:02x}."
    words = re.compile(rb"[A-Za-z\x80-\xff]+")
    word = next((match[0] for match in words.finditer(raw) if match.end() > at), b"")
    try:
        told = word.decode("cp1252")
    except UnicodeDecodeError:
        return DataError(complaint, _SAVE_AS)
    command = f"iconv -f WINDOWS-1252 -t UTF-8 {shlex.quote(str(path))} > utf8{path.suffix}"
    return DataError(complaint, f"{_SAVE_AS} If {told!r} is right there, it is Windows-1252: {command}")


def _recoded(raw: bytes, encoding: str, name: str) -> bytes:
    try:
        return raw.decode(encoding).encode()
    except UnicodeError as error:
        raise DataError(f"{name}: its byte order mark means {encoding}, but it is not: {error}.", _SAVE_AS) from error


def _line(raw: bytes, at: int) -> int:
    return raw.count(b"\n", 0, at) + 1


def lines_of(text: str) -> list[str]:
    """Lines split at LF, CRLF or CR only: `str.splitlines` would also split inside a line, and miscount."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
