import os
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


@pytest.mark.skipif(os.name != "posix", reason="modes of files are Unix's")
def test_what_others_can_write_to_is_not_run(folder):
    before = os.umask(0)
    try:
        cache.keep("tagfit-a", "mine")
    finally:
        os.umask(before)
    assert cache.own_content(folder / "tagfit-a") == b"mine"
    for mode in (0o620, 0o602):
        (folder / "tagfit-a").chmod(mode)
        assert cache.own_content(folder / "tagfit-a") is None


def test_only_what_is_ours_is_counted_and_deleted(folder):
    key, long = "a" * 24, "b" * 32
    (folder / f"tagfit-{key}.pixels").write_bytes(bytes(100))
    (folder / "tagfit-index-1.sqlite").write_bytes(bytes(20))
    (folder / f".tagfit-{key}.pixels.123456789abc.tmp").write_bytes(bytes(3))  # half-written by a killed process
    for name in (
        f"tagfit-{key}.part",
        "tagfit-index-1.sqlite-wal",
        f"tagfit-features-{long}.sqlite",
        f"tagfit-copies-{long}.json",
        f"tagfit-onnx-{long}-{long}.onnx",
        "tagfit-postcards-cb6bde36.labels",
    ):
        (folder / name).write_bytes(b"")
    (folder / "tagfit-kernels" / "engine").mkdir(parents=True)
    (folder / "tagfit-kernels" / "engine" / "kernels.epoch.nbc").write_bytes(bytes(4))
    mine = ["holiday.pixels", "tagfit-thesis.docx", "tagfit-a.pixels", ".tagfit-plan.tmp", "tagfit-index-1.sqlite.bak"]
    for name in mine:
        (folder / name).write_bytes(b"mine")
    (folder / "tagfit-notes").mkdir()
    (folder / "tagfit-notes" / "mine").write_text("mine")
    assert cache.usage() == cache.Usage(folder=str(folder), files=10, bytes=127)
    assert cache.clear().bytes == 127
    assert cache.usage().bytes == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted([*mine, "tagfit-kernels", "tagfit-notes"])


def test_a_cache_that_is_not_there_is_empty(folder, monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", str(folder / "nowhere"))
    assert cache.clear().files == 0
    assert not (folder / "nowhere").exists()


def test_what_cannot_be_deleted_is_named(folder, monkeypatch):
    (folder / "tagfit-index-1.sqlite").write_bytes(b"")

    def refused(self, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OutputError, match=r"tagfit-index-1\.sqlite: cannot be deleted: Permission denied"):
        cache.clear()
