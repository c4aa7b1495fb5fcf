"""What a Python user holds: arrays, frames of two libraries, and Hugging Face datasets."""

from __future__ import annotations

import io
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
from PIL import Image

from making import scenes
from tagfit.data.dataset import build
from tagfit.data.sources.memory import from_arrays, from_frame, from_huggingface, from_mapping, from_memory
from tagfit.errors import DataError
from tagfit.records.data import NO, PARTS, UNKNOWN, YES

X = np.arange(8, dtype=np.float32).reshape(4, 2)
Y = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])


@pytest.fixture
def pd():
    return pytest.importorskip("pandas")


@pytest.fixture
def pl():
    return pytest.importorskip("polars")


@pytest.fixture
def hf(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("datasets")


@pytest.fixture(params=["pandas", "polars"])
def frame(request):
    """Make a frame of either library."""
    return pytest.importorskip(request.param).DataFrame


def test_reading_imports_none_of_the_libraries():
    code = (
        "import sys, tagfit.data.sources.memory, tagfit.data.sources.read;"
        "print(sorted({'pandas', 'polars', 'datasets', 'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------------------------------- arrays


def test_arrays():
    table = from_arrays(X, Y, label_names=["a", "b"], split=["train", "Val", "dev", "test"], name="mine")
    assert table.x is X
    assert table.name == "mine"
    assert table.label_names == ("a", "b")
    assert table.labels_NL.tolist() == Y.tolist()
    assert [PARTS[code] for code in table.given_split] == ["train", "val", "val", "test"]
    assert table.sample_names == ("row 1", "row 2", "row 3", "row 4")
    assert from_arrays(X.tolist(), Y.tolist()).label_names == ("label_1", "label_2")


def test_faults_of_arrays(faults):
    found = "\n".join(faults(from_arrays, X * np.nan, Y + 2, label_names=["a"]))
    for piece in ("X: 8 cells are nan", "y: 8 cells", "1 label names"):
        assert piece in found
    found = faults(from_arrays, X, Y, split=["train", "trian"])
    assert "split has 2 entries for 4 samples" in found[0]
    assert "split[1]: split must be" in found[1]
    assert "cannot be converted to an array" in faults(from_arrays, [[1, 2], [3]], Y)[0]
    assert "must hold numbers; got dtype object" in faults(from_arrays, np.array([[None]]), [[1]])[0]


def test_a_sparse_matrix_that_memory_does_not_hold():
    sparse = pytest.importorskip("scipy.sparse")
    wide = sparse.csr_array((4, 2**40), dtype=np.float32)
    with pytest.raises(DataError, match="with its zeros stored, takes 17,592,186,044,416 bytes") as raised:
        from_arrays(wide, Y)
    assert "TruncatedSVD" in raised.value.todo


def test_sparse_labels():
    sparse = pytest.importorskip("scipy.sparse")
    assert from_arrays(X, sparse.csr_array(Y)).labels_NL.tolist() == Y.tolist()


def test_arrays_by_name(faults):
    table = from_memory({"X_train": X, "y_train": Y, "X_val": X, "y_val": Y, "label_names": ["a", "b"], "seed": 3})
    assert [PARTS[code] for code in table.given_split[::4]] == ["train", "val"]
    assert table.label_names == ("a", "b")
    assert "seed" in table.notes[0]
    assert from_memory({"X": X, "y": Y}, label_names=["p", "q"]).label_names == ("p", "q")
    assert from_mapping({"X": X, "y": Y * 2 - 1}, minus_one="unknown").labels_NL.min() == UNKNOWN
    assert "got X_tset, 3" in faults(from_memory, {"X_tset": X, 3: Y})[0]
    assert "arrays hold the samples themselves" in faults(from_memory, {"X": X, "y": Y}, images=".")[0]


@pytest.mark.parametrize("data", [X, "labels.csv", None, [X, Y]])
def test_anything_else_is_refused(faults, data):
    assert type(data).__name__ in faults(from_memory, data)[0]


def test_masked_values_are_unknown(faults):
    y = np.ma.masked_array(Y, mask=[[True, False], [False, False], [False, True], [False, False]])
    assert from_arrays(X, y).labels_NL.tolist() == [[UNKNOWN, 1], [1, 1], [1, UNKNOWN], [0, 0]]
    assert "1 cells are nan" in faults(from_arrays, np.ma.masked_array(X, mask=X == 3), Y)[0]


@pytest.mark.parametrize("one", [np.float32(1), np.int64(1), np.bool_(True), Decimal(1), 1])
def test_objects_that_are_numbers(one, frame):
    x = np.array([[one, 0.5], [2, one], [0, 0], [1, 3]], dtype=object)
    y = [[one, None], [0, 1], [1, 1], [0, 0]]
    table = from_arrays(x, y)
    assert table.x.dtype == np.float32
    assert table.x[0].tolist() == [1, 0.5]
    assert table.labels_NL[0].tolist() == [YES, UNKNOWN]
    if type(one).__module__ != "decimal":
        held = pytest.importorskip("pandas").DataFrame(x, columns=["p", "q"])
        assert from_arrays(held, Y).x.tolist() == table.x.tolist()


def test_minus_zero_is_zero():
    x = X * np.float32([[1], [-1], [0], [-0.0]])
    dataset = build(from_arrays(x, Y))
    assert (dataset.hashes[2] == dataset.hashes[3]).all()
    assert not np.signbit(dataset.x[dataset.x == 0]).any()
    assert np.signbit(x[3]).all()  # the person's own array stays as it is


def test_rounding_that_makes_rows_equal_is_noticed():
    x = np.arange(40.0).reshape(20, 2)
    noted = from_arrays(x + 2.0**40, np.tile(Y, (5, 1))).notes
    assert any("makes 19 distinct rows equal" in note and "X - X.mean(axis=0)" in note for note in noted)
    assert not any("distinct" in note for note in from_arrays(x + 0.1, np.tile(Y, (5, 1))).notes)
    assert any("makes 1 distinct" in note for note in from_arrays(np.array([[2**53], [2**53 + 1]]), Y[:2]).notes)


@pytest.mark.parametrize("y", [Y * 255, Y * 256, Y * 2, Y + 1])
def test_labels_of_other_numbers(faults, y):
    found = faults(from_arrays, X, y)
    assert "cells are not 0, 1, -1 or nan" in found[0]
    assert "(y > 0).astype(int)" in found[-1] or y.min() == 1


def test_the_names_of_features(frame, faults):
    x = frame({" p": [1.5, 2.5], "q": [3, 4]})
    assert from_arrays(x, Y[:2]).feature_names == ("p", "q")
    assert from_arrays(X, Y).feature_names == ()
    assert from_memory({"X": X, "y": Y, "feature_names": ["p", "q"]}).feature_names == ("p", "q")
    parts = {"X_train": x, "y_train": Y[:2], "X_val": frame({"q": [3, 4], "p": [1.5, 2.5]}), "y_val": Y[:2]}
    table = from_memory(parts)
    assert table.feature_names == ("p", "q")
    assert table.x.tolist() == [[1.5, 3], [2.5, 4]] * 2
    found = faults(from_memory, {**parts, "X_val": frame({"p": [1.0, 2.0], "Q": [3, 4]})})
    assert "X_val lacks 1 of the 2 features: 'q'" in found[0]
    assert "X_val has 1 columns that are not features: 'Q'" in found[1]
    assert "3 feature names" in faults(from_memory, {"X": X, "y": Y, "feature_names": ["p", "q", "r"]})[0]
    assert "'p' occurs 2 times" in faults(from_memory, {"X": X, "y": Y, "feature_names": ["p", "p"]})[0]


IMAGES = np.random.default_rng(0).integers(0, 256, size=(4, 6, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("x", "pixel_range"),
    [
        (IMAGES, 255),
        (IMAGES.astype(np.float64), 255),
        (IMAGES / 255, 1),
        ((IMAGES / 255).astype(np.float32), 1),
        (IMAGES > 128, 1),
    ],
)
def test_the_range_of_images(x, pixel_range):
    table = from_arrays(x, Y)
    assert table.pixel_range == pixel_range
    assert (table.x == (IMAGES if x.dtype != bool else 255 * x)).all()


def test_a_range_that_is_not_clear_is_asked_for(faults):
    dark = (IMAGES > 128).astype(np.float32)
    found = faults(from_arrays, dark, Y)
    assert "may go from 0 to 1 or from 0 to 255" in found[0]
    assert "(X * 255).astype('uint8') if 1 is white" in found[-1]
    assert "may go" in faults(from_arrays, dark.astype(int), Y)[0]
    parts = {"X_train": IMAGES / 255, "y_train": Y, "X_val": dark, "y_val": Y}
    assert (from_memory(parts).x[4:] == 255 * dark).all()
    assert "different ranges" in faults(from_memory, {**parts, "X_val": IMAGES})[0]


def test_rows_that_are_flattened_images():
    x, y = scenes(40, size=32), np.tile(Y, (10, 1))

    def noted(rows):
        return [note for note in from_arrays(rows, y).notes if "flattened" in note]

    assert "32 x 32 x 3" in noted(x.reshape(40, -1))[0]
    assert "X.reshape(-1, 32, 32, 3)." in noted(x.reshape(40, -1) / 255)[0]
    assert ".reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)." in noted(np.moveaxis(x, 3, 1).reshape(40, -1))[0]
    assert "32 x 32 x 1" in noted(x[..., 0].reshape(40, -1))[0]
    assert noted(np.random.default_rng(0).integers(0, 256, (40, 3072))) == []
    assert noted(np.random.default_rng(0).normal(size=(40, 3072))) == []


# ---------------------------------------------------------------------------------------------- frames


def test_frame_of_listed_labels(frame, folder):
    where = folder("a.jpg", "b.jpg", "c.jpg")
    held = frame(
        {
            "path": ["a.jpg", "b.jpg", "c.jpg"],
            "tags": ["sea;sky", None, "sky"],
            "split": ["train", "val", "train"],
            "size": [3, None, 4],
            "by": ["me", None, "you"],
        }
    )
    table = from_memory(held, images=where)
    assert table.label_names == ("sea", "sky")
    assert table.labels_NL.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert table.absent_label == NO
    assert table.given_split.tolist() == [0, 1, 0]
    assert table.metadata["by"] == ("me", "", "you")
    assert table.metadata["size"][1] == ""
    assert table.files[0] == where / "a.jpg"


def test_frame_of_lists(frame, folder):
    where = folder("a.jpg", "b.jpg")
    table = from_frame(frame({"image": ["a.jpg", "b.jpg"], "labels": [["sky", "sea"], []]}), images=where)
    assert table.labels_NL.tolist() == [[1, 1], [0, 0]]


def test_frame_of_binary_columns(frame, folder):
    where = folder("a.jpg", "b.jpg", "c.jpg")
    names = [str(where / name) for name in ("a.jpg", "b.jpg", "c.jpg")]
    table = from_frame(
        frame({"image": names, "x": [1, 0, None], "y": [True, False, True], "z": [0.0, 1.0, float("nan")]})
    )
    assert table.label_names == ("x", "y", "z")
    assert table.labels_NL.tolist() == [[YES, YES, NO], [NO, NO, YES], [UNKNOWN, YES, UNKNOWN]]


def test_paths_of_a_frame(frame, folder, faults, monkeypatch, tmp_path):
    where = folder("a.jpg")
    held = frame({"image": ["a.jpg", str(where / "a.jpg")], "tags": ["sea", "sea"]})
    monkeypatch.chdir(where)
    assert len(from_frame(held)) == 1
    assert "row 2: image " in faults(from_frame, held, images=where)[0]
    assert "absolute path" in faults(from_frame, held, images=where)[0]


def test_faults_of_a_frame(frame, faults):
    found = faults(from_frame, frame({"image": ["no.jpg", None, "no.jpg"], "x": [1, 5, 0], "y": [1, 0, 1]}))
    places = [fault.split(":")[0] for fault in found[:-1]]
    assert places == ["row 2", "row 1", "row 2", "row 3"]
    assert "got name" in faults(from_frame, frame({"name": [1]}))[0].replace("'", "")
    assert "there are no rows" in faults(from_frame, frame({"image": [], "x": []}))[0]


def test_frames_of_features_and_labels(frame, faults):
    x = frame({"p": [1.5, 2.5], "q": [3, 4]})
    table = from_arrays(x, frame({"sea": [1, 0], "sky": [None, True]}))
    assert table.x.tolist() == [[1.5, 3], [2.5, 4]]
    assert table.label_names == ("sea", "sky")
    assert table.labels_NL.tolist() == [[1, UNKNOWN], [0, 1]]
    assert "dtype object" in faults(from_arrays, frame({"p": ["a", "b"]}), [[1], [0]])[0]
    y, swapped = frame({"sea": [1, 0], "sky": [0, 1]}), frame({"sky": [1, 0], "sea": [0, 1]})
    parts = {"X_train": x, "y_train": y, "X_val": x, "y_val": swapped}
    assert "different columns" in faults(from_mapping, parts)[0]
    assert from_mapping({**parts, "y_val": y}).label_names == ("sea", "sky")


def test_pandas_missing_values_and_index(pd, folder, faults):
    where = folder("a.jpg", "b.jpg", "c.jpg")
    held = pd.DataFrame(
        {"image": ["a.jpg", "b.jpg", "c.jpg"], "x": pd.array([1, 0, None], dtype="Int64")}, index=[5, 6, 7]
    )
    held["y"] = pd.array([True, None, False], dtype="boolean")
    table = from_frame(held, images=where)
    assert table.labels_NL.tolist() == [[1, 1], [0, UNKNOWN], [UNKNOWN, 0]]
    held.columns = ["image", "x", "x"]
    assert "'x' occurs 2 times" in faults(from_frame, held)[0]
    x, y = pd.DataFrame(X), pd.DataFrame(Y, columns=["a", "b"])
    assert "different row labels" in faults(from_arrays, x, y.sample(frac=1, random_state=1))[0]
    assert "to_categorical" in faults(from_arrays, x, y["a"])[-1]
    assert from_arrays(x.sample(frac=1, random_state=1), y.sample(frac=1, random_state=1)).label_names == ("a", "b")


def test_polars_types(pl, folder):
    where = folder("a.jpg", "b.jpg")
    held = pl.DataFrame(
        {"image": ["a.jpg", "b.jpg"], "x": pl.Series([1, None], dtype=pl.Int8), "y": [0, 1], "day": ["2020", "2021"]}
    )
    table = from_frame(held.with_columns(pl.col("day").str.to_date("%Y")), images=where)
    assert table.label_names == ("x", "y")
    assert table.metadata["day"] == ("2020-01-01", "2021-01-01")


# -------------------------------------------------------------------------------------------- datasets


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (level,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


def test_dataset_of_image_files(hf, folder):
    where = folder("a.jpg", "b.jpg")
    features = hf.Features(
        {
            "photo of it": hf.Image(),
            "labels": hf.Sequence(hf.ClassLabel(names=["sky", "sea", "sun"])),
            "by": hf.Value("string"),
            "box": hf.Sequence(hf.Value("int64")),
        }
    )
    rows = {
        "photo of it": [str(where / "a.jpg"), str(where / "b.jpg")],
        "labels": [[0, 1], []],
        "by": ["me", "you"],
        "box": [[1, 2], [3]],
    }
    table = from_memory(hf.Dataset.from_dict(rows, features=features).with_format("numpy"))
    assert table.files == (where / "a.jpg", where / "b.jpg")
    assert table.label_names == ("sky", "sea", "sun")  # declared, whether or not an image has them
    assert table.labels_NL.tolist() == [[1, 1, 0], [0, 0, 0]]
    assert table.absent_label == NO
    assert dict(table.metadata) == {"by": ("me", "you")} or table.metadata["by"] == ("me", "you")


def test_dataset_of_encoded_images(hf):
    rows = {"image": [{"bytes": png(level), "path": None} for level in (1, 2, 3)], "x": [1, 0, None], "y": [0, 1, 1]}
    rows["path"] = ["p", "q", "r"]
    held = hf.Dataset.from_dict(rows).cast_column("image", hf.Image())
    read = from_memory(held)
    assert read.encoded == (png(1), png(2), png(3))
    assert read.files is None
    assert read.x is None
    assert read.kind == "images"
    assert dict(read.metadata) == {"path": ("p", "q", "r")}
    assert read.labels_NL.tolist() == [[1, 0], [0, 1], [UNKNOWN, 1]]
    assert read.sample_names == ("row 1", "row 2", "row 3")
    many = from_memory(hf.DatasetDict(train=held, test=held))
    assert many.encoded == read.encoded * 2
    assert many.given_split.tolist() == [0, 0, 0, 3, 3, 3]


def test_dataset_of_paths_and_text(hf, folder):
    where = folder("a.jpg", "b.jpg")
    held = hf.Dataset.from_dict({"file_name": ["a.jpg", "b.jpg"], "tags": [["sea"], ["sea", "sky"]]})
    table = from_huggingface(held, images=where)
    assert table.label_names == ("sea", "sky")
    assert table.files == (where / "a.jpg", where / "b.jpg")


def test_dataset_of_one_class_an_image(hf, folder):
    where = folder("a.jpg", "b.jpg")
    features = hf.Features({"image": hf.Value("string"), "label": hf.ClassLabel(names=["sea", "sky"])})
    held = hf.Dataset.from_dict({"image": ["a.jpg", "b.jpg"], "label": [1, 0]}, features=features)
    assert from_huggingface(held, images=where).labels_NL.tolist() == [[0, 1], [1, 0]]


def test_dataset_dict_of_features(hf):
    def part(n):
        return hf.Dataset.from_dict({"features": [[1.0, row] for row in range(n)], "x": [1] * n, "y": [0] * n})

    table = from_memory(hf.DatasetDict(train=part(3), validation=part(2), test=part(1)))
    assert table.x.shape == (6, 2)
    assert table.x.dtype == np.float32
    assert [PARTS[code] for code in table.given_split] == ["train"] * 3 + ["val"] * 2 + ["test"]
    assert table.sample_names[3] == "validation row 1"
    assert table.label_names == ("x", "y")
    assert from_memory(hf.DatasetDict(train=part(3))).given_split is None


def test_faults_of_datasets(hf, faults, folder):
    held = hf.Dataset.from_dict({"features": [[1.0], [2.0]], "x": [1, 0]})
    found = faults(from_memory, hf.DatasetDict(train=held, unlabelled=held))
    assert "got train, unlabelled" in found[0]
    other = hf.Dataset.from_dict({"features": [[1.0], [2.0]], "y": [1, 0]})
    assert "column 'y' is not in the train split" in faults(from_memory, hf.DatasetDict(train=held, test=other))[0]
    assert "streamed" in faults(from_memory, held.to_iterable_dataset())[0]
    assert "expected images or features" in faults(from_memory, held.remove_columns("features"))[0]
    assert "images was given" in faults(from_memory, held, images=".")[0]
    assert "label names were given" in faults(from_memory, held, label_names=["x"], label_column="x")[0]
    ragged = hf.Dataset.from_dict({"features": [[1.0], [2.0, 3.0]], "x": [1, 0]})
    assert "features must hold numbers" in faults(from_memory, ragged)[0]
    numbered = hf.Dataset.from_dict({"features": [[1.0], [2.0]], "labels": [[0], [1, 2]]})
    assert "labels are class numbers" in faults(from_memory, numbered)[0]
    features = hf.Features({"image": hf.Image(), "labels": hf.Sequence(hf.ClassLabel(names=["a"]))})
    rows = {
        "image": [{"bytes": png(1), "path": None}, None, {"bytes": None, "path": "a.jpg"}],
        "labels": [[-1], [0], [0]],
    }
    found = "\n".join(faults(from_memory, hf.Dataset.from_dict(rows, features=features)))
    for piece in (
        "row 1: 'labels' must hold class numbers",
        "row 2: there is no image",
        "row 3: the image is a file",
    ):
        assert piece in found
