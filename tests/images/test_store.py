import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from making import decode
from tagfit.images import store
from tagfit.images import workers as decoder
from tagfit.images.store import open_images
from tagfit.records.form import ImageForm

SIZE, FORM = 8, ImageForm(8)

#: a decoder that takes any file for settled, however young
TRUSTING = "from tagfit.images import worker; worker._SETTLED = -(10**18); worker.main()"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def files(tmp_path):
    return make(tmp_path / "data", 12)


@pytest.fixture
def trusting(monkeypatch):
    monkeypatch.setattr(decoder, "worker_command", lambda: (sys.executable, "-c", TRUSTING))


@pytest.fixture
def work(monkeypatch):
    """What the decoder was given, file by file: whether it had to decode it."""
    done = {}

    def watched(sources, *rest):
        for number, outcome in decoder.decoded(sources, *rest):
            done[sources[number]] = outcome.pixels is not None
            yield number, outcome

    monkeypatch.setattr(store, "decoded", watched)
    return done


def make(folder, count):
    folder.mkdir()
    return [save(folder / f"{number}.png", number) for number in range(count)]


def save(file, grey):
    Image.new("RGB", (20, 10), (grey, 2 * grey, 7)).save(file, format="PNG")
    return file


def expected(files):
    return np.stack([decode(file.read_bytes(), FORM) for file in files])


def test_images_come_in_order_from_one_read_only_map(cache, files):
    images = open_images(files, FORM)
    assert isinstance(images.x, np.memmap)
    assert not images.x.flags.writeable
    assert (images.x == expected(files)).all()
    assert images.rows.tolist() == list(range(12))
    assert (images.set_aside, images.notes) == ({}, ())
    assert sorted(file.suffix for file in cache.iterdir()) == [".pixels", ".sqlite"]


@pytest.mark.usefixtures("cache", "trusting")
def test_a_second_run_opens_no_file(files, work):
    first = open_images(files, FORM)
    work.clear()
    second = open_images(files, FORM)
    assert not work
    assert second.x.filename == first.x.filename
    assert (second.hashes == first.hashes).all()


@pytest.mark.usefixtures("cache", "trusting")
def test_a_changed_image_is_decoded_again_alone(files, work):
    before = open_images(files, FORM)
    seen = before.x.copy()
    work.clear()
    save(files[5], 99)
    after = open_images(files, FORM)
    assert work == {files[5]: True}
    assert (after.x == expected(files)).all()
    assert (before.x == seen).all()  # whoever has the old ones mapped keeps them


@pytest.mark.usefixtures("cache")
def test_a_change_that_leaves_size_and_time_alone_is_seen(files):
    open_images(files, FORM)
    was = files[5].stat()
    save(files[5], 6)
    assert files[5].stat().st_size == was.st_size
    os.utime(files[5], ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (open_images(files, FORM).x == expected(files)).all()


@pytest.mark.usefixtures("cache", "trusting")
def test_a_copied_folder_is_read_but_not_decoded(files, work, tmp_path):
    open_images(files, FORM)
    work.clear()
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    copies = [tmp_path / "copy" / file.name for file in files]
    assert (open_images(copies, FORM).x == expected(files)).all()
    assert work == dict.fromkeys(copies, False)


@pytest.mark.usefixtures("cache", "trusting")
def test_another_order_size_or_limit(files, work):
    open_images(files, FORM)
    work.clear()
    assert (open_images(files[::-1], FORM).x == expected(files[::-1])).all()
    assert (open_images([*files[3:6], *files[3:5]], FORM).x == expected([*files[3:6], *files[3:5]])).all()
    assert not work
    assert open_images(files, ImageForm(5)).x.shape == (12, 5, 5, 3)
    assert all(work.values())
    assert "too large: 20x10" in open_images(files, FORM, max_pixels=100).set_aside[11]
    assert open_images(files, FORM).set_aside == {}


@pytest.mark.usefixtures("cache", "trusting")
def test_what_is_bad_is_remembered_too_and_files_that_are_not_there_are_not(files, work):
    files[2].write_bytes(b"")
    files[3].unlink()
    for _ in range(2):
        work.clear()
        images = open_images(files, FORM)
        assert list(images.set_aside) == [2, 3]
        assert images.set_aside[2] == "the file is empty"
        assert images.set_aside[3].startswith("cannot be read: No such file")
        assert (images.x == expected([file for file in files if file not in files[2:4]])).all()
    assert work == {files[3]: False}
    save(files[3], 50)
    assert list(open_images(files, FORM).set_aside) == [2]


@pytest.mark.usefixtures("cache")
def test_nothing_readable_is_no_array_at_all(files):
    for file in files:
        file.write_bytes(b"broken")
    images = open_images(files, FORM)
    assert images.x.shape == (0, SIZE, SIZE, 3)
    assert len(images.set_aside) == 12


@pytest.mark.usefixtures("cache")
def test_when_images_were_taken(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 12:30:09"
    Image.new("RGB", (9, 9)).save(tmp_path / "timed.jpg", exif=exif)
    files = [tmp_path / "timed.jpg", save(tmp_path / "untimed.png", 3)]
    for _ in range(2):
        assert open_images(files, FORM).times == ("2024-05-01T12:30:09", "")


# ------------------------------------------------------------------------------------------- what goes wrong

SCRIPT = """
import os, sys
from pathlib import Path
from tagfit.records.form import ImageForm
from tagfit.images import store
store._SECONDS_A_WRITE = 0
stop_at = int(sys.argv[2])
def on_read(done, total):
    if done == stop_at:
        os.kill(os.getpid(), 9)
files = sorted(Path(sys.argv[1]).iterdir(), key=lambda file: int(file.stem))
print(int(store.open_images(files, ImageForm(8), on_read=on_read).x.astype(int).sum()))
"""  # without a main guard: it must not run twice


def run(folder, stop_at=-1):
    command = [sys.executable, "-c", SCRIPT, str(folder), str(stop_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("cache", "trusting")
@pytest.mark.parametrize("stop_at", [1, 7, 12])
def test_a_run_that_was_killed_goes_on_where_it_was(files, work, tmp_path, stop_at):
    with run(tmp_path / "data", stop_at) as killed:
        assert killed.wait() == -signal.SIGKILL
    images = open_images(files, FORM)
    assert (images.x == expected(files)).all()
    assert sum(work.values()) == 12 - stop_at


@pytest.mark.usefixtures("cache")
def test_two_at_once(files, tmp_path):
    with run(tmp_path / "data") as first, run(tmp_path / "data") as second:
        assert {first.stdout.read(), second.stdout.read()} == {f"{int(expected(files).astype(int).sum())}\n"}
    assert first.returncode == second.returncode == 0


HARM = {
    "cut": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
    "a byte flipped": lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:],
    "exchanged": lambda content: content[len(content) // 2 :] + content[: len(content) // 2],
}


@pytest.mark.parametrize("harm", ["gone", *HARM])
def test_an_array_that_was_harmed_is_made_anew(cache, files, harm):
    open_images(files, FORM)
    (array,) = cache.glob("*.pixels")
    content = array.read_bytes()
    array.unlink()
    if harm != "gone":
        array.write_bytes(HARM[harm](content))
    assert (open_images(files, FORM).x == expected(files)).all()


def test_what_was_harmed_goes_into_no_other_array(cache, files):
    """A part of a run that was killed, or the array of another data set."""
    open_images(files, FORM)
    (array,) = cache.glob("*.pixels")
    content = array.read_bytes()
    array.unlink()
    array.write_bytes(HARM["a byte flipped"](content))
    some = files[::-1]
    assert (open_images(some, FORM).x == expected(some)).all()
    assert (open_images(files, FORM).x == expected(files)).all()


@pytest.mark.parametrize("harm", ["no folder", "no index"])
def test_without_a_cache_everything_is_in_memory(cache, files, harm, caplog):
    if harm == "no folder":
        cache.write_text("a file in its place")
    else:
        open_images(files, FORM)
        next(cache.glob("*.sqlite")).write_bytes(b"not a database" * 100)
    files[4].write_bytes(b"")
    images = open_images(files, FORM)
    assert "not kept for the next run" in images.notes[0]
    assert caplog.messages == list(images.notes)
    assert not isinstance(images.x, np.memmap)
    assert (images.x == expected(files[:4] + files[5:])).all()
    assert images.set_aside == {4: "the file is empty"}
    assert images.rows.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]


def test_a_full_disk_costs_nothing_but_the_cache(cache, files, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "sync", full)
    images = open_images(files, FORM)
    assert "No space left" in images.notes[0]
    assert (images.x == expected(files)).all()


@pytest.mark.usefixtures("cache")
def test_the_persons_folder_stays_as_it_is(files, tmp_path):
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "data").rglob("*")}
    open_images(files, FORM)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "data").rglob("*")} == before


def test_a_stop_while_reading_leaves_no_process(cache, files):
    def stop(done, total):
        raise KeyboardInterrupt

    started = []
    begin = subprocess.Popen

    class Watched(begin):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            started.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Watched)
        with pytest.raises(KeyboardInterrupt):
            open_images(files, FORM, on_read=stop)
    assert started
    assert all(process.returncode is not None for process in started)
