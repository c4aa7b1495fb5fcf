"""Any source that is read, written as our plain CSV, reads back as the same labels and split."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tagfit.cli.main import main
from tagfit.data.sources.label_csv import label_csv
from tagfit.data.sources.read import read
from tagfit.errors import DataError

CONVENTIONS = Path(__file__).with_name("conventions")
KINDS = ("celeba", "cvat_images_xml", "open_images_named", "voc_imagesets", "folder_per_tag_copies", "coco_string_ids")


def told(table):
    rows = [dict(zip(table.label_names, row, strict=True)) for row in table.labels_NL.tolist()]
    parts = [None] * len(table) if table.given_split is None else table.given_split.tolist()
    return dict(zip(table.files, zip(rows, parts, strict=True), strict=True))


@pytest.mark.parametrize("name", KINDS)
def test_what_is_written_reads_back(name, tmp_path):
    right = json.loads((CONVENTIONS / name / "right.json").read_text(encoding="utf-8"))
    shutil.copytree(CONVENTIONS / name / "data", tmp_path / "data", symlinks=True)
    table = read(tmp_path / right["point"], **right["options"])
    (tmp_path / "labels.csv").write_text(label_csv(table, tmp_path / "data"), encoding="utf-8")
    again = read(tmp_path / "labels.csv", images=tmp_path / "data")
    assert told(again) == told(table)


@pytest.mark.parametrize("names", [("image", "split"), ("difficult", "a;b"), ("light blue", "blue", "light")])
def test_names_that_mean_something_in_a_table(names, folder):
    rows = [{"image": f"{at}.jpg", "labels": [name, *names[:1]]} for at, name in enumerate(names)]
    rows += [{"image": "x.jpg", "labels": []}]
    where = folder(*(row["image"] for row in rows), l_jsonl="".join(json.dumps(row) + "\n" for row in rows))
    table = read(where)
    try:
        text = label_csv(table, where)
    except DataError as error:
        assert "reads back" in str(error)  # noqa: PT017 - either is right
        return
    (where / "l.jsonl").unlink()
    (where / "l.csv").write_text(text)
    assert told(read(where)) == told(table)


def test_the_command(folder, tmp_path):
    where = folder("a.jpg", "b.jpg", l_json='{"a.jpg": ["sea"], "b.jpg": []}')
    shown = CliRunner().invoke(main, ["labels", str(where)])
    assert shown.stdout == "image,labels\na.jpg,sea\nb.jpg,none\n"
    output = tmp_path / "out.csv"
    shown = CliRunner().invoke(main, ["labels", str(where), "-o", str(output)])
    assert f"2 images written to {output}" in shown.stderr
    assert np.array_equal(read(output, images=where).labels_NL, [[1], [0]])
    again = CliRunner().invoke(main, ["labels", str(where), "-o", str(output)])
    assert (again.exit_code, output.read_text()) == (2, "image,labels\na.jpg,sea\nb.jpg,none\n")
    assert CliRunner().invoke(main, ["labels", "postcards:8"]).exit_code == 2
