"""Names of classes that a source only numbers: given as an option, or in a file that lies there for that purpose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.listed import NUMBERS_NOTE
from tagfit.data.sources.listing import Head
from tagfit.data.sources.names import label_names
from tagfit.data.sources.reader import Source
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Rows
from tagfit.data.sources.task import Task
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES

#: how files that name classes are called: `classes.txt`, `label_list.txt`, `category.json`, `obj.names`, `data.yaml`
_CALLED = re.compile(r"class|label|categor|concept|attr|tag|names|\.ya?ml$", re.IGNORECASE)
#: a line that numbers a name, in either order
_NUMBERED = (
    re.compile(r"(?P<number>\d{1,6})\s*[:,\s]\s*(?P<name>\S.*)"),
    re.compile(r"(?P<name>\S.*?)\s*[:,\s]\s*(?P<number>\d{1,6})"),
)
_YAML = re.compile(r"^names\s*:(.*(?:\n(?:[ \t]+\S|-).*)*(?:\n\s*\])?)", re.MULTILINE)
_YAML_NAME = re.compile(r"""(?:(\d{1,6})\s*:\s*)?(?:'([^'\n]*)'|"([^"\n]*)"|([^\s,'"\[\]{}:#-][^,\n\[\]{}#]*))""")
_IMAGE = re.compile(rf"(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))})\b", re.IGNORECASE)
_LONGEST = 100


@dataclass(frozen=True)
class ClassNames:
    """Names by number, and where they come from."""

    names: Mapping[int, str]
    source: str

    @property
    def reading(self) -> tuple[str, ...]:
        return (f"The classes are numbers; their names come from {self.source}.",)

    def name(self, number: int, place: str) -> str:
        """Raises DataError: there is no such class."""
        if number not in self.names:
            known = f"{min(self.names)} to {max(self.names)}"
            raise DataError(f"{place}: class {number} has no name in {self.source}, which names {known}.")
        return self.names[number]


def class_names(task: Task, count: int | None = None) -> ClassNames:
    """The names that were given, else those of the one file beside the data that holds some.

    Args:
        count: how many names there have to be, if that is known.

    Raises:
        DataError: no names, too few or too many, or several files that hold different ones.
    """
    found = {name: names for name, names in _held(task).items() if count in (None, len(names))}
    first, *others = found.items() or [("", {})]
    if not found or any(names != first[1] for _, names in others):
        why = f"{' and '.join(found)} name them differently" if found else "no file beside it names them"
        if task.reading.label_names:
            why = f"label_names has {len(task.reading.label_names)}"
        raise DataError(
            f"{task.name}: its labels are numbers{f' of {count} classes' if count else ', one a class'}, and {why}.",
            "Name them in the order of the numbers, from 0: --label-names beach,sea (label_names=['beach', 'sea']).",
        )
    return ClassNames(first[1], first[0])


def has_names(task: Task) -> bool:
    """Whether names were given, or lie beside the data."""
    return bool(_held(task))


def _held(task: Task) -> Mapping[str, Mapping[int, str]]:
    if task.reading.label_names:
        return {"label_names": dict(enumerate(task.reading.label_names))}
    called = [name for name in task.listing.others if name != task.name and _CALLED.search(PurePosixPath(name).name)]
    held = {name: _names_in(task.listing.head(name)) for name in called if (task.source.folder / name).is_file()}
    return {name: names for name, names in held.items() if names and not any(map(str.isdecimal, names.values()))}


def with_class_names(rows: Rows, source: Source, reading: Reading, faults: Faults) -> Rows:
    """Rows whose labels are numbers in text, by the names that lie beside the data, if there are any."""
    task, numbers = Task(source, source.files[0], reading, faults), rows.labels.names
    if reading.label_names or not numbers or not all(map(str.isdecimal, numbers)) or not has_names(task):
        return rows
    names = class_names(task)
    labels = label_names([names.name(int(number), rows.source) for number in numbers], rows.source, faults)
    notes = tuple(note for note in rows.labels.notes if note != NUMBERS_NOTE)
    return replace(
        rows, labels=replace(rows.labels, names=labels, notes=notes), reading=(*rows.reading, *names.reading)
    )


def count_of_classes(numbers: Sequence[Sequence[int]], where: Sequence[str]) -> int:
    """How many classes there are if rows hold 0, 1 or -1 for each; 0 if they hold numbers of classes.

    These do not occur twice in a row.

    Raises:
        DataError: nearly all rows hold a value a class, and some do not.
    """
    is_vector = [set(row) <= {-1, 0, 1} for row in numbers]
    if 2 * sum(is_vector) <= len(numbers) or not any(len(set(row)) < len(row) for row in numbers):
        return 0
    ((count, _),) = Counter(map(len, numbers)).most_common(1)
    for row, place, is_right in zip(numbers, where, is_vector, strict=True):
        if not is_right or len(row) != count:
            raise DataError(
                f"{place}: expected {count} values of 0, 1 or -1, one for each class; got {shortened(list(row))}."
            )
    return count


def named(numbers: Sequence[Sequence[int]], where: Sequence[str], task: Task) -> tuple[list[list[str]], ClassNames]:
    """The labels of N rows of numbers, and the names of the classes."""
    count = count_of_classes(numbers, where)
    names = class_names(task, count or None)
    if count:
        numbers = [[at for at, number in enumerate(row) if number == 1] for row in numbers]
    rows = zip(numbers, where, strict=True)
    return [[names.name(number, place) for number in row] for row, place in rows], names


def _names_in(head: Head) -> Mapping[int, str]:
    """Names by number; nothing if a file holds something else."""
    if not head.is_whole or b"\0" in head.raw or "�" in head.text:
        return {}
    if head.document is not None:
        return _of_json(head.document)
    if yaml := _YAML.search(head.text):
        found = [(number, next(filter(None, names), "")) for number, *names in _YAML_NAME.findall(yaml[1])]
        return {int(number or at): name.strip() for at, (number, name) in enumerate(found)}
    return _of_lines(head.lines)


def _of_lines(lines: Sequence[str]) -> Mapping[int, str]:
    """Of lines that are a name each, or a number and a name in either order; a header above numbers is passed over."""
    if not lines or any(len(line) > _LONGEST or _IMAGE.search(line) for line in lines):
        return {}
    if lines[0] == str(len(lines) - 2):  # a count and a header, as DeepFashion writes them
        return {at: line.rpartition(" ")[0].strip() for at, line in enumerate(lines[2:])}
    has_header = not any(pattern.fullmatch(lines[0]) for pattern in _NUMBERED)
    for rows in (lines, lines[1:] if has_header else ()):
        for pattern in _NUMBERED:
            matches = [match for line in rows if (match := pattern.fullmatch(line))]
            found = {int(match["number"]): match["name"].strip('"') for match in matches}
            if rows and len(found) == len(rows):
                return found
    is_numbered = any(sum(map(bool, map(pattern.fullmatch, lines))) * 2 > len(lines) for pattern in _NUMBERED)
    is_list = len(set(lines)) == len(lines) and not is_numbered and not re.search(r"[,;|\t]", "".join(lines))
    return dict(enumerate(lines)) if is_list else {}


def _of_json(document: object) -> Mapping[int, str]:
    """Of a list of names, of names by number, or of numbers by name."""
    if isinstance(document, list) and all(isinstance(name, str) for name in document):
        return dict(enumerate(document))
    pairs = list(document.items()) if isinstance(document, dict) else []
    if all(re.fullmatch(r"[0-9]{1,6}", key) and isinstance(name, str) for key, name in pairs):
        return {int(key): name for key, name in pairs}
    found = {number: key for key, number in pairs if type(number) is int}
    return found if len(found) == len(pairs) else {}
