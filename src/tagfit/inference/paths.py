"""The files that a person points at: paths, folders, patterns, and lines on stdin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tagfit.errors import DataError, nearest_file
from tagfit.images.decode import IMAGE_SUFFIXES

#: stands for the paths that come on stdin, one a line
STDIN = Path("-")

_PATTERN = frozenset("*?[")


def places(words: Sequence[str]) -> list[Path]:
    """The files and folders that `words` name, in order, those of a pattern sorted; STDIN for `-`.

    A word that exists is a path, whatever signs it holds; in a pattern `**` stands for folders at any depth.

    Raises:
        DataError: words that lead nowhere, all of them named; `-` more than once.
    """
    faults = [f"- stands for stdin, which can be read once; got it {words.count('-')} times"] * (words.count("-") > 1)
    found: list[Path] = []
    for word in words:
        if word == "-" or os.path.lexists(word):
            found.append(Path(word))
        elif _PATTERN.isdisjoint(word):
            faults.append(f"{word}: no such file or folder.{nearest_file(Path(word))}")
        elif matches := sorted(_fitting(word)):
            found += matches
        else:
            faults.append(f"{word}: no file or folder matches this pattern")
    if faults:
        raise DataError(faults)
    return found


def _fitting(pattern: str) -> Iterator[Path]:
    """What fits; `**` follows no links, which may lead in circles, and `*` fits no hidden name."""
    anchor = Path(pattern).anchor
    parts = Path(pattern).parts[bool(anchor) :]
    deep = "**" in parts
    wanted = Path(*parts, "*") if parts[-1] == "**" else Path(*parts)
    hidden = any(part.startswith(".") for part in parts)
    start = Path(anchor)
    for path in start.glob(str(wanted)):
        if (hidden or not any(part.startswith(".") for part in path.relative_to(start).parts)) and not (
            deep and path.is_dir()  # what is in it fits by itself
        ):
            yield path


def image_files(words: Sequence[str | Path]) -> list[str]:
    """The files that `words` name, as `places` and `images_at` find them; one that is not there stands for itself.

    Raises:
        DataError: folders without images, and patterns that nothing fits.
    """
    found: list[str] = []
    for word in map(str, words):
        if Path(word).is_file() or (_PATTERN.isdisjoint(word) and not Path(word).is_dir()):
            found.append(word)
        else:
            demand_images(given := places([word]))
            found += images_at(given, ())
    return found


def demand_images(given: Sequence[Path]) -> int | None:
    """How many images there are; None if some come on stdin.

    Raises:
        DataError: folders without images, and those that cannot be listed, all of them named.
    """
    faults = list[str]()

    def unlisted(error: OSError) -> None:
        faults.append(f"{error.filename}: this folder cannot be listed: {error.strerror}")

    folders = [place for place in given if place != STDIN]
    counts = [sum(1 for _ in _images_at(place, unlisted)) for place in folders]
    if not faults:
        faults = [f"{place}: no image in it or below it" for place, n in zip(folders, counts, strict=True) if not n]
    if faults:
        raise DataError(faults)
    return None if STDIN in given else sum(counts)


def images_at(given: Sequence[Path], lines: Iterable[bytes]) -> Iterator[str]:
    """The image files, listed as they are asked for; of `lines` each is one, and blank ones are passed over."""
    for place in given:
        yield from lines_of(lines) if place == STDIN else map(str, _images_at(place))


def lines_of(lines: Iterable[bytes]) -> Iterator[str]:
    """The path in each line."""
    stripped = (line.removesuffix(b"\n").removesuffix(b"\r") for line in lines)
    return (os.fsdecode(line) for line in stripped if line.strip())


def _images_at(path: Path, on_error: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path, onerror=on_error):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(files) if Path(name).suffix.lower() in IMAGE_SUFFIXES)
