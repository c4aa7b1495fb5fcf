"""Tables without images: which columns are labels, and numbers exactly as Python reads them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tagfit.data.sources import numbers
from tagfit.data.sources.memory import from_frame
from tagfit.data.sources.read import read
from tagfit.records.data import NO, PARTS, UNKNOWN, YES

ROWS = "".join(f"{20 + n},{n * 1.5},{n % 2},{n // 2 % 2},{n // 3 % 2}\n" for n in range(12))


def test_labels_are_named_or_asked_for(folder, faults):
    where = folder(f_csv=f"age,bmi,sex,sick,tired\n{ROWS}")
    found = faults(read, where)
    assert "not clear which columns are labels; 'sex', 'sick', 'tired' hold 0 and 1" in found[0]
    assert "--label-column" in found[1]
    table = read(where, label_column=["sick", "tired"])
    assert table.label_names == ("sick", "tired")
    assert table.x.shape == (12, 3)
    assert table.x.dtype == np.float32
    assert table.labels_NL[:4].tolist() == [[0, 0], [0, 0], [1, 0], [1, 1]]
    assert table.reading[1] == "3 columns are features: age, bmi, sex."
    assert "Did you mean 'sick'?" in faults(read, where, label_column="sik")[0]
    assert "names no images" in faults(read, where, images=where)[0]


@pytest.mark.parametrize("head", ["p,q,r,label_1,label_2", "p,q,r,y1,y2"])
def test_labels_that_are_called_so(folder, head):
    assert read(folder(f_csv=f"{head}\n{ROWS}")).x.shape == (12, 3)


def test_labels_beside_a_numbered_series(folder):
    rows = "".join(f"{n},{n + 0.5},{n * 2},{n % 2},{n // 2 % 2}\n" for n in range(12))
    assert read(folder(f_csv=f"id,f0,f1,wet,cold\n{rows}")).label_names == ("wet", "cold")


def test_values_splits_and_parts(folder, faults):
    where = folder(f_csv="f0;f1;y1;y2;split\n1,5;2;1;;train\n2;-3e2;0;?;val\n\n.5;7.;true;1;test\n")
    table = read(where)
    assert table.x.tolist() == [[1.5, 2], [2, -300], [0.5, 7]]
    assert table.labels_NL.tolist() == [[YES, UNKNOWN], [NO, UNKNOWN], [YES, YES]]
    assert [PARTS[code] for code in table.given_split] == ["train", "val", "test"]
    (where / "f.csv").unlink()
    for part in ("train", "test"):
        (where / f"{part}.csv").write_text("f0,y1,y2\n1,0,1\n2,1,0\n")
    assert read(where).given_split.tolist() == [3, 3, 0, 0]
    (where / "test.csv").write_text("f0,y1,y2\n1,0,1\n1,1,0\n,1\n")
    assert "test.csv:4: expected 3 cells" in faults(read, where)[0]
    (where / "test.csv").write_text("f0,y1,y2\n1,0,1\n" * 1 + "x,1,0\n" + "2,1,0\n" * 40_000)
    assert "test.csv:3: expected a number in column 'f0'; got 'x'" in "".join(
        faults(read, where / "test.csv", label_column=["y1", "y2"])
    )


@pytest.mark.parametrize("module", ["pandas", "polars"])
def test_frames_of_features(module):
    frame = pytest.importorskip(module).DataFrame(
        {"f0": [1.5, 2.5], "wet": [1, 0], "cold": [0, 1], "part": ["train", "val"]}
    )
    table = from_frame(frame, label_column=["wet", "cold"], split_column="part")
    assert table.x.tolist() == [[1.5], [2.5]]
    assert table.given_split.tolist() == [0, 1]


@pytest.mark.parametrize("small", [True, False])
def test_numbers_are_those_of_python(monkeypatch, small):
    monkeypatch.setattr(numbers, "_SMALL", 1 << 30 if small else 0)
    draw = random.Random(0)
    texts = [repr(draw.choice((1, -1)) * draw.random() * 10 ** draw.randint(-30, 30)) for _ in range(2000)]
    texts += [
        "0",
        "-0",
        "+1",
        "1.",
        ".5",
        "1e5",
        "1E-5",
        "12345678901234567890",
        "0.1234567890123456789",
        "1e400",
        " 7 ",
    ]
    out_NC = np.empty((len(texts) + 1, 1), np.float32)
    rows, odd, wrong = numbers.parse("\r\n".join(texts).encode(), ",", out_NC)
    assert (rows, wrong) == (len(texts), -1)
    plain = sorted(set(range(rows)) - set(odd[:, 0].tolist()))
    assert len(plain) > 300
    with np.errstate(over="ignore"):
        assert out_NC[plain, 0].tolist() == [float(np.float32(float(texts[row]))) for row in plain]


@pytest.mark.parametrize("text", ["x", "", "1-2", "1e", "--1", "1.2.3", "nan", '"1"', "1_0"])
def test_what_is_no_plain_number_is_told_by_its_place(text):
    out_NC = np.empty((4, 3), np.float32)
    rows, odd, wrong = numbers.parse(f"1,{text},3\n4,5,6\n".encode(), ",", out_NC)
    assert (rows, wrong, odd[:, :2].tolist()) == (2, -1, [[0, 1]])
    assert out_NC[1].tolist() == [4, 5, 6]
