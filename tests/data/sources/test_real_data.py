"""The real data of the development checkout."""

from __future__ import annotations

import numpy as np

from tagfit.data.sources.read import read
from tagfit.records.data import NO, PARTS, UNKNOWN


def test_ucm(shared):
    table = read(shared / "ucm")
    assert (len(table), len(table.label_names)) == (1680, 17)
    assert table.name == "ucm"
    assert table.absent_label == NO
    counts = np.bincount(table.given_split, minlength=len(PARTS))
    assert dict(zip(PARTS, counts, strict=True)) == {"train": 1285, "val": 395, "calibrate": 0, "test": 0}
    assert round(table.labels_NL.sum() / len(table), 1) == 3.3
    assert table.notes == ()
    assert all(file.is_file() for file in table.files[:5])


def test_miml(shared):
    table = read(shared / "miml")
    assert table.label_names == ("desert", "mountains", "sea", "sunset", "trees")
    assert len(table) == 1600
    assert table.absent_label == UNKNOWN
    assert set(np.unique(table.labels_NL)) == {0, 1}
    assert round(table.labels_NL.sum() / len(table), 1) == 1.2


def test_scene(shared):
    table = read(shared / "scene")
    assert table.x.shape == (1211, 294)
    assert table.label_names == ("Beach", "Sunset", "FallFoliage", "Field", "Mountain", "Urban")
    assert table.x[0, 0] == np.float32(0.646467)
    assert table.labels_NL.sum() == 1286
    assert table.given_split is None
