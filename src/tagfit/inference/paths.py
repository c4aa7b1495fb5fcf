"""The files that a person points at: paths, folders, patterns, and lines on stdin."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from glob import glob
from pathlib import Path

from tagfit.errors import DataError
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
            faults.append(f"{word}: no such file or folder")
        elif matches := sorted(glob(word, recursive=True)):  # noqa: PTH207 (Path.glob has no absolute patterns)
            found += map(Path, matches)
        else:
            faults.append(f"{word}: no file or folder fits this pattern")
    if faults:
        raise DataError(faults)
    return found


def demand_images(given: Sequence[Path]) -> int | None:
    """How many images there are; None where some come on stdin.

    Raises:
        DataError: folders without images, all of them named.
    """
    counts = [sum(1 for _ in _images_at(place)) for place in given if place != STDIN]
    folders = [place for place in given if place != STDIN]
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


def _images_at(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(files) if Path(name).suffix.lower() in IMAGE_SUFFIXES)
