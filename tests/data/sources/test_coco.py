"""COCO's instances: what is read, where its images lie, and each fault by its entry."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagfit.data.sources.read import read
from tagfit.errors import DataError
from tagfit.records.data import NO, PARTS

COCO = {
    "info": {"year": 2017},
    "images": [
        {"id": 11, "file_name": "a.jpg", "width": 4, "site": "north", "flickr_url": "x"},
        {"id": 12, "file_name": "b.jpg", "width": 5, "site": "south"},
        {"id": 13, "file_name": "c.jpg", "width": 5, "site": "north"},
    ],
    "categories": [{"id": 7, "name": "sea "}, {"id": 3, "name": "boat"}, {"id": 9, "name": "gull"}],
    "annotations": [
        {"id": 1, "image_id": 11, "category_id": 7, "bbox": [0, 0, 1, 1], "iscrowd": 0},
        {"id": 2, "image_id": 11, "category_id": 7, "iscrowd": 1},
        {"id": 3, "image_id": 12, "category_id": 3, "iscrowd": 1},
        {"id": 4, "image_id": 12, "category_id": 7},
    ],
}


def coco(**changes: object) -> str:
    return json.dumps({**copy.deepcopy(COCO), **changes})


@pytest.fixture
def images(folder):
    return folder("a.jpg", "b.jpg", "c.jpg")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------------------ reading


def test_an_image_has_the_labels_of_its_objects(images):
    table = read(write(images / "boats.json", coco()))
    assert table.name == "boats"
    assert table.label_names == ("sea", "boat", "gull")
    assert table.labels_NL.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert table.absent_label == NO
    assert table.sample_names == ("a.jpg", "b.jpg", "c.jpg")
    assert dict(table.metadata) == {"width": ("4", "5", "5"), "site": ("north", "south", "north")}
    assert table.notes == ()
    assert table.reading[1:] == ("Kept as metadata, not as labels: width, site.",)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("first", COCO)
def test_recognised_by_content(images, indent, first):
    document = {first: COCO[first], **COCO, "licenses": [{"name": "x" * 70_000}]}
    write(images / "labels.json", json.dumps(document, indent=indent))
    assert len(read(images)) == 3


def test_identifiers_may_be_text_and_images_may_be_named_twice(images):
    listed = [{"id": "a", "file_name": "a.jpg"}, {"id": "A", "file_name": "./a.jpg"}]
    labels = [{"image_id": "a", "category_id": 7}, {"image_id": "A", "category_id": 7}]
    table = read(write(images / "x.json", coco(images=listed, annotations=labels)))
    assert table.labels_NL.tolist() == [[1, 0, 0]]
    assert "1 rows that repeat an image" in table.notes[0]


# -------------------------------------------------------------------------------------------------- layout


@pytest.mark.parametrize(
    ("inside", "of_data"),
    [
        ("annotations", "."),
        ("train2017", "."),
        ("images/train2017", "."),
        ("images", "."),
        (".", "."),
        ("annotations/images", "."),
        ("somewhere", "somewhere"),
    ],
)
def test_images_are_found_in_the_usual_places(folder, inside, of_data):
    root = folder(*(f"{inside}/{name}.jpg" for name in "abc"))
    file = write(root / "annotations" / "instances_train2017.json", coco())
    for data in (root, file.parent, file):
        table = read(data, images=None if of_data == "." else root / of_data)
        assert [path.resolve() for path in table.files] == [(root / inside / f"{name}.jpg").resolve() for name in "abc"]
        assert table.name == root.name


def test_the_parts_of_one_split(folder):
    root = folder("train2017/a.jpg", "train2017/b.jpg", "train2017/c.jpg", "val2017/a.jpg")
    write(root / "annotations" / "instances_train2017.json", coco())
    one = [{"id": 11, "file_name": "a.jpg", "height": 1, "width": 9}]
    val = coco(images=one, annotations=COCO["annotations"][:1], categories=COCO["categories"][::-1])
    write(root / "annotations" / "instances_val2017.json", val)
    write(root / "annotations" / "captions_val2017.json", coco(annotations=[{"image_id": 11, "caption": "x"}]))
    table = read(root)
    assert table.sample_names == ("train2017/a.jpg", "train2017/b.jpg", "train2017/c.jpg", "val2017/a.jpg")
    assert [PARTS[code] for code in table.given_split] == ["train"] * 3 + ["val"]
    assert table.label_names == ("sea", "boat", "gull")
    assert table.labels_NL[:, 0].tolist() == [1, 1, 0, 1]
    assert table.metadata["width"] == ("4", "5", "5", "9")
    assert "annotations/instances_val2017.json (val)" in table.notes[0]
    assert table.notes[1] == "Not read: annotations/captions_val2017.json."


def test_one_file_in_the_folder_of_each_part(folder):
    root = folder(*(f"{part}/{name}.jpg" for part in ("train", "valid") for name in "abc"))
    for part in ("train", "valid"):
        write(root / part / "_annotations.coco.json", coco())
    table = read(root)
    assert table.sample_names[2:4] == ("train/c.jpg", "valid/a.jpg")
    assert [PARTS[code] for code in table.given_split] == ["train"] * 3 + ["val"] * 3


def test_parts_must_declare_the_same_labels(images, faults):
    write(images / "instances_train.json", coco())
    write(images / "instances_val.json", coco(categories=[*COCO["categories"], {"id": 1, "name": "gulls"}]))
    assert faults(read, images)[0] == "instances_val.json: declares other labels than instances_train.json: 'gulls'."


def test_other_json_in_a_folder_is_no_label_file(folder):
    where = folder("a.jpg", labels_csv="image,tags\na.jpg,sea\n", info_json='{"a": 1}', c_json="{\n}", d_json="[1]")
    assert read(where).label_names == ("sea",)


# -------------------------------------------------------------------------------------------------- faults


def test_every_fault_is_told_at_once(images, faults):
    text = coco(
        images=[*COCO["images"], {"id": 11, "file_name": "d.jpg"}, {"id": 14}, {"id": True, "file_name": "e.jpg"}, 5],
        categories=[*COCO["categories"], {"id": 5, "name": "sea"}, {"id": 3, "name": "ship"}, {"id": 6, "name": 6}],
        annotations=[
            *COCO["annotations"],
            *({"image_id": 99, "category_id": 7} for _ in range(3)),
            {"image_id": 11, "category_id": "8"},
            {"image_id": [11], "category_id": None},
            "x",
        ],
    )
    found = faults(read, write(images / "x.json", text))
    assert found[:-1] == (
        "x.json: images[3]: has the id 11 of [0].",
        "x.json: images[5]: expected a whole number as `id`; got true.",
        "x.json: images[6]: expected an object; got 5.",
        "x.json: categories[4]: has the id 3 of [1].",
        "x.json: categories[5]: expected a text as `name`; got 6.",
        "x.json: annotations[8]: expected a whole number as `image_id`; got [11].",
        "x.json: annotations[8]: expected a whole number as `category_id`; got null.",
        "x.json: annotations[9]: expected an object; got 'x'.",
        "x.json: 3 annotations are of image 99, which is not among its images.",
        "x.json: 1 annotation is of category '8', which is not among its categories.",
        "x.json: images[4]: expected a text as `file_name`; got null.",
        "x.json: label name 'sea' occurs 2 times.",
        "x.json: images[3]: image 'd.jpg' does not exist.",
        "x.json: images[4]: image '' is an empty cell.",
        "x.json: images[5]: image 'e.jpg' does not exist.",
        "x.json: images[6]: image '' is an empty cell.",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (coco(annotations=[{"image_id": 11, "caption": "a boat"}]), "these are COCO's captions"),
        (coco(annotations=[{"image_id": 11, "segments_info": [{"category_id": 99}]}]), "is of category 99"),
        (json.dumps({key: COCO[key] for key in ("images", "categories")}), "lists images without annotations"),
        (json.dumps({key: COCO[key] for key in ("annotations", "categories")}), "images is missing"),
        (coco(annotations={}), "annotations must be a list; got {}"),
        (coco(categories=[], annotations=[]), "there are no labels at all"),
        (coco(images=[], annotations=[]), "there are no rows"),
        (coco(categories=[{"id": 7, "name": "a\0"}], annotations=[]), "control characters"),
        (coco()[:-9], "is not JSON"),
        (coco() + "\n" + coco(images=3), "is not JSON"),
        ('{"images": [], "annotations": [' + "[" * 100_000, "is not JSON"),
        ('{"images": [], "annotations": [' + "9" * 5000 + "]}", "is not JSON"),
        (coco(categories=[{"id": 7, "name": "../x"}], images=[{"id": 11, "file_name": "../a.jpg"}]), "leaves the"),
        (coco(images=[{"id": 11, "file_name": "/etc/x.jpg"}], annotations=[]), "absolute"),
        ('{\n"images": 3}', "one JSON document over the whole file"),
    ],
)
def test_faults(images, faults, text, message):
    assert message in "\n".join(faults(read, write(images / "val_x.json", text)))


def test_what_to_name_instead_of_the_captions(images, faults):
    file = write(images / "captions_val2017.json", coco(annotations=[{"image_id": 11, "caption": "a boat"}]))
    assert "instances_val2017.json" in faults(read, file)[-1]


def test_too_many_labels_are_refused_before_memory_is(images, faults):
    listed = [{"id": n, "file_name": "a.jpg"} for n in range(50_000)]
    names = [{"id": n, "name": f"n{n}"} for n in range(50_000)]
    file = write(images / "x.json", coco(images=listed, categories=names, annotations=[]))
    assert "50000 different labels on 50000 samples" in faults(read, file)[0]


def test_options_that_cannot_apply_are_refused(images, faults):
    file = write(images / "x.json", coco())
    assert "no cell lists labels" in faults(read, file, label_separator=";")[0]
    assert "lists its labels by name" in faults(read, file, minus_one="no")[0]


VALUES = st.recursive(
    st.none() | st.booleans() | st.sampled_from([7, 11, 12, 1.5, "a.jpg", "b.jpg", "sea", "", "\0", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "file_name", "name", "image_id", "category_id", "caption", "split", "path"]), inner
        )
    ),
    max_leaves=8,
)
LISTS = VALUES | st.lists(VALUES, max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(["images", "categories", "annotations"]), LISTS))
def test_any_json_is_read_or_refused(images, changes):
    try:
        table = read(write(images / "x.json", coco(**changes)))
    except DataError:
        return
    assert table.labels_NL.shape == (len(table), len(table.label_names))
