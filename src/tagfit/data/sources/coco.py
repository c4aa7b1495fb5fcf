"""COCO's instances JSON, read as rows: an image has the label of each object annotated in it.

Where images list the categories that they are known not to have, as in LVIS, what is in neither list is unknown.
"""

from __future__ import annotations

import gc
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from tagfit.data.sources.class_names import class_names
from tagfit.data.sources.columns import IMAGE_NAMES, LABELS_NAMES
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.reader import LabelFile, Reader, Source
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Row, Rows, collect, join
from tagfit.data.sources.task import Task
from tagfit.data.sources.text import read_text
from tagfit.errors import DataError
from tagfit.records.data import NO, UNKNOWN

_KEYS = ("images", "categories", "annotations")
#: the entries of these lists, unchecked
_Lists = tuple[list[Any], list[Any], list[Any]]
_EXPECTED = (
    'Expected COCO\'s instances: {"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 7, "name": '
    '"beach"}], "annotations": [{"image_id": 1, "category_id": 7}]}.'
)
#: the categories that an image of LVIS is known not to have
_NEGATIVE = "neg_category_ids"
_DIGITS = re.compile(r"[0-9]{1,18}")
T = TypeVar("T")
#: what the annotations of COCO's other files hold, and what those files are called
_OTHER_FILES = {"caption": "captions"}


@dataclass(frozen=True, eq=False)
class _Parsed:
    """One file.

    Attributes:
        rows: its images.
        declared: the names of its categories, in order.
        parents: names of categories that only group others: `supercategory` of another, with nothing annotated.
        is_complete: whether an image has none of the categories that no annotation gives it.
    """

    rows: list[Row]
    declared: tuple[str, ...]
    parents: frozenset[str]
    is_complete: bool


def read_coco(source: Source, reading: Reading, faults: Faults) -> Rows:
    """Read images, categories and annotations; crowds and annotations without a box count too.

    COCO lists all its labels, so one that no annotation gives to an image is no. What every image says of itself
    beside its id and its file is kept as metadata. A category that is the parent of others and that no annotation
    names is no label.

    Raises:
        DataError: not JSON, or not COCO's instances. What is wrong within the lists is added to `faults`.
    """
    with _without_collector():
        parsed = [
            _parsed(_lists(_document(file.path, file.name), Task(source, file, reading, faults)), file.name, faults)
            for file in source.files
        ]
    parents = frozenset.intersection(*(one.parents for one in parsed))
    parts = [(_rows(one, file, parents, faults), file.part) for one, file in zip(parsed, source.files, strict=True)]
    dropped = (
        f"Category {', '.join(sorted(parents))} only groups other categories, so it is not a label." if parents else ""
    )
    rows = join(parts, faults)
    return replace(rows, reading=(*rows.reading, dropped)) if dropped else rows


def _rows(parsed: _Parsed, file: LabelFile, parents: frozenset[str], faults: Faults) -> Rows:
    declared = [name for name in parsed.declared if name not in parents]
    absent = NO if parsed.is_complete else UNKNOWN
    rows = collect(parsed.rows, file.name, faults, declared=declared, absent=absent)
    return replace(rows, bases=file.base, hints=file.hint)


def _parsed(lists: _Lists, name: str, faults: Faults) -> _Parsed:
    images, categories, annotations = lists
    row_of = _by_any(_ids(images, f"{name}: images", faults))
    entry_of = _ids(categories, f"{name}: categories", faults)
    named = {key: _text(categories[at], "name", f"{name}: categories[{at}]", faults) for key, at in entry_of.items()}
    label_of = _by_any(named)
    labels: list[set[str]] = [set() for _ in images]
    stray: dict[str, Counter[str]] = {"image": Counter(), "category": Counter()}
    for number, annotation in enumerate(annotations):
        try:
            row = row_of[annotation["image_id"]]
            labels[row].update([label_of[key] for key in _categories(annotation)])
        except (KeyError, TypeError):
            _explain(annotation, f"{name}: annotations[{number}]", (row_of, label_of), stray, faults)
    _add_stray(stray, name, faults)
    common = _common_keys(images)
    is_federated = any(isinstance(image, dict) and _NEGATIVE in image for image in images)
    rows = [
        Row(
            _text(image, "coco_url" if is_federated else "file_name", f"{name}: images[{at}]", faults),
            f"{name}: images[{at}]",
            labels[at],
            no=_absent(image, label_of) - labels[at],
            split=str(image["split"]) if "split" in common else None,
            metadata={key: image[key] for key in common if key != "split"},
        )
        for at, image in enumerate(images)
    ]
    return _Parsed(rows, tuple(filter(None, named.values())), _parents(categories, labels), not is_federated)


def _categories(annotation: dict[str, Any]) -> Sequence[Any]:
    """The ids of an annotation's categories: several of an image, those of its panoptic segments, or one."""
    if "segments_info" in annotation:
        return [segment["category_id"] for segment in annotation["segments_info"]]
    return annotation["category_ids"] if "category_ids" in annotation else (annotation["category_id"],)


def _by_any(values: Mapping[object, T]) -> Mapping[object, T]:
    """Values by ids as numbers and as text alike, as some tools write both."""
    found: dict[object, T] = {}
    for key, value in values.items():
        found |= {str(key): value} | ({int(key): value} if isinstance(key, str) and _DIGITS.fullmatch(key) else {})
    return found | dict(values)


def _absent(image: Any, label_of: Mapping[object, str]) -> set[str]:
    """The labels that an image is known not to have."""
    keys = image.get(_NEGATIVE) if isinstance(image, dict) else None
    known = (key for key in keys if isinstance(key, int | str)) if isinstance(keys, list) else ()
    return {label_of[key] for key in known if key in label_of}


def _parents(categories: Sequence[Any], labels: Sequence[set[str]]) -> frozenset[str]:
    pairs = [(one.get("supercategory"), one.get("name")) for one in categories if isinstance(one, dict)]
    above = {parent for parent, name in pairs if isinstance(parent, str) and parent != name}
    return frozenset(above & {name for _, name in pairs if isinstance(name, str)}) - set[str]().union(*labels)


def _document(path: Path, name: str) -> dict[str, Any]:
    text = read_text(path, name)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: is not JSON: {error}.", _EXPECTED) from error
    if not isinstance(document, dict):
        raise DataError(f"{name}: expected a JSON object; got {shortened(document)}.", _EXPECTED)
    return document


@contextmanager
def _without_collector() -> Iterator[None]:
    """Millions of small objects, none of them garbage: looking for garbage would take longer than reading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _lists(document: dict[str, Any], task: Task) -> _Lists:
    name, annotations = task.name, document.get("annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    for key, what in _OTHER_FILES.items():
        if isinstance(first, dict) and key in first and ("category_id" not in first):
            raise DataError(f"{name}: expected COCO's instances; these are COCO's {what}.", _other_todo(name))
    if "annotations" not in document and "images" in document:
        raise DataError(f"{name}: lists images without annotations, so it holds no labels.", _other_todo(name))
    if "categories" not in document and isinstance(first, dict) and "category_id" in first:
        document["categories"] = [{"id": key, "name": one} for key, one in class_names(task).names.items()]
    faults = Faults()
    for key in _KEYS:
        if key not in document:
            got = ", ".join(map(shortened, list(document)[:8])) or "none"
            faults.add(f"{name}: expected the keys {', '.join(_KEYS)}; {key} is missing among {got}.", _EXPECTED)
        elif not isinstance(document[key], list):
            faults.add(f"{name}: {key} must be a list; got {shortened(document[key])}.", _EXPECTED)
    faults.check()
    return document["images"], document["categories"], document["annotations"]


def _other_todo(name: str) -> str:
    _, sign, rest = name.rpartition("_")
    return f"Name the file with the objects, usually called instances_{rest if sign else name}."


def _ids(entries: Sequence[Any], place: str, faults: Faults) -> dict[object, int]:
    """The position of each entry by its id; an entry without one, or with that of another, is a fault."""
    at: dict[object, int] = {}
    for number, entry in enumerate(entries):
        key = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(entry, dict):
            faults.add(f"{place}[{number}]: expected an object; got {shortened(entry)}.", _EXPECTED)
        elif not isinstance(key, int | str) or isinstance(key, bool):
            faults.add(f"{place}[{number}]: expected a whole number as `id`; got {shortened(key)}.", _EXPECTED)
        elif at.setdefault(key, number) != number:
            faults.add(f"{place}[{number}]: has the id {shortened(key)} of [{at[key]}].", "Give each its own id.")
    return at


def _text(entry: Any, key: str, place: str, faults: Faults) -> str:
    """A text that an entry must have; an entry that is no object was a fault before."""
    value = entry.get(key) if isinstance(entry, dict) else ""
    if isinstance(entry, dict) and not (isinstance(value, str) and value.strip()):
        faults.add(f"{place}: expected a text as `{key}`; got {shortened(value)}.", _EXPECTED)
    return value.strip() if isinstance(value, str) else ""


def _common_keys(images: Sequence[Any]) -> list[str]:
    """What every image says of itself; what only some say would make a table larger than the file."""
    first, *others = [image for image in images if isinstance(image, dict)] or [{}]
    if len(others) + 1 < len(images):
        return []
    used = {"id", "coco_url", _NEGATIVE, "not_exhaustive_category_ids", *IMAGE_NAMES, *LABELS_NAMES}
    common = {key for key in first if key.strip().lower() not in used}
    for image in others:
        common &= image.keys()
    return [key for key in first if key in common]


# -------------------------------------------------------------------------------------------- annotations


def _explain(
    annotation: Any,
    place: str,
    known: tuple[Mapping[object, int], Mapping[object, str]],
    stray: Mapping[str, Counter[str]],
    faults: Faults,
) -> None:
    """Why an annotation gives no label to an image; ids that nothing has are counted, as there may be many."""
    if not isinstance(annotation, dict):
        faults.add(f"{place}: expected an object; got {shortened(annotation)}.", _EXPECTED)
        return
    if isinstance(segments := annotation.get("segments_info"), list):
        for segment in segments:
            category = segment.get("category_id") if isinstance(segment, dict) else None
            _explain({"image_id": annotation.get("image_id"), "category_id": category}, place, known, stray, faults)
        return
    for what, ids in zip(("image", "category"), known, strict=True):
        key = annotation.get(f"{what}_id")
        if not isinstance(key, int | str):
            faults.add(f"{place}: expected a whole number as `{what}_id`; got {shortened(key)}.", _EXPECTED)
        elif key not in ids:
            stray[what][shortened(key)] += 1


def _add_stray(stray: Mapping[str, Counter[str]], name: str, faults: Faults) -> None:
    for what, of_key in (("image", "images"), ("category", "categories")):
        for key, count in stray[what].items():
            these = "1 annotation is" if count == 1 else f"{count:,} annotations are"
            faults.add(
                f"{name}: {these} of {what} {key}, which is not among its {of_key}.",
                "Is the file incomplete, or made of two files whose ids differ?",
            )


# ------------------------------------------------------------------------------------------------ the reader

_LIST = re.compile(rf'"(?:{"|".join(_KEYS)})"\s*:\s*\[')


def _recognise(head: Head, listing: Listing) -> bool:
    """At least two of COCO's lists in a document of one line, or one in the head of a larger one."""
    if head.text.lstrip()[:1] != "{":
        return False
    if head.row:
        return sum(isinstance(head.row.get(key), list) for key in _KEYS) > 1
    return _LIST.search(head.text) is not None


def _instances(files: Sequence[LabelFile], listing: Listing) -> tuple[tuple[LabelFile, ...], tuple[str, ...]]:
    """Instances without what COCO puts beside them: captions, keypoints; and the names of these."""
    kept = tuple(file for file in files if file.path.stem.lower().startswith("instances")) or tuple(files)
    return kept, tuple(file.name for file in files if file not in kept)


COCO = Reader(
    "coco",
    "COCO annotations (JSON)",
    read_coco,
    of_file=_recognise,
    options=frozenset(("label_names",)),
    chosen=_instances,
)
