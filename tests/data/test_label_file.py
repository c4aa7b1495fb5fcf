"""Labels written in our plainest form: they read back to the same lock, or are not written."""

import csv
import json

import numpy as np
import pytest

import tagfit
from making import camera_folder, feature_table, image_folder, save_tagged, scenes, xmp_packet
from tagfit.data.label_file import write_labels
from tagfit.errors import OutputError


@pytest.fixture
def photos(tmp_path):
    return image_folder(tmp_path / "photos")


def rewritten(data, path, **options):
    """The data read from what was written of it."""
    written = write_labels(path, data.dataset)
    return tagfit.load(path, images=written.images, **options)


def test_a_list_of_labels_where_all_are_known(photos, tmp_path):
    rows = [f"images/{n}.png,{('red', 'green', 'red;green')[n % 3]}" for n in range(20)]
    (photos / "labels.csv").write_text("\n".join(["image,labels", *rows]))
    data = tagfit.load(photos)
    assert rewritten(data, tmp_path / "labels.csv").lock == data.lock
    rows = list(csv.reader((tmp_path / "labels.csv").read_text().splitlines()))
    assert rows[0] == ["image", "labels"]
    assert rows[1][0] == "photos/images/0.png"


def test_a_column_a_label_where_many_have_none(photos, tmp_path):
    """As a list they would be blank, which may mean that nobody has labelled them."""
    data = tagfit.load(photos)
    assert rewritten(data, tmp_path / "labels.csv").lock == data.lock
    assert (tmp_path / "labels.csv").read_text().startswith("image,green,red\n")


def test_a_column_a_label_where_some_are_unknown(photos, tmp_path):
    (photos / "labels.csv").write_text(
        "image,zebra,ant,split\n"
        + "".join(f"images/{n}.png,{n % 2},{('', 1, 0)[n % 3]},{('train', 'val')[n % 2]}\n" for n in range(20))
    )
    data = tagfit.load(photos)
    assert rewritten(data, tmp_path / "labels.csv").lock == data.lock
    assert (tmp_path / "labels.csv").read_text().startswith("image,zebra,ant,split\nphotos/images/0.png,0,,train\n")


def test_json_lines_hold_a_label_that_is_unknown_everywhere(photos, tmp_path):
    lines = [{"image": f"images/{n}.png", "labels": {"a": n % 2, "b": None, "c": n % 3 % 2}} for n in range(20)]
    (photos / "labels.csv").unlink()
    (photos / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)))
    data = tagfit.load(photos)
    with pytest.raises(OutputError, match="does not read back to the same: its label names differ"):
        write_labels(tmp_path / "out.csv", data.dataset)
    assert not (tmp_path / "out.csv").exists()
    assert rewritten(data, tmp_path / "out.jsonl").lock == data.lock


def test_further_columns_keep_their_groups(tmp_path):
    images = [(f"{n}.png", image) for n, image in enumerate(scenes(12))]
    folder = camera_folder(tmp_path / "shots", images, ["a", "b", "c"] * 4)
    data = tagfit.load(folder, groups="camera")
    assert rewritten(data, tmp_path / "labels.csv", groups="camera").lock == data.lock


def test_a_further_column_that_would_be_read_as_a_label_is_left_out_and_said(photos, tmp_path):
    rows = [f"images/{n}.png,{('b', 'a', 'a;b')[n % 3]},{n % 2}" for n in range(20)]
    (photos / "labels.csv").write_text("\n".join(["image,labels,flash", *rows]))
    data = tagfit.load(photos)
    data.dataset.labels_NL[0] = -1
    written = write_labels(tmp_path / "labels.csv", data.dataset)
    assert written.left_out == ("flash",)


def test_keywords_become_a_file(tmp_path):
    for number in range(12):
        words = [word for word, there in (("Sea, blue", number % 2), ("Beach", number % 3)) if there] or ["None"]
        save_tagged(tmp_path / "album" / f"{number}.jpg", xmp=xmp_packet(subject=words))
    data = tagfit.load(tmp_path / "album", groups="none")
    assert rewritten(data, tmp_path / "labels.csv", groups="none").lock == data.lock


def test_feature_rows_become_arrays(tmp_path):
    table = feature_table()
    y = table.labels_NL.astype(float)
    y[3, 1] = np.nan
    data = tagfit.load(table.x, y, label_names=["x", "y", "z"])
    assert rewritten(data, tmp_path / "rows.npz").lock == data.lock
    parts = {"X_train": table.x[:80], "y_train": y[:80], "X_val": table.x[80:], "y_val": y[80:]}
    own = tagfit.load(parts)
    assert rewritten(own, tmp_path / "parts.npz").lock == own.lock


def test_nothing_is_overwritten_and_other_suffixes_are_refused(photos, tmp_path):
    data = tagfit.load(photos)
    with pytest.raises(OutputError, match="images are written as"):
        write_labels(tmp_path / "labels.xlsx", data.dataset)
    (tmp_path / "labels.csv").write_text("mine")
    with pytest.raises(OutputError):
        write_labels(tmp_path / "labels.csv", data.dataset)
    assert (tmp_path / "labels.csv").read_text() == "mine"
