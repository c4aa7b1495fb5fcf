import os
import signal
from pathlib import Path

import pytest

from tagfit.errors import DataError
from tagfit.images.decode import BYTES_A_PIXEL, MAX_PIXELS
from tagfit.images.workers import decoded
from tagfit.inference.paths import demand_images, images_at, places
from tagfit.records.form import ImageForm


@pytest.fixture
def album(tmp_path, monkeypatch):
    """Images at two depths, hidden ones, and two folders that link to each other."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "sub/b.jpg", "sub/deep/c.jpg", ".hidden/d.jpg", "sub/.e.jpg", "notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")
    Path("sub/up").symlink_to(tmp_path)
    Path("sub/deep/again").symlink_to(tmp_path / "sub")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["a.jpg"]),
        ("**/*.jpg", ["a.jpg", "sub/b.jpg", "sub/deep/c.jpg"]),
        ("sub/**/*.jpg", ["sub/b.jpg", "sub/deep/c.jpg"]),
        (".hidden/*", [".hidden/d.jpg"]),
        ("sub/[bc].jp?", ["sub/b.jpg"]),
    ],
)
def test_patterns_follow_no_link_and_find_nothing_twice(album, pattern, expected):
    assert [str(path) for path in places([pattern])] == expected
    assert [str(path) for path in places([f"{album}/{pattern}"])] == [f"{album}/{name}" for name in expected]


def test_a_pattern_of_everything(album):
    assert "sub/b.jpg" in map(str, places(["**"]))
    assert list(images_at(places(["sub"]), [])) == ["sub/.e.jpg", "sub/b.jpg", "sub/deep/c.jpg"]


def test_folders_that_cannot_be_listed_are_named(album, monkeypatch):
    listed = os.scandir

    def refused(path):
        if str(path).endswith(("deep", ".hidden")):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(DataError) as caught:
        demand_images([album])
    assert [fault.split(": ")[1] for fault in caught.value.faults] == ["this folder cannot be listed"] * 2


def test_what_is_no_regular_file_or_too_large_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "folder.jpg").mkdir()
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(BYTES_A_PIXEL * MAX_PIXELS + 1)
    files = sorted(tmp_path.iterdir())
    signal.alarm(60)  # a pipe would be waited for without an end
    reasons = {number: outcome.reason for number, outcome in decoded(files, ImageForm(8), MAX_PIXELS)}
    signal.alarm(0)
    for number, file in enumerate(files):
        expected = "at most" if file.name == "sparse.jpg" else "not a file"
        assert expected in reasons[number], reasons
