import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tagfit.bundle.files import find_bundle
from tagfit.errors import BundleError, OutputError
from tagfit.io.files import (
    filled_folder,
    is_temporary,
    whole_file,
    writable,
    write_atomically,
    write_folder,
    write_new,
)
from tagfit.runs.record import read_record


def test_writing_replaces_the_whole_file(tmp_path):
    file = tmp_path / "x.json"
    write_atomically(file, "first, and rather long")
    write_atomically(file, b"second")
    assert file.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [file]


def test_what_fails_half_way_leaves_the_file_as_it_was(tmp_path):
    file = tmp_path / "x.json"
    file.write_bytes(b"first")
    with suppress(ZeroDivisionError), whole_file(file) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]


def test_a_new_file_replaces_nothing(tmp_path):
    file = tmp_path / "x.csv"

    def write():
        with whole_file(file, new=True) as stream:
            stream.write(b"mine")
            file.write_bytes(b"another program's, which came meanwhile")

    with pytest.raises(FileExistsError):
        write()
    with pytest.raises(OutputError, match=r"x\.csv: cannot be written to: File exists"):
        write_new(file, b"mine")
    assert file.read_bytes() == b"another program's, which came meanwhile"
    assert list(tmp_path.iterdir()) == [file]


def test_what_the_system_refuses_is_an_output_error(tmp_path):
    with (
        pytest.raises(OutputError, match="nowhere: cannot be written to: No such file"),
        writable(tmp_path / "nowhere"),
    ):
        (tmp_path / "nowhere" / "x").write_text("")


def test_what_a_kill_leaves_is_recognised(tmp_path):
    with whole_file(tmp_path / "x") as stream:
        assert is_temporary(Path(stream.name))
        assert Path(stream.name).parent == tmp_path
    assert not is_temporary(tmp_path / "x")


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        write_folder(tmp_path / "bundle", {"a": b"", "b/c/d": b""})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for content in (b"first", b"second"):
        write_folder(tmp_path / "bundle", {"a": content})
    assert (tmp_path / "bundle" / "a").read_bytes() == b"second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


class Killed(BaseException):
    """As a kill, nothing that is meant for errors runs."""


@pytest.mark.parametrize("step", range(14))
def test_after_a_kill_at_any_step_the_old_folder_or_the_new_one_is_read(tmp_path, monkeypatch, step):
    """At every change of a name on the disk; an old folder that was half removed is there as well."""
    bundle, steps = tmp_path / "bundle", iter(range(step + 1))
    write_folder(bundle, {"manifest.json": b"old", "a": b"old"})
    (tmp_path / ".bundle.old.tmp").mkdir()
    (tmp_path / ".bundle.old.tmp" / "a").write_bytes(b"older")

    def killed_later(change):
        def changed(*given, **options):
            if next(steps, None) is None:
                raise Killed
            return change(*given, **options)

        return changed

    with monkeypatch.context() as patched:
        for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "mkdir"), (shutil, "rmtree"), (os, "fsync")):
            patched.setattr(owner, name, killed_later(getattr(owner, name)))
        with suppress(Killed):
            write_folder(bundle, {"manifest.json": b"new", "a": b"new"})
    found = find_bundle(bundle)
    assert {file.name for file in found.iterdir()} == {"manifest.json", "a"}
    assert {(found / name).read_bytes() for name in ("manifest.json", "a")} in ({b"old"}, {b"new"})
    assert find_bundle(tmp_path) == found
    write_folder(bundle, {"manifest.json": b"newer", "a": b"newer"})
    assert (find_bundle(tmp_path) / "a").read_bytes() == b"newer"


DIE = """
import os, sys
from pathlib import Path
from tagfit.io.files import whole_file
with whole_file(Path(sys.argv[1])) as stream:
    stream.write(b"half")
    stream.flush()
    os._exit(9)
"""


def test_what_a_killed_process_left_goes_with_the_next_that_writes_there(tmp_path):
    """Not what a living one is writing, nor what people call alike."""
    subprocess.run([sys.executable, "-c", DIE, tmp_path / "a.xmp"], check=False)
    (left,) = tmp_path.iterdir()
    assert is_temporary(left)
    mine = tmp_path / ".a.xmp.123456789abc.tmp"
    mine.write_bytes(b"of another machine, or of an older version")
    code = "import sys, pathlib, tagfit.io.files as f; f.write_atomically(pathlib.Path(sys.argv[1]), b'')"
    with whole_file(tmp_path / "living.xmp") as stream:
        stream.write(b"2")
        subprocess.run([sys.executable, "-c", code, tmp_path / "b.xmp"], check=True)
    assert {path.name for path in tmp_path.iterdir()} == {"b.xmp", "living.xmp", mine.name}


def fill(folder, asked="a", names=("1", "2", "3"), stopped_at=None):
    with filled_folder(folder, asked):
        for name in names:
            if name == stopped_at:
                raise KeyboardInterrupt
            write_atomically(folder / name, asked)


def test_a_half_filled_folder_is_filled_by_the_same_task_alone(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "maps", stopped_at="3")
    with pytest.raises(OutputError, match="is not empty"):
        fill(tmp_path / "maps", "b")
    fill(tmp_path / "maps")
    assert sorted(one.name for one in (tmp_path / "maps").iterdir()) == ["1", "2", "3"]
    with pytest.raises(OutputError, match="is not empty"):
        fill(tmp_path / "maps")


def test_a_folder_in_which_nothing_was_written_is_free_for_another_task(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "maps", stopped_at="1")
    fill(tmp_path / "maps", "b")


def test_a_folder_with_files_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(OutputError, match="is not empty"):
        fill(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_a_sparse_file_of_gigabytes_is_no_record(tmp_path):
    with (tmp_path / "result.json").open("wb") as stream:
        stream.truncate(200 << 30)
    with pytest.raises(BundleError, match="at most"):
        read_record(tmp_path)
