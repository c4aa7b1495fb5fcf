"""What a reader is: a declared record of what it reads, how it recognises it, and how it reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tagfit.data.sources.faults import Faults
from tagfit.data.sources.files import Root
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.parts import part_in_stem
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Rows
from tagfit.records.data import LabelTable, Part


@dataclass(frozen=True)
class LabelFile:
    """One label file.

    Attributes:
        name: its path in the folder of the data, with slashes; what messages call it.
        part: of which part of a split it is by its name or its folder's; a lone file is of none.
    """

    path: Path
    name: str
    part: Part | None = None

    @property
    def base(self) -> str:
        """The folder that it lies in, relative to the folder of the data: where the paths in it start."""
        return self.name.rpartition("/")[0]

    @property
    def hint(self) -> Part | None:
        """The part that its name speaks of, even if it is the only file."""
        return self.part or part_in_stem(self.path.stem)[1]


@dataclass(frozen=True, eq=False)
class Source:
    """What is read as one data set.

    Attributes:
        reader: what recognised it.
        listing: the folder of the data.
        files: the label files; none if the images, their folders or files beside them hold the labels.
        name: short name of the data.
        left_out: files and folders that look as if they belonged to it, with the reason.
        images: the folder of the images that the person named, if any.
        uses: what else of the listing it reads, so that no other reader takes it: sidecars, names of classes, parts.
    """

    reader: Reader
    listing: Listing
    files: tuple[LabelFile, ...] = ()
    name: str = ""
    left_out: tuple[str, ...] = ()
    images: Path | None = None
    uses: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """All that it reads of the listing."""
        return frozenset(self.uses).union(file.name for file in self.files)

    @property
    def folder(self) -> Path:
        return self.listing.folder

    @cached_property
    def root(self) -> Root:
        """Where paths of images start."""
        return Root.of(self.listing.folder if self.images is None else self.images, self.listing)

    @cached_property
    def title(self) -> str:
        """What messages call it: its files, or what it is."""
        return " + ".join(file.name for file in self.files) or self.reader.title

    @property
    def notes(self) -> tuple[str, ...]:
        told = ", ".join(f"{file.name} ({file.part})" for file in self.files)
        parts = (f"The label files are read as the parts of one split: {told}.",) if len(self.files) > 1 else ()
        return (*parts, f"Not read: {', '.join(self.left_out)}.") if self.left_out else parts


def _all(files: Sequence[LabelFile], listing: Listing) -> tuple[tuple[LabelFile, ...], tuple[str, ...]]:
    return tuple(files), ()


@dataclass(frozen=True, eq=False)
class Reader:
    """A kind of source. It recognises files one by one (`of_file`), or what several files are together (`of_folder`).

    Attributes:
        code: a short name that stays.
        title: what it reads, in plain words: `a Label Studio export (JSON)`.
        read: makes rows of images of a source, or a table of arrays; faults are gathered in what it is given.
        of_file: whether a file is of this kind, by its content; the listing says what lies around it.
        of_folder: the sources of this kind in a folder; without a `name`, they are called as the folder is.
        options: the options of reading that it understands, beside those of every source of images.
        takes_images: whether the images may lie elsewhere, in a folder that the person names.
        is_implicit: whether it is asked only if nobody wrote labels down in files: keywords, names of folders.
        chosen: of several files that are no parts of one split, those that are meant, and the names of the others.
    """

    code: str
    title: str
    read: Callable[[Source, Reading, Faults], Rows | LabelTable]
    of_file: Callable[[Head, Listing], bool] | None = None
    of_folder: Callable[[Listing], Sequence[Source]] | None = None
    options: frozenset[str] = field(default_factory=frozenset)
    takes_images: bool = True
    is_implicit: bool = False
    chosen: Callable[[Sequence[LabelFile], Listing], tuple[tuple[LabelFile, ...], tuple[str, ...]]] = _all
