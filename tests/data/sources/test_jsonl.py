"""JSON lines."""

from __future__ import annotations

import json

import pytest

from tagfit.data.sources.read import read
from tagfit.records.data import NO, PARTS, UNKNOWN, YES


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_lists_of_names(folder):
    text = lines(
        {"file_name": "a.jpg", "labels": ["sea ", "sky", "sea"], "split": "train", "size": [1, 2], "by": "me"},
        {"file_name": "b.jpg", "labels": [], "split": "dev", "size": None},
    )
    table = read(folder("a.jpg", "b.jpg", metadata_jsonl=text))
    assert table.label_names == ("sea", "sky")
    assert table.labels_NL.tolist() == [[1, 1], [0, 0]]
    assert table.absent_label == NO
    assert [PARTS[code] for code in table.given_split] == ["train", "val"]
    assert dict(table.metadata) == {"size": ("[1, 2]", ""), "by": ("me", "")}


def test_mappings_to_0_and_1(folder):
    text = lines(
        {"image": "a.jpg", "labels": {"sea": 1, "sky": None, "sun": False}},
        {"image": "b.jpg", "labels": {"sea": 0.0, "sky": True}},
        {"image": "c.jpg", "labels": None},
    )
    table = read(folder("a.jpg", "b.jpg", "c.jpg", l_jsonl=text))
    assert table.label_names == ("sea", "sky", "sun")
    assert table.labels_NL.tolist() == [[YES, UNKNOWN, NO], [NO, YES, UNKNOWN], [UNKNOWN] * 3]
    assert table.absent_label == UNKNOWN


def test_text_and_binary_keys(folder):
    where = folder("a.jpg", "b.jpg")
    (where / "l.jsonl").write_text(lines({"image": "a.jpg", "tags": "x;y"}, {"image": "b.jpg", "tags": ""}))
    assert read(where).label_names == ("x", "y")
    (where / "l.jsonl").write_text(lines({"image": "a.jpg", "x": 1, "y": 0}, {"image": "b.jpg", "x": True}))
    assert read(where).labels_NL.tolist() == [[1, 0], [1, UNKNOWN]]


def test_recognised_by_content(folder):
    assert read(folder("a.jpg", labels_csv='\n{"image": "a.jpg", "labels": ["x"]}')).label_names == ("x",)


def test_labels_of_objects(folder):
    text = lines(
        {"file_name": "a.jpg", "objects": {"bbox": [[0, 0, 1, 1]] * 2, "categories": ["sea", "sea"]}},
        {"file_name": "b.jpg", "objects": [{"bbox": [0, 0, 1, 1], "category": "boat"}], "by": "me"},
        {"file_name": "c.jpg", "objects": {"bbox": [], "categories": []}},
    )
    table = read(folder("a.jpg", "b.jpg", "c.jpg", metadata_jsonl=text))
    assert table.label_names == ("boat", "sea")
    assert table.labels_NL.tolist() == [[0, 1], [1, 0], [0, 0]]
    assert list(table.metadata) == ["by"]
    text = lines({"file_name": "a.jpg", "labels": ["x"], "objects": {"categories": [3]}})
    assert list(read(folder(metadata_jsonl=text)).metadata) == ["objects"]


def test_faults_of_objects(folder, faults):
    text = lines(
        {"file_name": "a.jpg", "objects": {"bbox": [], "categories": ["x"]}},
        {"file_name": "b.jpg"},
        {"file_name": "c.jpg", "objects": {"bbox": []}},
        {"file_name": "d.jpg", "objects": [{"bbox": []}]},
    )
    found = faults(read, folder("a.jpg", "b.jpg", "c.jpg", "d.jpg", m_jsonl=text))
    assert [fault.split(": ")[0] for fault in found[:-1]] == ["m.jsonl:2", "m.jsonl:3", "m.jsonl:4"]
    assert '"categories"' in found[-1]


def test_labels_as_text_and_as_lists(folder):
    text = lines({"image": "a.jpg", "labels": "x;y"}, {"image": "b.jpg", "labels": ["y"]})
    assert read(folder("a.jpg", "b.jpg", m_jsonl=text)).labels_NL.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    "expected",
    [({"label": 3}, {"label": 0}), ({"labels": [0, 2]}, {"labels": []}), ({"objects": {"categories": [1]}},) * 2],
)
def test_class_numbers_need_names(folder, faults, expected):
    text = lines(*({"file_name": "a.jpg", **one} for one in expected))
    message, todo = faults(read, folder("a.jpg", metadata_jsonl=text))
    assert "class numbers, and the data does not name the classes; metadata.jsonl:1 has" in message
    assert "--label-names" in todo
    assert "ClassLabel" in todo


def test_every_fault_is_told_at_once(folder, faults):
    text = '{"image": "a.jpg", "labels": ["x"]}\n{"image": }\n[1]\n{"image": "b.jpg", "labels": ["x", 3]}\n'
    text += '{"image": "b.jpg"}\n{"image": "c.jpg", "image": "c.jpg", "labels": []}\n'
    found = faults(read, folder("a.jpg", "b.jpg", "c.jpg", l_jsonl=text))
    assert [fault.split(": ")[0] for fault in found[:-1]] == [f"l.jsonl:{line}" for line in (2, 3, 6, 4)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"image": "a.jpg"}]', "no column certainly holds labels"),
        ('[{"a": "a.jpg"}, 3]', "one JSON document"),
        ('{\n"image": "a.jpg"}', "one JSON document"),
        ('{"images": [], "annotations": []}', "COCO"),
        ('{"labels": ["x"]}', "expected a column with the images' paths"),
        ('{"image": "a.jpg"}', "no column certainly holds labels"),
        ('{"image": "a.jpg", "labels": []}', "no labels at all"),
        ('{"image": "a.jpg", "labels": {"x": 2}}', "'x' must be 0, 1 or null"),
        ('{"image": "a.jpg", "labels": {"x": 1, "x ": 1}}', "occurs twice"),
        ('{"image": "a.jpg", "labels": ["\\u0000"]}', "control characters"),
        ('{"image": "a.jpg", "labels": ["\\ud800"]}', "control characters"),
        ('{"image": "a\\u0000.jpg", "labels": ["x"]}', "control characters"),
        ('{"image": 5, "labels": ["x"]}', "does not exist"),
        ('{"a":' * 100_000, "is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
    ],
)
def test_faults(folder, faults, text, message):
    assert message in "\n".join(faults(read, folder("a.jpg", l_jsonl=text)))
