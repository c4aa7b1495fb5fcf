import sys
from pathlib import Path

import pytest

from tagfit.errors import OutputError
from tagfit.io import cache


def test_a_variable_names_it(monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", "/own")
    assert cache.cache_folder() == Path("/own")


@pytest.mark.parametrize(("variable", "folder"), [("/xdg", "/xdg/tagfit"), ("relative", "/home/me/.cache/tagfit")])
@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="platformdirs knows those of other systems")
def test_otherwise_it_is_where_the_system_keeps_caches(monkeypatch, variable, folder):
    monkeypatch.delenv("TAGFIT_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", variable)
    assert cache.cache_folder() == Path(folder)


def test_without_a_home_there_is_none(monkeypatch):
    monkeypatch.delenv("TAGFIT_CACHE", raising=False)
    monkeypatch.setattr(cache, "user_cache_path", lambda *_, **__: Path("~/.cache/tagfit"))
    with pytest.raises(RuntimeError, match="set TAGFIT_CACHE"):
        cache.made_folder()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", str(tmp_path))
    return tmp_path


def test_only_what_is_ours_is_counted_and_deleted(folder):
    (folder / "tagfit-a.pixels").write_bytes(bytes(100))
    (folder / "tagfit-index-1.sqlite").write_bytes(bytes(20))
    (folder / ".tagfit-b.pixels.123.tmp").write_bytes(bytes(3))  # half-written by a process that was killed
    (folder / "holiday.pixels").write_bytes(b"mine")
    (folder / "tagfit-notes").mkdir()
    (folder / "tagfit-notes" / "mine").write_text("mine")
    assert cache.usage().to_dict() == {"folder": str(folder), "files": 3, "bytes": 123}
    assert cache.clear().bytes == 123
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
