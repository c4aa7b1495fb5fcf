import hashlib
import warnings
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from making import feature_table, image_folder
from tagfit.data.dataset import align_labels, build, rows_of_part
from tagfit.data.sources.read import read
from tagfit.errors import DataError
from tagfit.records.data import NO, UNKNOWN


def test_image_files_become_pixels_and_hashes_of_their_bytes(tmp_path):
    folder = image_folder(tmp_path)
    seen = []
    dataset = build(read(folder), size=16, on_read=lambda done, total: seen.append((done, total)))
    assert (dataset.x.shape, dataset.x.dtype) == ((40, 16, 16, 3), np.uint8)
    assert dataset.preprocessing.shape == (16, 16, 3)
    digest = hashlib.sha256((folder / dataset.sample_names[5]).read_bytes()).digest()
    assert dataset.hashes[5].tobytes() == digest
    assert seen[-1] == (40, 40)


def test_unreadable_images_are_set_aside_with_their_reason(tmp_path, caplog):
    folder = image_folder(tmp_path)
    (folder / "images" / "3.png").write_bytes(b"broken")
    (folder / "images" / "7.png").write_bytes(b"")
    table = read(folder)
    dataset = build(table, size=16)
    assert len(dataset) == 38
    assert [name for name, _ in dataset.set_aside] == ["images/3.png", "images/7.png"]
    assert "empty" in dataset.set_aside[1][1]
    assert f"{dataset.name}: 2 images are set aside, the first of them images/3.png: not an image" in caplog.text
    kept = [row for row in range(40) if row not in (3, 7)]
    assert (dataset.labels_NL == table.labels_NL[kept]).all()


def test_strict_refuses_them_all_at_once(tmp_path):
    folder = image_folder(tmp_path)
    (folder / "images" / "3.png").write_bytes(b"broken")
    (folder / "images" / "7.png").write_bytes(b"")
    with pytest.raises(DataError, match="set aside") as caught:
        build(read(folder), size=16, strict=True)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["images/3.png", "images/7.png"]


def timed_folder(folder, header="image,labels"):
    image_folder(folder)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 12:30:09"
    Image.new("RGB", (9, 9)).save(folder / "images" / "1.png", format="JPEG", exif=exif)
    lines = (folder / "labels.csv").read_text().splitlines()
    more = "," + header.split(",")[2] if header.count(",") > 1 else ""
    rows = [line + (",morning" if more else "") for line in lines[1:]]
    (folder / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def test_when_images_were_taken_is_metadata(tmp_path):
    folder = timed_folder(tmp_path / "timed")
    (folder / "images" / "0.png").write_bytes(b"broken")
    times = build(read(folder), size=16).metadata["capture time"]
    assert times == ("2024-05-01T12:30:09", *[""] * 38)
    assert "capture time" not in build(read(image_folder(tmp_path / "untimed")), size=16).metadata


def test_a_persons_own_times_stay(tmp_path):
    folder = timed_folder(tmp_path / "own", "image,labels,capture time")
    assert set(build(read(folder), size=16).metadata["capture time"]) == {"morning"}


def test_a_memory_map_stays_one(tmp_path):
    table = feature_table()
    table.x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float32, "r", shape=table.x.shape)
    assert build(replace(table, x=mapped)).x is mapped


def test_a_limit_of_pixels(tmp_path):
    folder = image_folder(tmp_path, size=20)
    with pytest.raises(DataError, match="too large: 20x20"):
        build(read(folder), max_pixels=399)
    assert len(build(read(folder), max_pixels=400)) == 40
    with pytest.raises(DataError, match="means nothing for arrays"):
        build(feature_table(), max_pixels=400)
    with pytest.raises(DataError, match="whole number above 0"):
        build(read(folder), max_pixels=0)


def test_nobody_elses_warning_filters_are_touched(tmp_path):
    before = list(warnings.filters)
    for number in range(3):
        build(read(image_folder(tmp_path / str(number))), size=8)
    assert warnings.filters == before


def test_nothing_readable_is_an_error(tmp_path):
    folder = image_folder(tmp_path, samples=3)
    for file in (folder / "images").iterdir():
        file.write_bytes(b"broken")
    with pytest.raises(DataError) as caught:
        build(read(folder))
    assert len(caught.value.faults) == 3


def test_image_bytes_in_memory_read_like_files(tmp_path):
    table = read(image_folder(tmp_path))
    in_memory = replace(table, files=None, encoded=tuple(file.read_bytes() for file in table.files))
    assert (build(in_memory, size=16).x == build(table, size=16).x).all()
    assert (build(in_memory, size=16).hashes == build(table, size=16).hashes).all()


def test_arrays_stay_as_they_are():
    table = feature_table()
    dataset = build(table)
    assert dataset.x is table.x
    assert dataset.preprocessing.scale == 1.0
    images = build(replace(table, x=np.zeros((120, 8, 8, 3), dtype=np.uint8)))
    assert (images.kind, images.preprocessing.scale) == ("images", 1 / 255)


@pytest.mark.parametrize("size", [0, -3, 5000, 2.5])
def test_sizes_that_make_no_sense(size):
    with pytest.raises(DataError, match="image size"):
        build(feature_table(), size=size)


def test_labels_that_are_all_unknown():
    with pytest.raises(DataError, match="every label cell is unknown"):
        build(feature_table(labels_NL=np.full((120, 3), UNKNOWN, dtype=np.int8)))


@pytest.mark.parametrize("absent", [NO, UNKNOWN])
def test_labels_are_aligned_by_name(absent):
    dataset = build(feature_table(absent_label=absent))
    aligned, surplus, missing = align_labels(dataset, ("label_2", "new", "label_0"))
    assert (aligned.labels_NL[:, 0] == dataset.labels_NL[:, 2]).all()
    assert (aligned.labels_NL[:, 1] == absent).all()
    assert (surplus, missing) == (("label_1",), ("new",))


def test_no_label_in_common():
    with pytest.raises(DataError, match="no label in common"):
        align_labels(build(feature_table()), ("other",))


def test_the_rows_of_one_part():
    given_split = np.array([0] * 100 + [3] * 20, dtype=np.int8)
    part = rows_of_part(build(feature_table(given_split=given_split)), "test")
    assert len(part) == len(part.x) == 20
    assert part.sample_names[0] == "row 101"
    with pytest.raises(DataError, match="no sample in its val part"):
        rows_of_part(build(feature_table(given_split=given_split)), "val")
    with pytest.raises(DataError, match="brings no split"):
        rows_of_part(build(feature_table()), "test")
