"""Shortcuts: each kind is found where it is planted, and none where there is none."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import ExifTags, Image

from making import PROVE, feature_table, image_table, locked, looked_at, tell_power
from tagfit.diagnosis.checks.shortcuts import shortcuts
from tagfit.diagnosis.evidence import CannotCheck


def encoded(width=8, height=8, camera="", kind="JPEG", quality=75, noise=0):
    file, exif = io.BytesIO(), Image.Exif()
    if camera:
        exif[ExifTags.Base.Make] = camera
    rng = np.random.default_rng(noise)
    pixels = rng.integers(0, 256, size=(height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, kind, quality=quality, exif=exif)
    return file.getvalue()


def images(file_of, samples=200, seed=0, agree=0.9):
    """Data whose files are made by what `file_of` is told: yes or no, as the first label is in most cases."""
    data = locked(image_table(samples=samples, side=2, seed=seed))
    rng = np.random.default_rng(seed + 1000)
    told = (data.dataset.labels_NL[:, 0] == 1) ^ (rng.random(samples) > agree)
    made = {yes: [file_of(yes, number) for number in range(4)] for yes in (True, False)}
    files = tuple(made[bool(yes)][rng.integers(4)] for yes in told)
    return with_dataset(data, files=files)


def with_dataset(data, **changes):
    return replace(data, dataset=replace(data.dataset, **changes))


PLANTED = {
    "width and height": lambda yes, n: encoded(width=8 + 4 * yes, noise=n),
    "number of bytes": lambda yes, n: encoded(quality=90 if yes else 30, noise=n),
    "format": lambda yes, n: encoded(kind="PNG" if yes else "JPEG", noise=n),
    "camera": lambda yes, n: encoded(camera="Akashi" if yes else "Bolero", noise=n),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_what_a_file_says_beside_its_pixels_is_found_by_itself(kind):
    found = shortcuts(looked_at(images(PLANTED[kind])))
    (finding,) = [finding for finding in found if kind in finding.seen]
    assert finding.names == ("red",)
    assert finding.strength in finding.interval


def test_files_on_disk_are_read_and_left_as_they_are(tmp_path):
    data = images(PLANTED["camera"])
    for number, content in enumerate(data.dataset.files):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    data = with_dataset(data, files=tuple(tmp_path / f"{number}.jpg" for number in range(200)))
    assert [f.names for f in shortcuts(looked_at(data)) if "camera" in f.seen] == [("red",)]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("kind", "name"), [("folder", "{label}/{row}.jpg"), ("letters", "{label}{row}.jpg"), ("numbers", "x{sorted}.jpg")]
)
def test_what_a_name_says_is_found(kind, name):
    data = images(lambda yes, n: encoded(noise=n))
    yes = data.dataset.labels_NL[:, 0] == 1
    place = np.argsort(np.argsort(yes, kind="stable"))
    names = tuple(name.format(label="ab"[int(label)], row=row, sorted=place[row]) for row, label in enumerate(yes))
    found = shortcuts(looked_at(with_dataset(data, sample_names=names)))
    assert [finding.names for finding in found if kind in finding.seen] == [("red",)]


def in_order(seed, agree, samples=300):
    """Rows of which the first half has the first label more often than the second."""
    table = feature_table(samples=samples, seed=seed)
    rng = np.random.default_rng(seed + 1000)
    share = np.where(np.arange(samples) * 2 < samples, agree, 1 - agree)
    labels_NL = table.labels_NL.copy()
    labels_NL[:, 0] = rng.random(samples) < share
    return locked(replace(table, labels_NL=labels_NL))


@pytest.mark.parametrize(("agree", "least"), [(0.7, 0.5), (0.75, 0.9), (0.9, 1.0)])
def test_power(agree, least):
    draws = 100 if PROVE else 5
    hits = [
        any("order" in f.seen and f.names == ("label_0",) for f in shortcuts(looked_at(in_order(seed, agree))))
        for seed in range(draws)
    ]
    tell_power("order tells a label", "shortcuts", agree, hits)
    assert np.mean(hits) >= least


def test_clean_data_raise_at_most_one_alarm_in_twenty():
    draws = 200 if PROVE else 20
    files = [encoded((8, 9, 10, 12)[n], noise=n, quality=30 + 10 * n) for n in range(4)]
    alarms = 0
    for seed in range(draws):
        data = images(lambda yes, n: files[n], samples=120, seed=seed, agree=0.5)
        alarms += bool(shortcuts(looked_at(data)))
    tell_power("clean", "shortcuts", 0.5, [False] * (draws - alarms) + [True] * alarms)
    assert alarms <= draws / 20


def test_copies_do_not_tell_each_other():
    """Pairs of copies have a size and a label together, by chance alone."""
    table = image_table(samples=100, side=2)
    twice = np.repeat(np.arange(100), 2)
    data = locked(replace(table, x=table.x[twice], labels_NL=table.labels_NL[twice], sample_names=("x",) * 200))
    rng = np.random.default_rng(0)
    files = np.array([encoded(width=int(width)) for width in rng.integers(4, 40, 100)], dtype=object)[twice]
    assert not shortcuts(looked_at(with_dataset(data, files=tuple(files))))


def test_too_few_samples_cannot_be_checked():
    with pytest.raises(CannotCheck, match="50 samples"):
        shortcuts(looked_at(locked(feature_table(samples=40))))


def test_unknown_cells_are_left_out():
    data = in_order(0, 0.9)
    labels_NL = data.dataset.labels_NL.copy()
    labels_NL[::3, 0] = -1
    found = shortcuts(looked_at(with_dataset(data, labels_NL=labels_NL)))
    assert [finding.names for finding in found] == [("label_0",)]
