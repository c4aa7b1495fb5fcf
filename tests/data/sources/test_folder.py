"""Which label file a folder means."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest

from tagfit.data.sources.parts import part_in_stem
from tagfit.data.sources.read import read
from tagfit.records.data import PARTS

ONE = "image,tags\na.jpg,sea\n"


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("scene-train", ("scene", "train")),
        ("train", ("", "train")),
        ("labels_VAL", ("labels", "val")),
        ("dev.part", ("part", "val")),
        ("a-test-b", ("a-b", "test")),
        ("trainset", ("trainset", None)),
        ("train-val", ("train-val", None)),
        ("instances_train2017", ("instances_2017", "train")),
        ("Val2014", ("2014", "val")),
        ("train1", ("train1", None)),
    ],
)
def test_part_in_stem(stem, expected):
    assert part_in_stem(stem) == expected


def test_a_folder_gives_its_name(folder, tmp_path):
    where = folder("a.jpg", labels_csv=ONE)
    assert read(where).name == tmp_path.name
    assert read(where / "labels.csv").name == tmp_path.name
    (where / "labels.csv").rename(where / "coast.csv")
    assert read(where / "coast.csv").name == "coast"


def test_a_readme_is_no_table(folder):
    where = folder("a.jpg", labels_csv=ONE, README_txt="This is, as they say, a readme.\nimage\n")
    (where / "._labels.csv").write_text(ONE)
    assert len(read(where)) == 1


def test_a_text_file_may_be_the_table(folder):
    assert len(read(folder("a.jpg", README_md="x", list_txt=ONE.replace(",", "\t")))) == 1


def test_parts_of_one_split(folder):
    where = folder(
        *("a.jpg", "b.jpg", "c.jpg"),
        train_csv=ONE,
        val_csv="tags,image\nsky,b.jpg\n",
        test_csv="image,tags\nc.jpg,sea;sky\n",
    )
    table = read(where)
    assert table.label_names == ("sea", "sky")
    named = dict(zip(table.sample_names, table.given_split, strict=True))
    assert {name: PARTS[code] for name, code in named.items()} == {"a.jpg": "train", "b.jpg": "val", "c.jpg": "test"}
    assert table.notes == (
        "The label files are read as the parts of one split: test.csv (test), train.csv (train), val.csv (val).",
    )


def test_parts_of_one_split_in_folders(folder, tmp_path):
    where = folder("train/a.jpg", "train/x/b.jpg", "validation/a.jpg", "test/c.jpg")
    lists = '{"file_name": "a.jpg", "tags": ["sea"]}\n{"file_name": "x/b.jpg", "tags": []}\n'
    (where / "train" / "metadata.jsonl").write_text(lists)
    (where / "validation" / "metadata.csv").write_text("file_name,tags\na.jpg,sea;sky\n")
    table = read(where)
    assert table.name == tmp_path.name
    assert table.sample_names == ("train/a.jpg", "train/x/b.jpg", "validation/a.jpg")
    assert table.files[1] == tmp_path / "train" / "x" / "b.jpg"
    assert [PARTS[code] for code in table.given_split] == ["train", "train", "val"]
    assert table.labels_NL.tolist() == [[1, 0], [0, 0], [1, 1]]
    assert table.notes == (
        "The label files are read as the parts of one split: train/metadata.jsonl (train), "
        "validation/metadata.csv (val).",
        "Not read: test/, which has no label file.",
    )
    (where / "labels.csv").write_text("image,tags\ntrain/a.jpg,sea\n")
    assert len(read(where)) == 1


def test_images_of_split_folders_may_lie_elsewhere(folder):
    where = folder(
        "data/train/x", "data/val/x", "mirrored/train/a.jpg", "mirrored/val/b.jpg", "flat/a.jpg", "flat/b.jpg"
    )
    (where / "data" / "train" / "l.csv").write_text("image,tags\na.jpg,sea\n")
    (where / "data" / "val" / "l.csv").write_text("image,tags\nb.jpg,sea\n")
    assert read(where / "data", images=where / "mirrored").sample_names == ("train/a.jpg", "val/b.jpg")
    assert read(where / "data", images=where / "flat").sample_names == ("a.jpg", "b.jpg")


def test_faults_of_split_folders(folder, faults):
    where = folder("train/a.jpg", "val/b.jpg", "train-2/x")
    (where / "train" / "metadata.csv").write_text("image,tags\nno.jpg,sea\n/etc/passwd,sea\n")
    (where / "val" / "metadata.csv").write_bytes(b"image,tags\n\xff.jpg,sea\n")
    assert "val/metadata.csv:2: expected UTF-8" in faults(read, where)[0]
    (where / "val" / "metadata.csv").write_text("image,tags\n../no.jpg,sea\n")
    assert faults(read, where)[:-1] == (
        "train/metadata.csv:2: image 'train/no.jpg' does not exist.",
        "train/metadata.csv:3: image '/etc/passwd' is an absolute path; expected one relative to the folder of images.",
        "val/metadata.csv:2: image 'val/../no.jpg' does not exist.",
    )
    (where / "val" / "other.csv").write_text(ONE)
    assert "expected one label file" in faults(read, where)[0]
    (where / "val" / "other.csv").unlink()
    np.savez(where / "val" / "metadata.csv", X=np.eye(2), y=np.eye(2))
    (where / "val" / "metadata.csv.npz").rename(where / "val" / "metadata.csv")
    assert "expected one label file" in faults(read, where)[0]


def test_a_binary_label_may_be_constant_in_one_part(folder):
    where = folder("a.jpg", "b.jpg", train_csv="image,x,y\na.jpg,1,0\n", test_csv="image,x,y\nb.jpg,0,\n")
    assert read(where).labels_NL.tolist() == [[0, -1], [1, 0]]


def test_parts_must_agree(folder, faults):
    where = folder("a.jpg", "b.jpg", train_csv=ONE, test_csv="image\nb.jpg\n")
    assert read(where).sample_names == ("a.jpg",)  # a part without labels is unlabelled
    assert [file.name for file in read(where).unlabelled] == ["b.jpg"]
    (where / "test.csv").write_text("image,other\nb.jpg,x\n")
    assert "column 'tags' is not in test.csv" in "".join(faults(read, where))
    (where / "test.csv").write_text("image,tags,split\nb.jpg,sea,val\n")
    assert any("has a `split` column" in fault for fault in faults(read, where))
    (where / "test.csv").write_text("image,tags\na.jpg,sea\n")
    assert faults(read, where)[0] == "train.csv:2: repeats the image of test.csv:2, 'a.jpg', with another split."


def test_parts_of_arrays(folder):
    where = folder()
    for part, n in (("train", 3), ("val", 2)):
        np.savez(where / f"{part}.npz", X=np.ones((n, 2)), y=np.eye(n, 2), label_names=["a", "b"])
    table = read(where)
    assert table.label_names == ("a", "b")
    assert [PARTS[code] for code in table.given_split] == ["train"] * 3 + ["val"] * 2
    assert table.sample_names[2:4] == ("train row 3", "val row 1")


def test_parts_of_arrays_in_folders(folder, faults):
    where = folder("train/x", "val/x")
    for part, labels in (("train", ["a", "b"]), ("val", ["a", "c"])):
        np.savez(where / part / "data.npz", X=np.ones((3, 2)), y=np.eye(3, 2), label_names=labels)
    assert "train/data.npz and val/data.npz have different label_names" in faults(read, where)[0]
    np.savez(where / "val" / "data.npz", X=np.ones((3, 2)), y=np.eye(3, 2), label_names=["a", "b"])
    assert [PARTS[code] for code in read(where).given_split] == ["train"] * 3 + ["val"] * 3


def test_parts_of_arrays_must_agree(folder, faults):
    where = folder()
    np.savez(where / "train.npz", X=np.ones((2, 2)), y=np.eye(2), label_names=["a", "b"])
    np.savez(where / "val.npz", X_val=np.ones((2, 3)), y_val=np.eye(2), X_train=np.ones((2, 3)), y_train=np.eye(2))
    found = "\n".join(faults(read, where))
    for piece in ("holds parts of a split itself", "different label_names", "samples of shape (3,)"):
        assert piece in found


@pytest.mark.parametrize(
    "names",
    [("a.csv", "b.csv"), ("train.csv", "x-test.csv"), ("train.csv", "dev.csv", "val.csv"), ("val.csv", "test.csv")],
)
def test_several_files_are_ambiguous(folder, faults, names):
    where = folder("a.jpg")
    for name in names:
        (where / name).write_text(ONE)
    message = faults(read, where)[0]
    assert "expected one label file" in message
    assert all(name in message for name in names)


def test_nothing_to_read(folder, faults, tmp_path):
    message = faults(read, folder("deep/x.doc", x_md="x", a_json='{"a": 1}'))[0]
    assert "images with keywords" in message
    assert "0 images, 1 folders and 3 other files" in message
    assert "does not exist" in faults(read, tmp_path / "no")[0]
    assert "cannot be a path" in faults(read, "image,tags\n" + "a.jpg,sea\n" * 1000)[0]
    os.mkfifo(tmp_path / "pipe.csv")
    assert "neither a file nor a folder" in faults(read, tmp_path / "pipe.csv")[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1....", "Parquet"),
        (b"\x93NUMPY", "single array"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x80\x04\x95", "pickle"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x1f\x8b", "gzip"),
        (b"<?xml version='1.0'?><labels/>", "XML"),
    ],
)
def test_known_files_that_are_not_read(folder, faults, content, message):
    assert message in faults(read, folder(x_csv=content) / "x.csv")[0]


def test_content_counts_not_the_suffix(folder):
    buffer = io.BytesIO()
    np.savez(buffer, X=np.ones((2, 2)), y=np.eye(2))
    assert read(folder(x_csv=buffer.getvalue()) / "x.csv").x.shape == (2, 2)
    arff = "% c\n@RELATION 'r: -C -1'\n@attribute a numeric\n@attribute l {0,1}\n@data\n1,0\n2,1\n"
    assert read(folder(y_txt=arff) / "y.txt").label_names == ("l",)


def test_the_folder_stays_as_it_was(folder):
    where = folder("a.jpg", labels_csv=ONE)
    before = sorted(where.rglob("*"))
    read(where)
    assert sorted(where.rglob("*")) == before
