"""Lists without a header: an image, space, and what it has, a line.

Values are 0 and 1, one a label (CheXNet, PaddleClas), class numbers, or names. The image may also come last, behind
a running number, as in the lists of MXNet. Numbers are named by an option or by a file beside the list.
"""

from __future__ import annotations

import re

from tagfit.data.sources.class_names import class_names, count_of_classes
from tagfit.data.sources.documents import gather
from tagfit.data.sources.faults import shortened
from tagfit.data.sources.listing import Head
from tagfit.data.sources.splits import gives_parts
from tagfit.data.sources.tabular import Record, records_reader
from tagfit.data.sources.task import Task
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES

_ENDING = rf"(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))})"
_LINE = re.compile(rf"(?P<image>[^\t,;|]*?{_ENDING})(?:\s+(?P<values>\S.*))?", re.IGNORECASE)
_LAST = re.compile(rf"\d+\s+(?P<values>[\d.\s]+?)\s+(?P<image>\S[^\t]*{_ENDING})", re.IGNORECASE)
#: boxes with the class behind, as keras-yolo3 writes them: `1,2,30,40,0 5,6,70,80,2`
_BOXES = re.compile(r"(?:\d+,){4}\d+(?:\s+(?:\d+,){4}\d+)*")
_NUMBERS = re.compile(r"[(\[]?-?\d{1,6}(?:\.0*)?(?:[\s,]+-?\d{1,6}(?:\.0*)?)*[)\]]?")


def _recognise(head: Head) -> bool:
    """Nearly all lines, the first among them, are an image and more than its part of a split."""
    lines = head.lines[:50] if head.is_whole else head.lines[:-1][:50]
    matches = [] if head.text.lstrip()[:1] in ("{", "[", "<", "") else [_matched(line) for line in lines]
    is_list = bool(matches and matches[0] and matches[0]["values"]) and sum(map(bool, matches)) >= 0.9 * len(matches)
    return is_list and not gives_parts(head)


def _matched(line: str) -> re.Match[str] | None:
    return _LAST.fullmatch(line) or _LINE.fullmatch(line)


def _records(task: Task) -> list[Record]:
    """A column a label of values that are 0 and 1, else a column of class numbers or of names."""
    rows = gather(task.lines(), _row, task.faults)
    wrong = [row for row in rows if row[2] and not _NUMBERS.fullmatch(row[2])]
    if 2 * len(wrong) > len(rows):
        return [Record(place, {"image": image, "labels": text}) for place, image, text in rows]
    for place, _, text in wrong:
        task.faults.add(f"{place}: expected numbers, as in the other lines; got {shortened(text)}.")
    task.faults.check()
    boxed = all(_BOXES.fullmatch(text) for _, _, text in rows if text)
    texts = [re.sub(r"\S+,", "", text) if boxed else text for _, _, text in rows]
    numbers = [[int(float(one)) for one in re.findall(r"-?[\d.]+", text)] for text in texts]
    labels: list[dict[str, object]] = [{"labels": found} for found in numbers]
    if count := count_of_classes(numbers, [place for place, _, _ in rows]):
        names = class_names(task, count)
        columns = [names.name(at, task.name) for at in range(count)]
        labels = [dict(zip(columns, map(str, found), strict=True)) for found in numbers]
    return [Record(place, {"image": image, **held}) for (place, image, _), held in zip(rows, labels, strict=True)]


def _row(numbered: tuple[str, str]) -> tuple[str, str, str]:
    place, line = numbered
    if (match := _matched(line)) is None:
        raise DataError(f"{place}: expected an image and its labels; got {shortened(line)}.")
    return place, match["image"], match["values"] or ""


LISTS = records_reader("lists", "a list without a header", _recognise, _records)
