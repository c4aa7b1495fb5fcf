"""Labels as a file of their own, as a person asks for it."""

import json

import pytest
from click.testing import CliRunner

import tagfit as library
from making import image_folder
from tagfit.cli.main import main


@pytest.fixture
def tagfit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def photos(tmp_path):
    return image_folder(tmp_path / "photos")


def test_labels_writes_what_reads_back_to_the_same_lock(tagfit, photos):
    data = library.load(photos)
    written = tagfit("labels", photos, "-o", "labels.csv")
    assert written.exit_code == 0, written.stderr
    assert written.stdout == "40 samples and 2 labels written to labels.csv\n"
    assert library.load("labels.csv").lock == data.lock
    plain = tagfit("labels", photos, "-o", "photos/labels-2.csv", "--json")
    assert json.loads(plain.stdout) == {
        "file": "photos/labels-2.csv",
        "samples": 40,
        "labels": 2,
        "images": None,
        "left_out": [],
    }
    assert tagfit("labels", photos / "labels.csv", "-o", "labels.csv").exit_code == 2
