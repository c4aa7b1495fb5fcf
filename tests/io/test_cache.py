from pathlib import Path

import pytest

from tagfit.errors import OutputError
from tagfit.io import cache


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"TAGFIT_CACHE": "/own"}, "/own"),
        ("darwin", {"TAGFIT_CACHE": "/own"}, "/own"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/tagfit"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/tagfit"),
        ("linux", {}, "/home/me/.cache/tagfit"),
        ("darwin", {}, "/home/me/Library/Caches/tagfit"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/tagfit/cache"),
        ("win32", {}, "/home/me/AppData/Local/tagfit/cache"),
    ],
)
def test_where_it_is(monkeypatch, platform, variables, folder):
    for name in ("TAGFIT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cache.sys, "platform", platform)
    assert cache.cache_folder() == Path(folder)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", str(tmp_path))
    return tmp_path


def test_only_what_is_ours_is_counted_and_deleted(folder):
    (folder / "tagfit-a.pixels").write_bytes(bytes(100))
    (folder / "tagfit-index-1.sqlite").write_bytes(bytes(20))
    (folder / "holiday.pixels").write_bytes(b"mine")
    (folder / "tagfit-notes").mkdir()
    (folder / "tagfit-notes" / "mine").write_text("mine")
    assert cache.usage().to_dict() == {"folder": str(folder), "files": 2, "bytes": 120}
    assert cache.clear().bytes == 120
    assert cache.usage().bytes == 0
    assert sorted(path.name for path in folder.iterdir()) == ["holiday.pixels", "tagfit-notes"]


def test_a_cache_that_is_not_there_is_empty(folder, monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", str(folder / "nowhere"))
    assert cache.clear().files == 0
    assert not (folder / "nowhere").exists()


def test_what_cannot_be_deleted_is_named(folder, monkeypatch):
    (folder / "tagfit-a.pixels").write_bytes(b"")

    def refused(self, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OutputError, match=r"tagfit-a\.pixels: cannot be deleted: Permission denied"):
        cache.clear()
