"""What a format is given, and how a function that reads one becomes a reader."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tagfit.data.sources.documents import Node, fields, gather, read_document
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.reader import LabelFile, Reader, Source
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Row, Rows, collect, join
from tagfit.data.sources.text import lines_of, read_text
from tagfit.records.data import NO

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Task:
    """One file of a source, or all of it, and the options.

    Attributes:
        file: the file; of a source without files, the folder.
    """

    source: Source
    file: LabelFile
    reading: Reading
    faults: Faults

    @property
    def listing(self) -> Listing:
        return self.source.listing

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.file.name or self.source.title

    def lines(self, name: str = "") -> Iterator[tuple[str, str]]:
        """The place and the text of each line of the file, or of another of the folder, that is not blank."""
        path = self.source.folder / name if name else self.file.path
        for number, line in enumerate(lines_of(read_text(path, name or self.name)), 1):
            if line.strip():
                yield f"{name or self.name}:{number}", line.strip()

    def rows(
        self,
        records: Iterable[T],
        row: Callable[[T], Row | None],
        *,
        declared: Sequence[str] | None = None,
        absent: int = NO,
        reading: tuple[str, ...] = (),
    ) -> Rows:
        """The rows of records; see `rows.collect`."""
        found = gather(records, row, self.faults)
        return replace(collect(found, self.name, self.faults, declared=declared, absent=absent), reading=reading)


def file_reader(
    code: str,
    title: str,
    of_file: Callable[[Head], bool],
    rows: Callable[[Task], Rows],
    *,
    of_folder: Callable[[Listing], Sequence[Source]] | None = None,
    options: Collection[str] = (),
) -> Reader:
    """A reader of label files."""

    def read(source: Source, reading: Reading, faults: Faults) -> Rows:
        tasks = [Task(source, file, reading, faults) for file in source.files]
        found = [replace(rows(task), bases=task.file.base, hints=task.file.hint) for task in tasks]
        return join([(one, file.part) for one, file in zip(found, source.files, strict=True)], faults)

    return Reader(code, title, read, lambda head, _: of_file(head), of_folder, options=frozenset(options))


def document_reader(
    code: str,
    title: str,
    keys: Sequence[Collection[str]],
    rows: Callable[[Node, Task], Rows],
    *,
    options: Collection[str] = (),
) -> Reader:
    """A reader of documents that are recognised by their keys: all of one of several sets have to occur."""

    def read(task: Task) -> Rows:
        return rows(read_document(task.file.path, task.name, task.faults), task)

    return file_reader(code, title, lambda head: any(map(fields(head).issuperset, keys)), read, options=options)


def row_reader(code: str, title: str, keys: Sequence[Collection[str]], row: Callable[[Node], Row | None]) -> Reader:
    """A reader of documents whose records are a row each."""
    return document_reader(code, title, keys, lambda document, task: task.rows(document.records, row))


def folder_reader(
    code: str,
    title: str,
    uses: Callable[[Listing], Sequence[str]],
    rows: Callable[[Task], Rows],
    *,
    options: Collection[str] = (),
    is_implicit: bool = False,
) -> Reader:
    """A reader of what several files are together: those that it `uses`, if there are any."""

    def sources(listing: Listing) -> Sequence[Source]:
        found = tuple(uses(listing))
        return [Source(reader, listing, uses=found)] if found else []

    def read(source: Source, reading: Reading, faults: Faults) -> Rows:
        return rows(Task(source, LabelFile(source.folder, ""), reading, faults))

    reader = Reader(code, title, read, of_folder=sources, options=frozenset(options), is_implicit=is_implicit)
    return reader
