"""Formats of annotation tools: what the cases in `conventions` leave open, and each question with its answer."""

from __future__ import annotations

import io
import json
import sys
import tarfile

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tagfit.data.sources.documents import Node, gather, read_document, read_xml
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.formats import parquet
from tagfit.data.sources.read import read
from tagfit.errors import DataError, MissingExtraError
from tagfit.records.data import PARTS, UNKNOWN, YES

IMAGES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
SETS = (["sea"], ["sea", "sky"], ["sky"], [])


def picture(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (seed, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def labels_of(table) -> dict[str, list[str]]:
    return {
        name: [label for label, code in zip(table.label_names, row, strict=True) if code == YES]
        for name, row in zip(table.sample_names, table.labels_NL, strict=True)
    }


# --------------------------------------------------------------------------------------------- documents


def test_a_node_says_where_it_is_not_what_was_expected():
    node = Node({"a": [{"b": 3}], "n": "12", "t": True}, "x.json")
    assert node.get("a").items[0].get("b").id == "3"
    assert node.get("n").number == 12
    for wrong, message in (
        (lambda: node.get("a").get("b"), "x.json.a: expected an object; got"),
        (lambda: node.get("a").items[0].get("b").items, "x.json.a[0].b: expected a list; got 3."),
        (lambda: node.get("a").items[0].get("b").text, "x.json.a[0].b: expected a text; got 3."),
        (lambda: node.get("t").number, "x.json.t: expected a text; got true."),
        (lambda: node.get("missing").text, "x.json.missing: expected a text; got null."),
    ):
        with pytest.raises(DataError, match=r".") as caught:
            wrong()
        assert message in str(caught.value)


def test_faults_of_all_records_are_gathered():
    faults = Faults()
    assert gather(Node(["a", 1, "b", None], "x").items, lambda node: node.text, faults) == ["a", "b"]
    assert len(faults) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deep"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
        ('{"a": 1', "is not JSON"),
        ('{"a": 1}\n{"a": }\n', "x.json:2: is not JSON"),
    ],
)
def test_hostile_json(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    faults = Faults()
    with pytest.raises(DataError, match=message):
        read_document(tmp_path / "x.json", "x.json", faults) and faults.check()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>', "document type"),
        ("<x>" * 300, "nested deeper"),
        ("<x><y></x>", "not well-formed"),
        ("<?xml version='1.0' encoding='nonsense'?><x/>", "not well-formed"),
        ("", "not well-formed"),
        ("<x>\0</x>", "not well-formed"),
    ],
)
def test_hostile_xml(tmp_path, text, message):
    (tmp_path / "x.xml").write_text(text)
    with pytest.raises(DataError, match=rf"x\.xml: .*{message}"):
        read_xml(tmp_path / "x.xml", "x.xml")


# --------------------------------------------------------------------------------------- names of classes


@pytest.mark.parametrize(
    "names",
    [
        {"classes_txt": "sea\nsky\n"},
        {"label_list_txt": "0 sea\n1 sky\n"},
        {"obj_names": "sea\nsky"},
        {"label_map_txt": "id,name\n0,sea\n1,sky\n"},
        {"class_map_txt": "name,id\nsea,0\nsky,1\n"},
        {"category_json": '{"sea": 0, "sky": 1}'},
        {"id2label_json": '{"0": "sea", "1": "sky"}'},
        {"classes_json": '["sea", "sky"]'},
        {"data_yaml": "nc: 2\nnames: ['sea', \"sky\"]\n"},
        {"data_yaml": "names:\n  0: sea\n  1: sky # blue\nnc: 2\n"},
        {"data_yml": "names:\n- sea\n- sky\n"},
        {"data_yaml": "names: {0: sea, 1: sky}"},
    ],
)
def test_where_names_of_classes_come_from(folder, names):
    where = folder(*IMAGES, train_txt="a.jpg 0\nb.jpg 0 1\nc.jpg 1\nd.jpg\n")
    for name, text in names.items():
        (where / name[::-1].replace("_", ".", 1)[::-1]).write_text(text)
    table = read(where)
    assert labels_of(table) == dict(zip(IMAGES, SETS, strict=True))
    assert "names come from" in " ".join(table.reading)


@pytest.mark.parametrize(
    "text", ["sea\nsky\nsand\n1\n", "a.jpg\nb.jpg\n", "sea,1\nsky,1\n", "0 sea\n1 sky\nsand\n", "\0sea", "sea\nsea\n"]
)
def test_files_that_name_no_classes(folder, faults, text):
    where = folder(*IMAGES, train_txt="a.jpg 0\nb.jpg 0 1\nc.jpg 1\nd.jpg\n", classes_txt=text)
    assert "class numbers" in faults(read, where)[0]


def test_names_of_classes_must_agree(folder, faults):
    where = folder(*IMAGES, train_txt="a.jpg 0\nb.jpg 0 1\nc.jpg 1\nd.jpg\n", classes_txt="sea\nsky", labels_txt="x\ny")
    assert "name them differently" in faults(read, where)[0]
    assert read(where, label_names=("p", "q")).label_names == ("p", "q")
    assert "class 1 has no name in label_names" in faults(read, where, label_names=("p",))[0]


def test_values_of_classes_and_class_numbers_are_not_mixed(folder, faults):
    where = folder(*IMAGES, list_txt="a.jpg 0 1\nb.jpg 1 1\nc.jpg 0\nd.jpg 0 0\n")
    assert faults(read, where, label_names=("sea", "sky"))[0].startswith("list.txt:3: expected 2 values of 0, 1 or -1")
    where = folder(list_txt="a.jpg 0 1\nb.jpg 1 1\nc.jpg 0 x\nd.jpg 0 0\n")
    assert "list.txt:3: expected numbers" in faults(read, where, label_names=("sea", "sky"))[0]


def test_unknown_in_a_list(folder):
    where = folder(*IMAGES, list_txt="a.jpg\t0,1\nb.jpg\t1,1\nc.jpg\t-1,0\nd.jpg\t0,0\n")
    assert read(where, label_names=("sea", "sky")).labels_NL.tolist() == [[0, 1], [1, 1], [UNKNOWN, 0], [0, 0]]


# ------------------------------------------------------------------------------- questions and their options


def test_several_attributes_of_via(folder, faults):
    regions = [
        {"region_attributes": {"type": kind, "colour": colour}} for kind, colour in (("car", "red"), ("bus", "red"))
    ]
    export = {
        name: {"filename": name, "regions": regions, "file_attributes": {"note": f"seen at {name}"}} for name in IMAGES
    }
    where = folder(*IMAGES, via_json=json.dumps(export))
    message, todo = faults(read, where)
    assert "'note', 'type', 'colour'" in message
    assert "--label-column type" in todo
    assert read(where, label_column="type").label_names == ("bus", "car")
    assert read(where, label_column=("type", "colour")).label_names == ("bus", "car", "red")
    assert "no 'kind'" in faults(read, where, label_column="kind")[0]


def test_several_columns_of_label_studio(folder, faults):
    rows = [
        {
            "image": name,
            "id": at,
            "choice": "sea",
            "weather": "fair",
            "annotator": 1,
            "annotation_id": at,
            "url": f"x{at}",
        }
        for at, name in enumerate(IMAGES)
    ]
    where = folder(*IMAGES, export_json=json.dumps(rows, indent=1))
    assert "it is not clear what the labels are" in faults(read, where)[0]
    assert read(where, label_column="weather").label_names == ("fair",)


def test_several_attributes_of_sagemaker(folder, faults):
    of = {"class-map": {"0": "sea"}}
    lines = [{"source-ref": name, "one": [0], "one-metadata": of, "two": [0], "two-metadata": of} for name in IMAGES]
    where = folder(*IMAGES, output_manifest="\n".join(map(json.dumps, lines)))
    assert "expected one attribute of labels; it has one, two" in faults(read, where)[0]
    assert read(where, label_column="two").label_names == ("sea",)
    assert "it has one, two" in faults(read, where, label_column="three")[0]


def test_a_manifest_of_numbers(folder):
    lines = [
        {"source-ref": name, "label": [int("sea" in one), int("sky" in one)]}
        for name, one in zip(IMAGES, SETS, strict=True)
    ]
    where = folder(*IMAGES, output_manifest="\n".join(map(json.dumps, lines)))
    assert labels_of(read(where, label_names=("sea", "sky"))) == dict(zip(IMAGES, SETS, strict=True))


def test_attributes_of_three_values(folder, faults):
    where = folder(*IMAGES, list_txt="4\nsea sky\na.jpg 1 -1\nb.jpg 1 1\nc.jpg 0 1\nd.jpg -1 -1\n")
    assert "either 0 or -1 may mean unknown" in faults(read, where)[0]
    assert read(where, minus_one="no").labels_NL.tolist() == [[1, 0], [1, 1], [UNKNOWN, 1], [0, 0]]
    assert read(where, minus_one="unknown").labels_NL.tolist() == [[1, UNKNOWN], [1, 1], [0, 1], [UNKNOWN, UNKNOWN]]
    (where / "list.txt").write_text("5\nsea sky\na.jpg 1 -1\nb.jpg 1\n")
    found = faults(read, where, minus_one="no")
    assert "counts 5 images, but it lists 2" in found[0]
    assert found[1].startswith("list.txt:4: expected an image and 2 values")


def test_what_several_people_saw_in_an_image(folder):
    rows = [
        {"image": name, "id": at, "choice": {"choices": names}, "annotator": at, "annotation_id": at}
        for at, (name, names) in enumerate((("a.jpg", ["sea", "sky"]), ("a.jpg", ["sea"]), ("b.jpg", ["sky"])))
    ]
    table = read(folder("a.jpg", "b.jpg", export_json=json.dumps(rows, indent=1)))
    assert table.labels_NL.tolist() == [[1, UNKNOWN], [0, 1]]


# --------------------------------------------------------------------------------------------- beside images


def test_files_beside_images(folder, faults):
    xml = "<annotation><object><name>{}</name></object></annotation>"
    where = folder(*(f"{part}/a.jpg" for part in ("train", "val")), "val/b.jpg")
    for name, label in (("train/a", "sea"), ("val/a", "sky")):
        (where / f"{name}.xml").write_text(xml.format(label))
    table = read(where)
    assert labels_of(table) == {"train/a.jpg": ["sea"], "val/a.jpg": ["sky"]}
    assert [PARTS[code] for code in table.given_split] == ["train", "val"]
    assert any("1 images beside the labelled ones" in note for note in table.notes)
    assert len(read(where / "val" / "a.xml")) == 1
    (where / "val" / "c.xml").write_text(xml.format("sky"))
    assert "image 'c' does not exist" in faults(read, where)[0]


def test_the_image_of_a_file_may_be_one_of_several(folder, faults):
    where = folder("x/a.jpg", "y/a.jpg", "labels/z")
    (where / "labels" / "a.xml").write_text("<annotation><object><name>x</name></object></annotation>")
    assert "its image may be x/a.jpg or y/a.jpg" in faults(read, where)[0]


def test_sentences_are_no_tags(folder, faults):
    where = folder(*IMAGES, **{f"{name[0]}_txt": f"a photo of {name}, taken by nobody in {name}" for name in IMAGES})
    assert "4 .txt files beside images hold no labels" in " ".join(faults(read, where))
    (where / "labels.csv").write_text("image,tags\na.jpg,sea\n")
    assert read(where).label_names == ("sea",)


def test_tags_with_brackets_and_blank_texts(folder):
    texts = ("1girl, saber \\(fate\\)", "1girl", "", "saber \\(fate\\)\n")
    where = folder(
        *IMAGES, "e.jpg", e_txt="1girl", **{f"{name[0]}_txt": text for name, text in zip(IMAGES, texts, strict=True)}
    )
    table = read(where)
    assert table.label_names == ("1girl", "saber (fate)")
    assert "1 sample without an entry: read as having none" in " ".join(table.reading)


# ------------------------------------------------------------------------------------------------- folders


def fill(where, **images: int) -> None:
    for name, seed in images.items():
        path = where / f"{name.replace('__', '/')}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(seed))


def test_equal_names_are_not_equal_images(tmp_path):
    fill(tmp_path, cat__1=1, dog__1=2, dog__2=3, cat__7=3)
    assert labels_of(read(tmp_path)) == {"cat/1.jpg": ["cat"], "cat/7.jpg": ["cat", "dog"], "dog/1.jpg": ["dog"]}


def test_copies_in_two_parts_stay_apart(tmp_path):
    fill(tmp_path, train__cat__1=1, train__dog__2=2, val__cat__1=1, val__dog__1=1)
    table = read(tmp_path)
    assert labels_of(table) == {"train/cat/1.jpg": ["cat"], "train/dog/2.jpg": ["dog"], "val/cat/1.jpg": ["cat", "dog"]}
    assert [PARTS[code] for code in table.given_split] == ["train", "train", "val"]


def test_links_to_images(tmp_path):
    fill(tmp_path, cat__1=1, dog__2=2)
    (tmp_path / "dog" / "1.jpg").symlink_to("../cat/1.jpg")
    (tmp_path / "cat" / "2.jpg").write_text("../dog/2.jpg")
    assert labels_of(read(tmp_path)) == {"cat/1.jpg": ["cat", "dog"], "dog/2.jpg": ["cat", "dog"]}


def test_names_of_folders_may_be_several_labels(tmp_path, faults):
    fill(tmp_path, red_dress__1=1, red_shirt__2=2, blue_dress__3=3, blue_shirt__4=4)
    message, todo = faults(read, tmp_path)
    assert "one label or several" in message
    assert "--label-separator '_'" in todo
    assert read(tmp_path, label_separator="_").label_names == ("blue", "dress", "red", "shirt")
    assert len(read(tmp_path, label_separator="/").label_names) == 4


@pytest.mark.parametrize(
    "folders",
    [
        ("2023-05-01", "2023-06-11 beach"),
        ("100CANON", "101CANON"),
        ("images", "masks"),
        ("cat", "cat/young"),
        ("0", "1"),
    ],
)
def test_folders_that_are_no_labels(tmp_path, faults, folders):
    for at, name in enumerate(folders):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / f"{at}.jpg").write_bytes(picture(at))
    assert "expected a label file" in faults(read, tmp_path)[0]


# --------------------------------------------------------------------------------- sheets, Parquet and tars


def workbook(path, **sheets) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)


ROWS = (("image", "sea", None, "sky"), (), ("a.jpg", 1, None, 0), ("b.jpg", True, None, True), ("c.jpg", 0, None, 1))


def test_the_sheet_that_names_images_is_read(folder, faults):
    where = folder("a.jpg", "b.jpg", "c.jpg")
    workbook(where / "labels.xlsx", notes=(("who", "when"), ("me", "today")), labels=ROWS)
    assert read(where).labels_NL.tolist() == [[1, 0], [1, 1], [0, 1]]
    workbook(where / "labels.xlsx", one=ROWS, two=ROWS)
    assert "of one, two, 2 do" in faults(read, where)[0]
    workbook(where / "labels.xlsx", one=(("image", "sea", "sea"), ("a.jpg", 1, 0)))
    assert "labels.xlsx:1: two columns have the same name" in faults(read, where)[0]


@pytest.mark.parametrize(("module", "name"), [("openpyxl", "x.xlsx"), ("pyarrow", "x.parquet")])
def test_what_an_extra_brings(folder, monkeypatch, module, name):
    where = folder("a.jpg")
    workbook(where / "x.xlsx", one=ROWS)
    pq.write_table(pa.table({"image": ["a.jpg"], "labels": [["sea"]]}), where / "x.parquet")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError):
        read(where / name)


def test_shards_and_class_names_of_parquet(tmp_path):
    features = {
        "image": {"_type": "Image"},
        "labels": {"feature": {"names": ["sea", "sky"], "_type": "ClassLabel"}, "_type": "List"},
    }
    for part, count in (("train", 2), ("validation", 1)):
        for shard in range(count):
            images = [{"bytes": picture(at), "path": None} for at in range(2)]
            table = pa.table({"image": images, "labels": [[0], [0, 1]]})
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
            pq.write_table(table, tmp_path / f"{part}-{shard:05d}-of-{count:05d}.parquet")
    table = read(tmp_path)
    assert table.label_names == ("sea", "sky")
    assert table.labels_NL.tolist() == [[1, 0], [1, 1]] * 3
    assert [PARTS[code] for code in table.given_split] == ["train"] * 4 + ["val"] * 2
    assert table.encoded[0] == picture(0)
    assert len(read(tmp_path / "validation-00000-of-00001.parquet")) == 2


def test_parquet_without_columns_says_so(tmp_path):
    pq.write_table(pa.table({}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="no rows"):
        read(tmp_path / "x.parquet")


def test_parquet_is_refused_by_what_it_unpacks_to(tmp_path, monkeypatch):
    """Of 30,000,000 rows of zeros, in 223 kB, it took 7.8 GB."""
    zeros = np.zeros(15_000_000, dtype=np.int8)
    pq.write_table(pa.table({"a": zeros, "b": zeros}), tmp_path / "rows.parquet", compression="zstd")
    with pytest.raises(DataError, match="holds more than 4 GB"):
        read(tmp_path / "rows.parquet")
    text = pa.DictionaryArray.from_arrays(np.zeros(3000, dtype=np.int32), ["x" * 100_000])
    pq.write_table(pa.table({"image": text, "b": [0, 1] * 1500}), tmp_path / "texts.parquet", compression="zstd")
    monkeypatch.setattr(parquet, "MOST_BYTES", 200_000_000)
    with pytest.raises(DataError, match="more than memory can take"):
        read(tmp_path / "texts.parquet")


def test_parquet_that_names_images(folder):
    where = folder("a.jpg", "b.jpg")
    pq.write_table(pa.table({"image": ["a.jpg", "b.jpg"], "labels": [["sea"], ["sky"]]}), where / "labels.parquet")
    assert labels_of(read(where)) == {"a.jpg": ["sea"], "b.jpg": ["sky"]}


def tar(path, **files: bytes) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_tars_with_class_numbers(tmp_path, faults):
    tar(tmp_path / "train-0000.tar", a_jpg=picture(1), a_cls=b"[0, 1]", b_jpg=picture(2), b_cls=b"1")
    tar(tmp_path / "val-0000.tar", c_jpg=picture(3), c_cls=b"0")
    assert "class numbers" in faults(read, tmp_path)[0]
    table = read(tmp_path, label_names=("sea", "sky"))
    assert table.labels_NL.tolist() == [[1, 1], [0, 1], [1, 0]]
    assert [PARTS[code] for code in table.given_split] == ["train", "train", "val"]
    assert table.encoded[0] == picture(1)


def test_a_tar_of_images_has_to_be_unpacked(tmp_path, faults):
    tar(tmp_path / "images.tar", a_jpg=picture(1), b_jpg=picture(2))
    message, todo = faults(read, tmp_path)
    assert "a tar archive" in message
    assert "Unpack" in todo


# ------------------------------------------------------------------------------------------------- the rest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MATLAB 7.3 MAT-file" + b"\0" * 600, "a MATLAB file"),
        (b"\n#\xd7\xce" + b"\0" * 60, "RecordIO"),
        (b"\0" * 16 + b"\xde\xc0\xef\xbe", "LMDB"),
        (b"\x20\0\0\0\0\0\0\0abcd\n\x1e" + b"x" * 40, "TFRecord"),
        (b"PK\x05\x06" + b"\0" * 18, "zip archive"),
    ],
)
def test_files_that_are_named_and_not_read(tmp_path, faults, content, message):
    (tmp_path / "data.bin").write_bytes(content)
    assert message in faults(read, tmp_path)[0]


def test_fiftyone_stays_in_its_folder(folder, faults):
    index = {"index": [{"data": "a.jpg", "labels": "../../secret.json"}]}
    where = folder("a.jpg", manifest_json=json.dumps(index, indent=1))
    assert "is outside the folder" in faults(read, where)[0]


def test_open_images_without_a_name(folder, faults):
    rows = "ImageID,Source,LabelName,Confidence\na,verification,/m/1,1\nb,verification,/m/2,1\n"
    where = folder("a.jpg", "b.jpg", labels_csv=rows, names_csv="/m/1,Sea\n")
    assert "do not name /m/2" in faults(read, where)[0]
