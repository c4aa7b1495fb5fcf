"""Arrays in .npz files: which, their checks, and hostile archives."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from tagfit.data.sources.read import read
from tagfit.records.data import PARTS, UNKNOWN

X = np.arange(8, dtype=np.float32).reshape(4, 2)
Y = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3)).astype(np.uint8)


@pytest.fixture
def npz(tmp_path):
    def save(compress=False, **arrays):
        (np.savez_compressed if compress else np.savez)(tmp_path / "a.npz", **arrays)
        return tmp_path / "a.npz"

    return save


def test_x_and_y(npz):
    table = read(npz(X=X, y=Y, label_names=["sea", " sky "]))
    assert table.name == "a"
    assert table.label_names == ("sea", "sky")
    np.testing.assert_array_equal(table.x, X)
    assert table.x.dtype == np.float32
    assert table.labels_NL.tolist() == Y.tolist()
    assert table.given_split is None
    assert table.absent_label == UNKNOWN
    assert table.notes == ()


@pytest.mark.parametrize("x", ["x", "X"])
@pytest.mark.parametrize("y", ["y", "Y"])
def test_the_arrays_of_a_keras_script(npz, x, y):
    arrays = {f"{x}_{part}": X for part in ("test", "train", "val")} | {f"{y}_{p}": Y for p in ("train", "val", "test")}
    table = read(npz(compress=True, **arrays, history=np.ones(3)))
    assert [PARTS[code] for code in table.given_split[::4]] == ["train", "val", "test"]
    assert table.sample_names[4] == "val row 1"
    assert "history" in table.notes[0]
    assert table.label_names == ("label_1", "label_2")


def test_train_and_test_without_val(npz):
    table = read(npz(X_train=X, y_train=Y, X_test=X, y_test=Y))
    assert set(table.given_split) == {PARTS.index("train"), PARTS.index("test")}


def test_train_alone_is_no_split(npz):
    table = read(npz(X_train=X, y_train=Y))
    assert table.given_split is None
    assert "only a train part" in table.notes[-1]


@pytest.mark.parametrize("dtype", [np.bool_, np.int64, np.float32, np.uint8])
def test_labels_of_every_type(npz, dtype):
    assert read(npz(X=X, y=Y.astype(dtype))).labels_NL.tolist() == Y.tolist()


def test_unknown_labels(npz):
    table = read(npz(X=X, y=np.array([[0, 1], [np.nan, 1], [1, -1], [0, 0]])))
    assert table.labels_NL.tolist() == [[0, 1], [-1, 1], [1, -1], [0, 0]]


def test_labels_of_minus_and_plus_one(npz, faults):
    path = npz(X=X, y=Y * 2 - 1)
    assert "--minus-one-is" in faults(read, path)[-1]
    assert read(path, minus_one="no").labels_NL.tolist() == Y.tolist()


def test_wider_features_are_rounded_and_said(npz):
    assert "rounded from float64" in "".join(read(npz(X=X.astype(np.float64) / 3, y=Y)).notes)
    assert "rounded from int64" in "".join(read(npz(X=np.full((4, 2), 2**24 + 1), y=Y)).notes)
    assert "rounded" not in "".join(read(npz(X=X.astype(np.float64), y=Y)).notes)


# -------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize(
    "x",
    [
        PIXELS,
        PIXELS.astype(np.int64),
        PIXELS.astype(np.float32),
        PIXELS / 255,
        (PIXELS / 255).astype(np.float32),
        PIXELS.astype(np.float32) * np.float32(1 / 255),
    ],
    ids=["uint8", "int64", "float of 255", "float64", "float32", "float32 product"],
)
def test_images_come_back_exactly(npz, x):
    table = read(npz(X=x, y=Y))
    np.testing.assert_array_equal(table.x, PIXELS)
    assert table.x.dtype == np.uint8
    assert table.kind == "images"
    assert ("exactly" in table.notes[0]) == (x.dtype != np.uint8)


@pytest.mark.parametrize("x", [PIXELS[..., 0], PIXELS[..., :1], PIXELS[..., 0] / 255])
def test_grey_images(npz, x):
    table = read(npz(X=x, y=Y))
    np.testing.assert_array_equal(table.x, np.repeat(PIXELS[..., :1], 3, axis=3))
    assert any("Grey" in note for note in table.notes)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.random.default_rng(0).random((4, 5, 6, 3)), "not p / 255"),
        (PIXELS / 127.5 - 1, "from -1"),
        (PIXELS.astype(np.int64) + 200, "not whole numbers"),
        (np.where(PIXELS < 10, np.nan, PIXELS), "with nan"),
        (np.moveaxis(PIXELS, 3, 1), "channels-first"),
        (np.zeros((4, 5, 6, 4), np.uint8), "(4, 5, 6, 4)"),
        (np.zeros((4, 5, 6, 3, 1), np.uint8), "must be (N, D) features"),
        (np.zeros((4, 0, 6, 3), np.uint8), "empty"),
    ],
)
def test_arrays_that_are_no_images(npz, faults, x, message):
    assert message in faults(read, npz(X=x, y=Y))[0]


# -------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X}, "X has no y"),
        ({"y_train": Y}, "y_train has no X_train"),
        ({"X_val": X, "y_val": Y}, "no X_train"),
        ({"X": X, "y": Y, "X_train": X, "y_train": Y}, "both X, y and the parts"),
        ({"X": X, "x": X, "y": Y}, "same array twice"),
        ({"X_trian": X, "labels": Y}, "Did you mean 'X_train'?"),
        ({"X": X, "y": Y[:, 0]}, "to_categorical"),
        ({"X": X, "y": Y[..., None]}, "one 0/1 column for each label"),
        ({"X": X, "y": Y[:, :0]}, "one 0/1 column for each label"),
        ({"X": X, "y": Y + 1}, "4 cells are not 0, 1, -1 or nan; the first is y[0, 1] = 2"),
        ({"X": X, "y": Y.astype(str)}, "y must hold 0 and 1"),
        ({"X": X, "y": np.full((4, 2), np.nan)}, "every label cell is unknown"),
        ({"X": X, "y": Y[:3]}, "X has 4 rows and y has 3"),
        ({"X": X[:0], "y": Y[:0]}, "X is empty"),
        ({"X": X[:, 0], "y": Y}, "must be (N, D) features"),
        ({"X": X.astype(complex), "y": Y}, "must hold numbers; got dtype complex"),
        ({"X": X.astype(str), "y": Y}, "must hold numbers; got dtype <U"),
        ({"X": X.astype(object), "y": Y}, "never loaded"),
        ({"X": X, "y": Y, "label_names": np.array(["a", None])}, "never loaded"),
        ({"X": X, "y": Y, "label_names": ["a"]}, "1 label names for 2 columns"),
        ({"X": X, "y": Y, "label_names": ["a", "a"]}, "'a' occurs 2 times"),
        ({"X": X, "y": Y, "label_names": ["a", " "]}, "label 2 has an empty name"),
        ({"X": X, "y": Y, "label_names": [1, 2]}, "must be a row of text"),
        ({"X": X * np.float32(np.nan), "y": Y}, "8 cells are nan, infinite or beyond float32; the first is X[0, 0]"),
        ({"X": X.astype(float) * 1e38, "y": Y}, "X[2, 0] = 4e+38"),
        ({"X": X.astype([("a", "f4")]), "y": Y}, "must hold numbers"),
    ],
)
def test_faults(npz, faults, arrays, message):
    assert message in "\n".join(faults(read, npz(**arrays)))


def test_every_fault_is_told_at_once(npz, faults):
    infinite = np.full_like(X, np.inf)
    arrays = {"X_train": X, "y_train": Y + 5, "X_val": X[:, :1], "y_val": Y[:3], "X_test": infinite, "y_test": Y[:, 0]}
    found = "\n".join(faults(read, npz(**arrays, label_names=["a"])))
    for piece in (
        "X_val has 4 rows and y_val has 3",
        "X_val has samples of shape (1,)",
        "X_test: 8 cells are nan",
        "y_train: 8 cells",
        "y_test must be (N, L)",
        "1 label names for 2",
    ):
        assert piece in found


# -------------------------------------------------------------------------------------------- attacks


def member(shape: str, data: bytes = b"", dtype: str = "<f8") -> bytes:
    buffer = io.BytesIO()
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    buffer.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data)
    return buffer.getvalue()


def archive(path, compression=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


LYING = ["(1000000000, 1000000000)", "(3, 2)", "(-2, -4)", "(-1,)", "'x'", "(1, True)", "(2, 8", "(1000000000000, 0)"]


@pytest.mark.parametrize("shape", LYING)
def test_shapes_that_lie(tmp_path, faults, shape):
    path = archive(tmp_path / "a.npz", X=member(shape, X.astype("<f8").tobytes()), y=member("(4, 2)", Y.tobytes()))
    assert "a.npz: X " in faults(read, path)[0]


def test_sizes_that_lie(tmp_path, faults):
    path = archive(tmp_path / "a.npz", X=member("(4, 2)", X.astype("<f8").tobytes()), y=member("(4, 2)", Y.tobytes()))
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02") + 24
    raw[at : at + 4] = (1 << 31).to_bytes(4, "little")
    path.write_bytes(raw)
    assert "more than its data can hold" in faults(read, path)[0]


def test_an_archive_larger_than_memory(npz, faults, monkeypatch):
    monkeypatch.setattr("tagfit.io.free_memory.free_memory", lambda: 100)
    assert "100 are free" in faults(read, npz(X=X, y=Y))[0]


def test_damaged_archives(npz, faults):
    path = npz(compress=True, X=np.random.default_rng(0).random((99, 9)), y=np.eye(99, 2))
    raw = path.read_bytes()
    for cut in range(10, len(raw), 97):
        path.write_bytes(raw[:cut])
        assert "a.npz" in faults(read, path)[0]
    for at in range(60, len(raw) - 300, 97):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 255]) + raw[at + 1 :])
        assert "a.npz" in faults(read, path)[0]


def test_an_archive_of_other_things(tmp_path, faults):
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as file:
        file.writestr("xl/workbook.xml", "")
    assert "workbook" in faults(read, tmp_path / "book.xlsx")[0]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(tmp_path, faults):
    path = archive(tmp_path / "a.npz", X=member("(4, 2)"))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("X.npy", member("(4, 2)"))
    assert "more than once" in faults(read, path)[0]
