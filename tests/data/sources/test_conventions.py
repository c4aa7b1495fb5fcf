"""The contract of readers: what an expert reads in small data sets of every convention is what we read.

`conventions/NAME/data` holds the files as public data sets, annotation tools and spreadsheets write them;
`right.json` says what is right (docs/adding-a-reader.md).
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest

from tagfit.data.sources.read import read
from tagfit.data.sources.registry import READERS, find_source
from tagfit.errors import DataError
from tagfit.records.data import NO, PARTS, UNKNOWN, YES

CASES = sorted(Path(__file__).with_name("conventions").glob("*/right.json"))
#: readers whose cases are made by the tests of their own: arrays name no images
OF_ARRAYS = {"npz", "arff", "features"}


def key(name: str) -> str:
    """A path without its image extension, to compare the ends of two."""
    path = unicodedata.normalize("NFC", name).replace("\\", "/").lstrip("./")
    return "/" + re.sub(r"\.(jpe?g|png|tiff?|webp)$", "", path, flags=re.IGNORECASE)


def same(one: str, other: str) -> bool:
    return key(one).endswith(key(other)) or key(other).endswith(key(one))


def rows_by_image(table, images):
    """The row of each image that an expert sees; every row has to be one of them."""
    rows = {}
    for row, name in enumerate(table.sample_names):
        file = name if table.files is None else table.files[row].as_posix()
        meant = [image for image in images if same(file, image) or same(name, image)]
        if not meant and table.encoded is not None:
            meant = [list(images)[row]]
        assert meant, f"{name} is none of the images"
        image = max(meant, key=len)
        assert image not in rows, f"{image} is read twice"
        rows[image] = row
    return rows


def labels_at(table, row, code):
    return sorted(name for name, held in zip(table.label_names, table.labels_NL[row], strict=True) if held == code)


def check(table, right):
    listed = [*right["labels"].values(), *right.get("unknown", {}).values()]
    assert sorted(table.label_names) == sorted({name for names in listed for name in names or ()})
    rows = rows_by_image(table, right["labels"])
    for image, labels in right["labels"].items():
        if image not in rows:
            assert labels is None, f"{image} is missing"
            continue
        unknown = table.label_names if labels is None else right.get("unknown", {}).get(image, ())
        assert labels_at(table, rows[image], YES) == sorted(labels or ()), image
        assert labels_at(table, rows[image], UNKNOWN) == sorted(unknown), image
        if part := right.get("split", {}).get(image):
            assert PARTS[table.given_split[rows[image]]] == part, image


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.parent.name)
def test_what_an_expert_reads(case):
    right = json.loads(case.read_text(encoding="utf-8"))
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in right["options"].items()}
    point = case.parent / right["point"]
    if right["expect"] == "labels":
        table = read(point, **options)
        check(table, right)
        assert table.reading
        assert not set(right["not_labels"]) & set(table.label_names)
        return
    with pytest.raises(DataError) as caught:
        read(point, **options)
    for words in right["message"]:
        assert re.search(words, str(caught.value), re.IGNORECASE), words


def test_every_reader_has_a_case_and_a_title():
    rights = [(case.parent, json.loads(case.read_text(encoding="utf-8"))) for case in CASES]
    used = {find_source(folder / right["point"]).reader.code for folder, right in rights if right["expect"] == "labels"}
    assert {reader.code for reader in READERS} <= used | OF_ARRAYS
    assert len({reader.code for reader in READERS}) == len(READERS)
    assert all(reader.of_file or reader.of_folder for reader in READERS)
    assert {NO, YES, UNKNOWN} == {0, 1, -1}


def test_class_folders_with_files_are_labels_if_the_person_says_so():
    folder = Path(__file__).with_name("conventions") / "class_folders_with_files" / "data"
    assert read(folder, label_separator="/").label_names == ("harbour", "town")
